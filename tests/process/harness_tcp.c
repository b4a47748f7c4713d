/* SPDX-License-Identifier: BSD-2-Clause */
#include "harness_part.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct tcp {
    struct harness_part part;
    struct harness *harness;
    int fd; /* -1 once closed */
};

void tcp_close(struct tcp *tcp)
{
    if (tcp->fd >= 0)
        close(tcp->fd);
    tcp->fd = -1;
}

static void tcp_release(struct harness_part *part)
{
    struct tcp *tcp = (struct tcp *)part;

    tcp_close(tcp);
    free(tcp);
}

static struct tcp *tcp_keep(struct harness *harness, int fd)
{
    struct tcp *tcp = harness_alloc(sizeof(*tcp));

    if (fd < 0)
        harness_die("socket: %s", strerror(errno));
    tcp->harness = harness;
    tcp->fd = fd;
    tcp->part.release = tcp_release;
    harness_adopt(harness, &tcp->part);
    return tcp;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

struct tcp *tcp_connect(struct harness *harness, uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    struct tcp *tcp = tcp_keep(harness, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

    if (connect(tcp->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return tcp;
    tcp_close(tcp);
    return NULL;
}

struct tcp *tcp_listen(struct harness *harness, uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    struct tcp *tcp = tcp_keep(harness, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int on = 1;

    setsockopt(tcp->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(tcp->fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(tcp->fd, 64) < 0)
        harness_die("port %u: %s", port, strerror(errno));
    return tcp;
}

/* Until there is something to read, or the end. */
static bool tcp_wait(struct tcp *tcp, int64_t deadline)
{
    struct pollfd ready = {.fd = tcp->fd, .events = POLLIN};

    while (poll(&ready, 1, 0) <= 0)
        if (!harness_wait(tcp->harness, deadline))
            return false;
    return true;
}

struct tcp *tcp_accept(struct tcp *listener, double seconds)
{
    if (!tcp_wait(listener, harness_deadline(seconds)))
        return NULL;
    return tcp_keep(listener->harness, accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC));
}

int tcp_fd(const struct tcp *tcp)
{
    return tcp->fd;
}

bool tcp_send(struct tcp *tcp, const void *bytes, size_t length)
{
    return send(tcp->fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length;
}

size_t tcp_receive(struct tcp *tcp, void *bytes, size_t size, double seconds)
{
    int64_t deadline = harness_deadline(seconds);
    size_t received = 0;

    while (received < size && tcp_wait(tcp, deadline)) {
        ssize_t length = recv(tcp->fd, (char *)bytes + received, size - received, 0);

        if (length <= 0)
            break;
        received += (size_t)length;
    }
    return received;
}

bool tcp_wait_closed(struct tcp *tcp, double seconds)
{
    int64_t deadline = harness_deadline(seconds);
    char dropped[4096];

    while (tcp_wait(tcp, deadline))
        if (recv(tcp->fd, dropped, sizeof(dropped), 0) <= 0)
            return true;
    return false;
}

void tcp_half_close(struct tcp *tcp)
{
    shutdown(tcp->fd, SHUT_WR);
}

void tcp_reset(struct tcp *tcp)
{
    struct linger now = {.l_onoff = 1};

    setsockopt(tcp->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    tcp_close(tcp);
}
