/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/metrics_socket.h"

#include "daemon/tcp_bind.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 64
#define PORT_SIZE 8

static int bind_and_listen(int fd, const struct addrinfo *address)
{
    bool early;
    int r = tcp_bind(fd, address->ai_addr, address->ai_addrlen, &early);

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
