/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/transport_slot.h"

#include "core/wire.h"
#include "daemon/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define BURST_US UINT64_C(2000000) /* the full bucket, as time at the sustained rate */
#define FRAME_COST UINT64_C(1000000)
#define CRUMB_COST (FRAME_COST / 16) /* of a read that completes no frame */
#define SLOTS_MIN 8

struct peer *peer_ref(struct peer *peer)
{
    if (peer)
        peer->refs++;
    return peer;
}

static void peer_unref(struct peer *peer)
{
    if (!peer || --peer->refs > 0)
        return;
    tls_free(peer->tls);
    free(peer);
}

void peer_unrefp(struct peer **peer)
{
    peer_unref(*peer);
}

struct peer *peer_at(const struct transport *transport, uint32_t slot)
{
    return slot < transport->slots ? transport->peers[slot] : NULL;
}

static void peer_detach(struct peer *peer)
{
    struct transport *transport = peer->transport;

    peer->transport = NULL;
    peer->io = sd_event_source_disable_unref(peer->io);
    transport_close_fd(&peer->fd);
    transport->peers[peer->slot] = NULL;
    transport->connected--;
    if (peer->outgoing)
        connector_lost(transport->connector, peer->slot);
    peer_unref(peer);
}

void peer_drop(struct transport *transport, uint32_t slot, int error)
{
    transport->counters.garbled += error == -EBADMSG;
    transport->counters.floods += error == -EBUSY;
    transport->counters.revoked += error == -EKEYREVOKED;
    peer_detach(peer_at(transport, slot));
    transport->handler.down(transport->handler.context, slot, error);
}

void transport_close(struct transport *transport, uint32_t slot)
{
    struct peer *peer = peer_at(transport, slot);

    if (!peer)
        return;
    peer_say_over(peer);
    transport_drain(peer->fd);
    peer_detach(peer);
}

static bool peer_pay(struct peer *peer, uint64_t cost)
{
    uint64_t now_us = transport_now_us(peer->transport);
    uint64_t passed_us = now_us - peer->credit_us;
    uint64_t full = BURST_US * peer->rate;

    if (passed_us >= BURST_US || peer->credit + passed_us * peer->rate > full)
        peer->credit = full;
    else
        peer->credit += passed_us * peer->rate;
    peer->credit_us = now_us;
    if (peer->credit < cost)
        return false;
    peer->credit -= cost;
    return true;
}

static void peer_ask_for_stamps(struct peer *peer)
{
    if (!peer->transport->handler.convert)
        return;
    if (stamps_enable(peer->fd) == 0)
        peer->stamps.asked = true;
    else
        journal_info("%s: no kernel timestamps; the daemon's own are used, which are less exact.",
                     peer->address);
}

/* Now, or when the kernel says it was; a stamp that comes out later than now is not taken. */
static enum stamp_source peer_stamp_arrival(struct peer *peer, int64_t real_ns,
                                            struct reading *arrived)
{
    const struct transport_handler *handler = &peer->transport->handler;
    struct reading stamped;

    handler->stamp(handler->context, arrived);
    if (real_ns == 0)
        return STAMP_USER;
    peer->stamps.arrivals = true;
    if (handler->convert(handler->context, real_ns, &stamped) < 0 ||
        stamped.raw_ns > arrived->raw_ns)
        return STAMP_USER;
    *arrived = stamped;
    return STAMP_KERNEL;
}

/* Hands over all whole frames. 0, also if an upcall closed the peer; or -errno
 * if the peer deserves to be dropped. */
static int peer_deliver(struct peer *peer, const struct reading *arrived, enum stamp_source source)
{
    size_t at = 0, length;
    int r;

    while ((r = wire_frame_length(peer->in + at, peer->in_length - at, &length)) == 0 &&
           length <= peer->in_length - at) {
        const struct transport_handler *handler = &peer->transport->handler;

        if (!peer_pay(peer, FRAME_COST))
            return -EBUSY;
        peer->stamps.in++;
        peer->transport->counters.frames_in++;
        handler->frame(handler->context, peer->slot, peer->in + at, length, arrived, source);
        if (!peer->transport)
            return 0;
        at += length;
    }
    peer->in_length -= at;
    memmove(peer->in, peer->in + at, peer->in_length);
    return r == -EAGAIN ? 0 : r;
}

