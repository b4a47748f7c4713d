/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/journal.h"
#include "daemon/resolver.h"
#include "daemon/transport_handshake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

#define ATTEMPT_TIMEOUT_US UINT64_C(5000000)
#define STEADY_US UINT64_C(10000000) /* what lasted this long has worked */
#define TIMER_ACCURACY_US UINT64_C(1000)
#define WHAT_SIZE 512

/* Waiting (timer), resolving (lookup), trying an address (fd, io and timer), proving a key to it
 * (handshake and timer), or connected (slot). */
struct connector {
    struct transport *transport;
    char *host;
    uint16_t port;
    int64_t retry_min_ns, retry_max_ns;
    int64_t wait_ns; /* before the next attempt but for the jitter */
    sd_event_source *timer;
    struct resolver *lookup;
    struct addrinfo *addresses;
    const struct addrinfo *trying, *untried;
    size_t key_place; /* in the keyring, of the key tried or to try */
    struct handshake *handshake;
    char address[TRANSPORT_ADDRESS_SIZE]; /* tried last */
    int fd;
    sd_event_source *io;
    uint32_t slot;
    uint64_t up_us;
};

static void connector_drop_attempt(struct connector *connector)
{
    connector->io = sd_event_source_disable_unref(connector->io);
    transport_close_fd(&connector->fd);
    handshake_free(connector->handshake);
    connector->handshake = NULL;
    (void)sd_event_source_set_enabled(connector->timer, SD_EVENT_OFF);
}

static void connector_drop_addresses(struct connector *connector)
{
    if (connector->addresses)
        freeaddrinfo(connector->addresses);
    connector->addresses = NULL;
    connector->trying = connector->untried = NULL;
}

void connector_free(struct connector *connector)
{
    if (!connector)
        return;
    resolver_cancel(connector->lookup);
    connector_drop_attempt(connector);
    connector_drop_addresses(connector);
    sd_event_source_disable_unref(connector->timer);
    free(connector->host);
    free(connector);
}

static void connector_set_timer(struct connector *connector, uint64_t usec)
{
    (void)sd_event_source_set_time_relative(connector->timer, usec);
    (void)sd_event_source_set_enabled(connector->timer, SD_EVENT_ONESHOT);
}

/* wait_ns +- 25 %, so that slaves that lost the same master come back one by one. */
static int64_t jittered(int64_t wait_ns)
{
    uint64_t span = (uint64_t)wait_ns / 2, random;

    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        return wait_ns;
    return wait_ns - (int64_t)(span / 2) + (int64_t)(random % (span + 1));
}

static int64_t connector_wait(struct connector *connector)
{
    int64_t wait_ns = jittered(connector->wait_ns);

    connector->wait_ns = connector->wait_ns > connector->retry_max_ns / 2 ? connector->retry_max_ns
                                                                          : 2 * connector->wait_ns;
    connector_set_timer(connector, (uint64_t)(wait_ns + NS_PER_US - 1) / (uint64_t)NS_PER_US);
    return wait_ns;
}

/* All was in vain: tells it and waits.  The connector may be gone after that. */
static void connector_give_up(struct connector *connector, const char *why)
{
    const struct transport_handler *handler = &connector->transport->handler;
    size_t length = strlen(connector->host);
    char what[WHAT_SIZE];

    if (connector->address[0] == '\0')
        (void)snprintf(what, sizeof(what), "%s: %s", connector->host, why);
    else if (strncmp(connector->address, connector->host, length) == 0 &&
             connector->address[length] == ' ')
        (void)snprintf(what, sizeof(what), "%s: %s", connector->address, why);
    else
        (void)snprintf(what, sizeof(what), "%s (%s): %s", connector->host, connector->address, why);
    connector_drop_addresses(connector);
    handler->unreachable(handler->context, what, connector_wait(connector));
}

static void connector_try(struct connector *connector, const char *why);

/* A connection attempt to an unused local port can meet itself. */
static bool connected_to_itself(int fd)
{
    struct sockaddr_storage local, remote;
    socklen_t local_size = sizeof(local), remote_size = sizeof(remote);

    memset(&local, 0, sizeof(local));
    memset(&remote, 0, sizeof(remote));
    return getsockname(fd, (struct sockaddr *)&local, &local_size) == 0 &&
           getpeername(fd, (struct sockaddr *)&remote, &remote_size) == 0 &&
           local_size == remote_size && memcmp(&local, &remote, local_size) == 0;
}

static int connect_outcome(int fd)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    if (error == 0 && connected_to_itself(fd))
        return -ECONNREFUSED;
    return -error;
}

