/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/journal.h"
#include "daemon/message_ids.h"
#include "daemon/tcp_bind.h"
#include "daemon/transport_handshake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define ACCEPTS_PER_TURN 4 /* what is more urgent may have come meanwhile */
#define ACCEPT_PAUSE_US UINT64_C(1000000)
#define TIMER_ACCURACY_US UINT64_C(100000)
#define REFUSED_LINE_US UINT64_C(60000000)

struct listener {
    struct listener *next;
    struct transport *transport;
    int fd;
    sd_event_source *io;
    sd_event_source *pause; /* made early: when it is needed there may be no descriptors left */
};

union address {
    struct sockaddr_storage storage;
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

/* The old short and octal forms of IPv4 addresses ("127.1", "010.0.0.1") are not taken. */
static int parse_address(const char *text, uint16_t port, union address *address, socklen_t *size)
{
    const struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
    };
    struct addrinfo *found;
    struct in_addr in;
    int r;

    if (!strchr(text, ':') && inet_pton(AF_INET, text, &in) != 1)
        return -EINVAL;
    r = getaddrinfo(text, NULL, &hints, &found);
    if (r != 0)
        return r == EAI_MEMORY ? -ENOMEM : -EINVAL;
    memcpy(address, found->ai_addr, found->ai_addrlen);
    *size = found->ai_addrlen;
    freeaddrinfo(found);
    if (address->any.sa_family == AF_INET)
        address->in.sin_port = htons(port);
    else
        address->in6.sin6_port = htons(port);
    return 0;
}

bool transport_is_loopback(const char *text)
{
    union address address = {0};
    socklen_t size = 0;

    return parse_address(text, 0, &address, &size) == 0 &&
           transport_sockaddr_is_loopback(&address.any);
}

void transport_refuse(struct transport *transport, const char *address, const char *why)
{
    uint64_t now_us = transport_now_us(transport);

    transport->refused++;
    if (transport->refused_said_us > 0 && now_us - transport->refused_said_us < REFUSED_LINE_US)
        return;
    journal_say(LOG_WARNING, &(struct journal_fields){.message_id = MESSAGE_PEER_REFUSED},
                "Refused %u connection%s, the last from %s: %s.", transport->refused,
                transport->refused == 1 ? "" : "s", address, why);
    transport->refused = 0;
    transport->refused_said_us = now_us;
}

/* NULL: let in. Judged by the address alone. */
static const char *objection(struct transport *transport, const union address *remote)
{
    struct transport_counters *counters = &transport->counters;

    if (transport->limits.loopback_only && !transport_sockaddr_is_loopback(&remote->any)) {
        counters->refused_loopback++;
        return "it is not a loopback address";
    }
    switch (guard_judge(transport->guard, &remote->any, transport_now_us(transport))) {
    case GUARD_DENIED:
        counters->refused_denied++;
        return "by master.deny, or not in master.allow";
    case GUARD_TOO_OFTEN:
        counters->refused_often++;
        return "it connects too often, see limits.connections_per_second";
    default:
        return NULL;
    }
}

void transport_admit(struct transport *transport, struct transport_link *link)
{
    uint32_t slot = TRANSPORT_NO_PEER;
    int r = peer_open(transport, false, link, &slot);

    if (r < 0) {
        transport->counters.refused_full += r == -EUSERS;
        transport_refuse(transport, link->address,
                         r == -EUSERS ? "as many as allowed are connected" : strerror(-r));
        tls_free(link->tls);
        transport_close_fd(&link->fd);
        return;
    }
    peer_greet(transport, slot);
}

static void listener_take(struct transport *transport, int fd, const union address *remote,
                          socklen_t size)
{
    struct transport_link link = {.fd = fd};
    const char *why = objection(transport, remote);
    int r = 0;

    transport_print_address(&remote->any, size, link.address);
    if (!why)
        r = transport_prepare_socket(transport, fd);
    if (!why && r == 0 && transport->keyring)
        r = handshake_accept(transport, fd, link.address);
    if (r == -EUSERS) {
        transport->counters.refused_handshakes++;
        why = "as many as limits.handshakes are proving their key";
    } else if (r < 0) {
        why = strerror(-r);
    }
    if (why) {
        (void)close(fd);
        transport_refuse(transport, link.address, why);
        return;
    }
    transport->counters.accepted++;
    if (!transport->keyring)
        transport_admit(transport, &link);
}

static void listener_free(struct listener *listener)
{
    if (!listener)
        return;
    sd_event_source_disable_unref(listener->io);
    sd_event_source_disable_unref(listener->pause);
    transport_close_fd(&listener->fd);
    free(listener);
}