/* The frames in the records that are there.  0, -EPIPE at the end of all records, or -errno. */
static int peer_decrypt(struct peer *peer, const struct reading *arrived, enum stamp_source source)
{
    for (;;) {
        ssize_t n = tls_open(peer->tls, peer->in + peer->in_length,
                             PEER_IN_SIZE - peer->in_length);
        int r;

        if (n == -EAGAIN)
            return 0;
        if (n <= 0)
            return n == 0 ? -EPIPE : (int)n;
        peer->in_length += (size_t)n;
        r = peer_deliver(peer, arrived, source);
        if (r < 0 || !peer->transport)
            return r;
    }
}

/* A hello or an alert of TLS where a frame begins: the other end has a key. */
static bool peer_hears_tls(const struct peer *peer)
{
    return peer->in_length >= 2 && (peer->in[0] == 21 || peer->in[0] == 22) && peer->in[1] == 3;
}

/* Some bytes, as they came. */
static int peer_take_in(struct peer *peer, const uint8_t *bytes, size_t length,
                        const struct reading *arrived, enum stamp_source source)
{
    int r;

    if (!peer->tls) {
        peer->in_length += length; /* they are there already */
        if (peer_hears_tls(peer))
            return -ENOKEY;
        return peer_deliver(peer, arrived, source);
    }
    if (tls_feed(peer->tls, bytes, length) < 0)
        return -EBADMSG;
    r = peer_decrypt(peer, arrived, source);
    if (r == 0 && peer->transport)
        peer_flush(peer); /* TLS may have an answer of its own */
    return r;
}

static void peer_receive(struct peer *peer)
{
    uint8_t sealed[PEER_IN_SIZE];
    uint8_t *into = peer->tls ? sealed : peer->in + peer->in_length;
    size_t room = peer->tls ? sizeof(sealed) : PEER_IN_SIZE - peer->in_length;
    int64_t real_ns = 0;
    ssize_t n = stamps_receive(peer->fd, into, room, &real_ns);
    int r = n < 0 ? (int)n : 0;
    unsigned frames = peer->stamps.in;
    enum stamp_source source;
    struct reading arrived;

    if (r == -EAGAIN || r == -EINTR)
        return;
    if (n <= 0) {
        peer_drop(peer->transport, peer->slot, peer->broken < 0 ? peer->broken : r);
        return;
    }
    source = peer_stamp_arrival(peer, real_ns, &arrived);
    r = peer_take_in(peer, into, (size_t)n, &arrived, source);
    if (!peer->transport)
        return;
    if (r == 0 && peer->stamps.in == frames && !peer_pay(peer, CRUMB_COST))
        r = -EBUSY;
    if (r < 0)
        peer_drop(peer->transport, peer->slot, r == -EPIPE ? 0 : r);
    else
        peer_judge_stamps(peer);
}

static int peer_dispatch(sd_event_source *source, int fd, uint32_t events, void *context)
{
    __attribute__((cleanup(peer_unrefp))) struct peer *peer = peer_ref(context);

    (void)source, (void)fd;
    if (events & EPOLLOUT)
        peer_flush(peer);
    if (events & EPOLLERR) /* before the answer, which needs the stamp */
        peer_collect(peer);
    if (peer->transport && (events & ~(uint32_t)EPOLLOUT))
        peer_receive(peer);
    return 0;
}

/* The lowest unused slot. As fewer than max_peers are connected, it lies below
 * that even after the limit was lowered. */