/* The connection stands. The link is taken over. */
static void connector_stand(struct connector *connector, struct transport_link *link)
{
    struct transport *transport = connector->transport;
    int r = peer_open(transport, true, link, &connector->slot);

    connector_drop_attempt(connector);
    if (r < 0) {
        tls_free(link->tls);
        transport_close_fd(&link->fd);
        connector_try(connector, strerror(-r));
        return;
    }
    connector->up_us = transport_now_us(transport);
    connector_drop_addresses(connector);
    peer_greet(transport, connector->slot);
}

/* After a refusal: the key after that. */
static bool connector_next_key(struct connector *connector)
{
    const struct transport *transport = connector->transport;

    return keyring_usable(transport->keyring, transport->name, connector->key_place + 1,
                          &connector->key_place);
}

static void connector_secured(void *context, struct transport_link *link, int error,
                              const char *why)
{
    struct connector *connector = context;

    connector->handshake = NULL;
    if (error == 0) {
        connector_stand(connector, link);
        return;
    }
    connector_drop_attempt(connector);
    if (error == -EKEYREJECTED && connector_next_key(connector)) {
        journal_info("%s: %s; trying the next key.", connector->address, why);
        connector->untried = connector->trying;
    }
    connector_try(connector, why);
}

/* The connection stands, and each end has to prove its key. */
static int connector_secure(struct connector *connector)
{
    struct transport *transport = connector->transport;
    const struct key *key = keyring_usable(transport->keyring, transport->name,
                                           connector->key_place, &connector->key_place);
    int r;

    if (!key)
        return -ENOKEY;
    r = handshake_call(transport, connector->fd, connector->address, key, connector_secured,
                       connector, &connector->handshake);
    if (r == 0)
        connector->fd = -1;
    return r;
}

static int connector_dispatch(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct connector *connector = context;
    struct transport_link link = {.fd = fd};
    int r = connect_outcome(fd);

    (void)source, (void)events;
    connector->io = sd_event_source_disable_unref(connector->io);
    if (r == 0 && connector->transport->keyring)
        r = connector_secure(connector);
    if (r < 0) {
        connector_drop_attempt(connector);
        connector_try(connector, strerror(-r));
        return 0;
    }
    if (connector->handshake)
        return 0;
    memcpy(link.address, connector->address, sizeof(link.address));
    connector->fd = -1;
    connector_stand(connector, &link);
    return 0;
}

static int connector_attempt(struct connector *connector, const struct addrinfo *address)
{
    int r;

    connector->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connector->fd < 0)
        return -errno;
    r = transport_prepare_socket(connector->transport, connector->fd);
    if (r < 0)
        return r;
    if (connect(connector->fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS)
        return -errno;
    r = sd_event_add_io(connector->transport->loop, &connector->io, connector->fd, EPOLLOUT,
                        connector_dispatch, connector);
    if (r < 0)
        return r;
    connector_set_timer(connector, ATTEMPT_TIMEOUT_US);
    return 0;
}

/* The next address that can at least be tried.  why: what was wrong with the one before. */
static void connector_try(struct connector *connector, const char *why)
{
    while (connector->untried) {
        const struct addrinfo *address = connector->untried;
        int r;

        if (address != connector->trying) /* what one refused, another may accept */
            connector->key_place = 0;
        connector->trying = address;
        connector->untried = address->ai_next;
        transport_print_address(address->ai_addr, address->ai_addrlen, connector->address);
        if (connector->transport->limits.loopback_only &&
            !transport_sockaddr_is_loopback(address->ai_addr)) {
            why = "not a loopback address, and there is no key for others (berkeleyctl keygen)";
            continue;
        }
        r = connector_attempt(connector, address);
        if (r == 0)
            return;
        connector_drop_attempt(connector);
        why = strerror(-r);
    }
    connector_give_up(connector, why);
}

static void connector_resolved(void *context, struct addrinfo *addresses, const char *why)
{
    struct connector *connector = context;

    connector->lookup = NULL;
    connector->addresses = addresses;
    connector->untried = addresses;
    connector_try(connector, why);
}

static int connector_timer(sd_event_source *source, uint64_t usec, void *context)
{
    struct connector *connector = context;
    int r;

    (void)source, (void)usec;
    if (connector->fd >= 0 || connector->handshake) {
        connector_drop_attempt(connector);
        connector_try(connector, strerror(ETIMEDOUT));
        return 0;
    }
    connector->address[0] = '\0';
    r = resolver_start(connector->transport->loop, connector->host, connector->port,
                       connector_resolved, connector, &connector->lookup);
    if (r < 0)
        connector_give_up(connector, strerror(-r));
    return 0;
}

