/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/transport_handshake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEPALIVE_IDLE_S 5
#define KEEPALIVE_INTERVAL_S 2
#define KEEPALIVE_PROBES 3
#define USER_TIMEOUT_MS 10000
#define DRAIN_READS 64
#define DRAIN_SIZE 1024
/* Some hundred frames. What does not fit is better lost than late, and a peer
 * that does not read, or sends too much, ties up no more than this. */
#define BUFFER_DEFAULT ((size_t)32 * 1024)

uint64_t transport_now_us(const struct transport *transport)
{
    uint64_t now_us = 0;

    (void)sd_event_now(transport->loop, CLOCK_MONOTONIC, &now_us);
    return now_us;
}

bool transport_sockaddr_is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;

        return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address;

        return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
    }
    return false;
}

void transport_print_address(const struct sockaddr *address, socklen_t size,
                             char text[TRANSPORT_ADDRESS_SIZE])
{
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (getnameinfo(address, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0 ||
        snprintf(text, TRANSPORT_ADDRESS_SIZE, "%s port %s", host, port) < 0)
        (void)snprintf(text, TRANSPORT_ADDRESS_SIZE, "unknown address");
}

int transport_prepare_socket(const struct transport *transport, int fd)
{
    size_t wanted = transport->limits.buffer ? transport->limits.buffer : BUFFER_DEFAULT;
    int buffer = wanted < INT_MAX ? (int)wanted : INT_MAX;
    const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_SNDBUF, buffer},
        {SOL_SOCKET, SO_RCVBUF, buffer},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
        {IPPROTO_TCP, TCP_NODELAY, 1},
    };

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        if (setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int)) < 0)
            return -errno;
    return 0;
}

void transport_drain(int fd)
{
    uint8_t scratch[DRAIN_SIZE];
    unsigned reads = 0;

    while (reads < DRAIN_READS && recv(fd, scratch, sizeof(scratch), MSG_DONTWAIT) > 0)
        reads++;
}

struct transport *transport_ref(struct transport *transport)
{
    transport->refs++;
    return transport;
}

static void transport_unref(struct transport *transport)
{
    if (--transport->refs > 0)
        return;
    free(transport->peers);
    keyring_free(transport->keyring);
    guard_free(transport->guard);
    (void)sd_event_unref(transport->loop);
    free(transport);
}

void transport_unrefp(struct transport **transport)
{
    transport_unref(*transport);
}

/* Nobody is kept out by rules that were not given. */
static struct guard_rules rules_of(const struct transport_limits *limits)
{
    return limits->rules ? *limits->rules : (struct guard_rules){.per_second = UINT_MAX / 2};
}

int transport_new(sd_event *loop, const struct transport_handler *handler,
                  const struct transport_limits *limits, struct transport **transport)
{
    const struct guard_rules rules = rules_of(limits);
    struct transport *fresh;

    if (limits->max_peers == 0 || limits->frames_per_second == 0)
        return -EINVAL;
    fresh = calloc(1, sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    fresh->guard = guard_new(&rules);
    if (!fresh->guard) {
        free(fresh);
        return -ENOMEM;
    }
    fresh->refs = 1;
    fresh->loop = sd_event_ref(loop);
    fresh->handler = *handler;
    fresh->limits = *limits;
    fresh->limits.rules = NULL;
    *transport = fresh;
    return 0;
}

void transport_limit(struct transport *transport, const struct transport_limits *limits)
{
    const struct guard_rules rules = rules_of(limits);

    transport->limits = *limits;
    transport->limits.rules = NULL;
    guard_rule(transport->guard, &rules);
    peers_review(transport);
}

int transport_secure(struct transport *transport, struct keyring *keyring, const char *name)
{
    __attribute__((cleanup(transport_unrefp))) struct transport *held = transport_ref(transport);
    struct keyring *before = transport->keyring;
    int r = connector_accepts(transport, keyring, name);

    if (r < 0)
        return r;
    handshakes_drop(held);
    held->keyring = keyring;
    (void)snprintf(held->name, sizeof(held->name), "%s", name);
    peers_revoke(held, before);
    if (!held->closed)
        connector_restart(held->connector);
    keyring_free(before);
    return 0;
}

bool transport_binds(const struct transport *transport, const char *name)
{
    const struct key *key;

    for (size_t i = 0; transport->keyring && (key = keyring_at(transport->keyring, i)); i++)
        if (strcmp(key->name, name) == 0)
            return true;
    return false;
}

void transport_count(const struct transport *transport, struct transport_counters *counters)
{
    *counters = transport->counters;
}

void transport_free(struct transport *transport)
{
    if (!transport)
        return;
    transport->closed = true;
    connector_free(transport->connector);
    transport->connector = NULL;
    handshakes_drop(transport);
    for (uint32_t slot = 0; slot < transport->slots; slot++)
        transport_close(transport, slot);
    listeners_free(transport);
    transport_unref(transport);
}