static int peer_find_slot(struct transport *transport, uint32_t *slot)
{
    uint32_t found = 0;

    if (transport->connected >= transport->limits.max_peers)
        return -EUSERS;
    while (found < transport->slots && transport->peers[found])
        found++;
    if (found == transport->slots) {
        uint32_t slots = transport->slots < SLOTS_MIN ? SLOTS_MIN : 2 * transport->slots;
        struct peer **peers = reallocarray(transport->peers, slots, sizeof(struct peer *));

        if (!peers)
            return -ENOMEM;
        memset(peers + transport->slots, 0, (slots - transport->slots) * sizeof(struct peer *));
        transport->peers = peers;
        transport->slots = slots;
    }
    *slot = found;
    return 0;
}

int peer_open(struct transport *transport, bool outgoing, const struct transport_link *link,
              uint32_t *slot)
{
    struct peer *peer;
    uint32_t found;
    int r = peer_find_slot(transport, &found);

    if (r < 0)
        return r;
    peer = calloc(1, sizeof(*peer));
    if (!peer)
        return -ENOMEM;
    r = sd_event_add_io(transport->loop, &peer->io, link->fd, EPOLLIN, peer_dispatch, peer);
    if (r < 0) {
        free(peer);
        return r;
    }
    peer->refs = 1;
    peer->rate = transport->limits.frames_per_second;
    peer->credit = BURST_US * peer->rate;
    peer->credit_us = transport_now_us(transport);
    peer->outgoing = outgoing;
    peer->slot = found;
    memcpy(peer->address, link->address, sizeof(peer->address));
    peer->fd = link->fd;
    peer->tls = link->tls;
    peer->due.written = link->written;
    peer->transport = transport;
    peer_ask_for_stamps(peer);
    transport->peers[found] = peer;
    transport->connected++;
    *slot = found;
    return 0;
}

/* The machine whose key it is. */
static const char *owner_of(const struct peer *peer)
{
    const struct keyring *keyring = peer->transport->keyring;
    const struct key *key =
        peer->tls && !peer->outgoing ? keyring_find(keyring, tls_identity(peer->tls)) : NULL;

    return key ? key->name : "";
}

void peer_greet(struct transport *transport, uint32_t slot)
{
    __attribute__((cleanup(peer_unrefp))) struct peer *peer = peer_ref(peer_at(transport, slot));
    struct reading now;
    int r;

    transport->handler.up(transport->handler.context, slot, peer->address, owner_of(peer));
    if (!peer->tls || !peer->transport)
        return;
    peer_stamp_arrival(peer, 0, &now);
    r = peer_decrypt(peer, &now, STAMP_USER);
    if (r < 0 && peer->transport)
        peer_drop(peer->transport, peer->slot, r == -EPIPE ? 0 : r);
}

static bool is_revoked(const struct peer *peer, const struct keyring *before)
{
    const struct transport *transport = peer->transport;
    const char *identity;

    if (!peer->tls || !before || !transport->keyring)
        return transport->keyring != before;
    identity = tls_identity(peer->tls);
    return !keyring_agree(before, transport->keyring, identity) ||
           (peer->outgoing && connector_should_switch(transport, before, identity));
}

void peers_revoke(struct transport *transport, const struct keyring *before)
{
    for (uint32_t slot = 0; slot < transport->slots && !transport->closed; slot++)
        if (transport->peers[slot] && is_revoked(transport->peers[slot], before))
            peer_drop(transport, slot, -EKEYREVOKED);
}

void peers_review(struct transport *transport)
{
    __attribute__((cleanup(transport_unrefp))) struct transport *held = transport_ref(transport);

    for (uint32_t slot = 0; slot < held->slots && !held->closed; slot++) {
        const struct peer *peer = held->peers[slot];
        struct sockaddr_storage remote = {0};
        socklen_t size = sizeof(remote);

        if (peer && !peer->outgoing &&
            getpeername(peer->fd, (struct sockaddr *)&remote, &size) == 0 &&
            !guard_permits(held->guard, (struct sockaddr *)&remote))
            peer_drop(held, slot, -EACCES);
    }
}