void connector_lost(struct connector *connector, uint32_t slot)
{
    if (!connector || connector->slot != slot)
        return;
    connector->slot = TRANSPORT_NO_PEER;
    if (transport_now_us(connector->transport) - connector->up_us >= STEADY_US)
        connector->wait_ns = connector->retry_min_ns;
    (void)connector_wait(connector);
}

static int connector_new(struct transport *transport, const char *host, uint16_t port,
                         int64_t retry_min_ns, int64_t retry_max_ns, struct connector **connector)
{
    struct connector *fresh = calloc(1, sizeof(*fresh));
    int r = -ENOMEM;

    if (!fresh)
        return r;
    fresh->fd = -1;
    fresh->slot = TRANSPORT_NO_PEER;
    fresh->transport = transport;
    fresh->port = port;
    fresh->retry_min_ns = retry_min_ns;
    fresh->retry_max_ns = retry_max_ns;
    fresh->wait_ns = retry_min_ns;
    fresh->host = strdup(host);
    if (fresh->host)
        r = sd_event_add_time_relative(transport->loop, &fresh->timer, CLOCK_MONOTONIC, 0,
                                       TIMER_ACCURACY_US, connector_timer, fresh);
    if (r < 0) {
        connector_free(fresh);
        return r;
    }
    *connector = fresh;
    return 0;
}

static bool connector_waits(const struct connector *connector)
{
    return !connector->lookup && connector->fd < 0 && !connector->handshake &&
           connector->slot == TRANSPORT_NO_PEER;
}

/* Without a keyring none is needed. */
static bool has_key(const struct keyring *keyring, const char *name)
{
    return !keyring || keyring_usable(keyring, name, 0, NULL);
}

int connector_accepts(const struct transport *transport, const struct keyring *keyring,
                      const char *name)
{
    return !transport->connector || has_key(keyring, name) ? 0 : -ENOKEY;
}

bool connector_should_switch(const struct transport *transport, const struct keyring *before,
                             const char *identity)
{
    const struct key *was = keyring_usable(before, transport->name, 0, NULL);
    const struct key *is = keyring_usable(transport->keyring, transport->name, 0, NULL);

    if (!is || strcmp(is->identity, identity) == 0)
        return false;
    return !was || strcmp(was->identity, is->identity) != 0 ||
           !keyring_agree(before, transport->keyring, is->identity);
}

void connector_restart(struct connector *connector)
{
    if (!connector || connector->lookup || connector->slot != TRANSPORT_NO_PEER)
        return;
    connector_drop_attempt(connector);
    connector_drop_addresses(connector);
    connector->wait_ns = connector->retry_min_ns;
    connector_set_timer(connector, 0);
}

static void connector_set_waits(struct connector *connector, int64_t min_ns, int64_t max_ns)
{
    bool waiting = connector_waits(connector);

    if (connector->retry_min_ns == min_ns && connector->retry_max_ns == max_ns)
        return;
    if (connector->wait_ns < min_ns)
        connector->wait_ns = min_ns;
    if (connector->wait_ns > max_ns)
        connector->wait_ns = max_ns;
    connector->retry_min_ns = min_ns;
    connector->retry_max_ns = max_ns;
    if (waiting)
        (void)connector_wait(connector);
}

int transport_connect(struct transport *transport, const char *host, uint16_t port,
                      int64_t retry_min_ns, int64_t retry_max_ns)
{
    struct connector *before = transport->connector;
    uint32_t slot = before ? before->slot : TRANSPORT_NO_PEER;
    struct connector *fresh;
    int r;

    if (host[0] == '\0' || port == 0 ||
        !(retry_min_ns > 0 && retry_min_ns <= retry_max_ns && timestamp_valid(retry_max_ns)))
        return -EINVAL;
    if (!has_key(transport->keyring, transport->name))
        return -ENOKEY;
    if (before && strcmp(before->host, host) == 0 && before->port == port) {
        connector_set_waits(before, retry_min_ns, retry_max_ns);
        return 0;
    }
    r = connector_new(transport, host, port, retry_min_ns, retry_max_ns, &fresh);
    if (r < 0)
        return r;
    connector_free(before);
    transport->connector = fresh;
    if (slot != TRANSPORT_NO_PEER)
        peer_drop(transport, slot, -ECANCELED);
    return 0;
}