/* What accept(2) passes on from a single connection that failed while it was queued. */
static bool accept_error_is_passing(int error)
{
    switch (error) {
    case ECONNABORTED:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case EINTR:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EPERM:
    case EPROTO:
        return true;
    default:
        return false;
    }
}

/* The connection stays queued and the socket readable, so without a pause the
 * loop would spin until there are descriptors or memory again. */
static void listener_rest(struct listener *listener, int error)
{
    (void)journal_errno(error, "Cannot accept connections, trying again in 1 s: %m");
    (void)sd_event_source_set_enabled(listener->io, SD_EVENT_OFF);
    (void)sd_event_source_set_time_relative(listener->pause, ACCEPT_PAUSE_US);
    (void)sd_event_source_set_enabled(listener->pause, SD_EVENT_ONESHOT);
}

static int listener_resume(sd_event_source *source, uint64_t usec, void *context)
{
    struct listener *listener = context;

    (void)source, (void)usec;
    return sd_event_source_set_enabled(listener->io, SD_EVENT_ON);
}

static int listener_dispatch(sd_event_source *source, int listening, uint32_t events, void *context)
{
    struct listener *listener = context;
    __attribute__((cleanup(transport_unrefp))) struct transport *transport =
        transport_ref(listener->transport);

    (void)source, (void)events;
    for (unsigned i = 0; i < ACCEPTS_PER_TURN && !transport->closed; i++) {
        union address remote = {0};
        socklen_t size = sizeof(remote);
        int fd = accept4(listening, &remote.any, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            listener_take(transport, fd, &remote, size);
        } else if (!accept_error_is_passing(errno)) {
            if (errno != EAGAIN)
                listener_rest(listener, errno);
            break;
        }
    }
    return 0;
}

static int listener_bind(int fd, const union address *address, socklen_t size)
{
    char text[TRANSPORT_ADDRESS_SIZE];
    bool early;
    int r = tcp_bind(fd, &address->any, size, &early);

    if (r < 0 || !early)
        return r;
    transport_print_address(&address->any, size, text);
    journal_notice("%s is no address of this machine yet; who connects is heard once it is.", text);
    return 0;
}

static int listener_open(struct listener *listener, const union address *address, socklen_t size)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r;

    if (fd < 0)
        return -errno;
    listener->fd = fd;
    r = transport_prepare_socket(listener->transport, fd);
    if (r >= 0)
        r = listener_bind(fd, address, size);
    if (r < 0)
        return r;
    return listen(fd, SOMAXCONN) < 0 ? -errno : 0;
}

static int listener_watch(struct listener *listener)
{
    sd_event *loop = listener->transport->loop;
    int r = sd_event_add_time_relative(loop, &listener->pause, CLOCK_MONOTONIC, ACCEPT_PAUSE_US,
                                       TIMER_ACCURACY_US, listener_resume, listener);

    if (r >= 0)
        r = sd_event_source_set_enabled(listener->pause, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_io(loop, &listener->io, listener->fd, EPOLLIN, listener_dispatch,
                            listener);
    if (r >= 0)
        r = sd_event_source_set_priority(listener->io, TRANSPORT_PRIORITY_LISTENER);
    return r < 0 ? r : 0;
}

int transport_listen(struct transport *transport, const char *text, uint16_t port)
{
    struct listener *listener;
    union address address = {0};
    socklen_t size = 0;
    int r = parse_address(text, port, &address, &size);

    if (r < 0)
        return r;
    if (transport->limits.loopback_only && !transport_sockaddr_is_loopback(&address.any))
        return -EPERM;
    listener = calloc(1, sizeof(*listener));
    if (!listener)
        return -ENOMEM;
    listener->fd = -1;
    listener->transport = transport;
    r = listener_open(listener, &address, size);
    if (r == 0)
        r = listener_watch(listener);
    if (r < 0) {
        listener_free(listener);
        return r;
    }
    listener->next = transport->listeners;
    transport->listeners = listener;
    return 0;
}

uint16_t transport_port(const struct transport *transport)
{
    union address address = {0};
    socklen_t size = sizeof(address);

    if (!transport->listeners || getsockname(transport->listeners->fd, &address.any, &size) < 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET ? address.in.sin_port : address.in6.sin6_port);
}

void listeners_free(struct transport *transport)
{
    while (transport->listeners) {
        struct listener *listener = transport->listeners;

        transport->listeners = listener->next;
        listener_free(listener);
    }
}
