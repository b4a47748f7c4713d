/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/metrics_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 64
#define PORT_SIZE 8

/* At boot an address may come later than we do. */
static int bind_even_early(int fd, const struct addrinfo *address)
{
    const int yes = 1;
    bool v6 = address->ai_family == AF_INET6;

    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0)
        return 0;
    if (errno != EADDRNOTAVAIL)
        return -errno;
    if (setsockopt(fd, v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_FREEBIND : IP_FREEBIND, &yes,
                   sizeof yes) < 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) < 0)
        return -EADDRNOTAVAIL;
    return 0;
}

static int bind_and_listen(int fd, const struct addrinfo *address)
{
    const int yes = 1;
    int r;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0)
        return -errno;
    if (address->ai_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes) < 0)
        return -errno;
    r = bind_even_early(fd, address);
    if (r < 0)
        return r;
    return listen(fd, BACKLOG) < 0 ? -errno : fd;
}

int metrics_socket_listen(const char *address, uint16_t port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found;
    char service[PORT_SIZE];
    int fd, r;

    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    r = getaddrinfo(address, service, &hints, &found);
    if (r != 0)
        return r == EAI_MEMORY ? -ENOMEM : -EINVAL;
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    r = fd < 0 ? -errno : bind_and_listen(fd, found);
    freeaddrinfo(found);
    if (r < 0 && fd >= 0)
        (void)close(fd);
    return r;
}
