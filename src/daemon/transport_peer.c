/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/transport_peer.h"

#include "core/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define IN_SIZE ((size_t)4 * WIRE_FRAME_MAX)
#define DRAIN_READS 64
#define BURST_US UINT64_C(2000000) /* the full bucket, as time at the sustained rate */
#define FRAME_COST UINT64_C(1000000)
#define SLOTS_MIN 8

struct peer {
    unsigned refs;               /* the slot's, and one while input is handed over */
    struct transport *transport; /* NULL once detached */
    uint32_t slot;
    bool outgoing;
    int fd;
    int broken; /* -errno of a failed write */
    sd_event_source *io;
    uint64_t rate;      /* frames per second; credit gained per us */
    uint64_t credit;    /* FRAME_COST each frame */
    uint64_t credit_us; /* when it was last counted */
    size_t in_length;
    size_t rest_length;
    uint8_t in[IN_SIZE];
    uint8_t rest[WIRE_FRAME_MAX]; /* of a frame partly written */
};

static struct peer *peer_unref(struct peer *peer)
{
    if (peer && --peer->refs == 0)
        free(peer);
    return NULL;
}

static void peer_unrefp(struct peer **peer)
{
    (void)peer_unref(*peer);
}

static struct peer *peer_at(const struct transport *transport, uint32_t slot)
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
    (void)peer_unref(peer);
}

void peer_drop(struct transport *transport, uint32_t slot, int error)
{
    peer_detach(peer_at(transport, slot));
    transport->handler.down(transport->handler.context, slot, error);
}

/* Unread input would make close() reset the connection, and the reset could
 * destroy what was written but has not arrived yet. */
static void peer_drain(const struct peer *peer)
{
    uint8_t scratch[IN_SIZE];
    unsigned reads = 0;

    while (reads < DRAIN_READS && recv(peer->fd, scratch, sizeof(scratch), 0) > 0)
        reads++;
}

void transport_close(struct transport *transport, uint32_t slot)
{
    struct peer *peer = peer_at(transport, slot);

    if (!peer)
        return;
    peer_drain(peer);
    peer_detach(peer);
}

/* Input that is there already is still read; then the loop finds the end. */
static void peer_break(struct peer *peer, int error)
{
    peer->broken = error;
    peer->rest_length = 0;
    (void)sd_event_source_set_io_events(peer->io, EPOLLIN);
    (void)shutdown(peer->fd, SHUT_RDWR);
}

static ssize_t peer_write(struct peer *peer, const uint8_t *bytes, size_t length)
{
    ssize_t n = send(peer->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    int error = errno;

    if (n >= 0)
        return n;
    if (error == EAGAIN || error == EINTR || error == ENOBUFS || error == ENOMEM)
        return -EAGAIN;
    peer_break(peer, -error);
    return -error;
}

static void peer_flush(struct peer *peer)
{
    ssize_t n = peer_write(peer, peer->rest, peer->rest_length);

    if (n < 0)
        return;
    peer->rest_length -= (size_t)n;
    memmove(peer->rest, peer->rest + n, peer->rest_length);
    if (peer->rest_length == 0)
        (void)sd_event_source_set_io_events(peer->io, EPOLLIN);
}

static bool peer_pay(struct peer *peer)
{
    uint64_t now_us = transport_now_us(peer->transport);
    uint64_t passed_us = now_us - peer->credit_us;
    uint64_t full = BURST_US * peer->rate;

    if (passed_us >= BURST_US || peer->credit + passed_us * peer->rate > full)
        peer->credit = full;
    else
        peer->credit += passed_us * peer->rate;
    peer->credit_us = now_us;
    if (peer->credit < FRAME_COST)
        return false;
    peer->credit -= FRAME_COST;
    return true;
}

/* Hands over all whole frames. 0, also if an upcall closed the peer; or -errno
 * if the peer deserves to be dropped. */
static int peer_deliver(struct peer *peer, const struct reading *arrived)
{
    size_t at = 0, length;
    int r;

    while ((r = wire_frame_length(peer->in + at, peer->in_length - at, &length)) == 0 &&
           length <= peer->in_length - at) {
        const struct transport_handler *handler = &peer->transport->handler;

        if (!peer_pay(peer))
            return -EBUSY;
        handler->frame(handler->context, peer->slot, peer->in + at, length, arrived);
        if (!peer->transport)
            return 0;
        at += length;
    }
    peer->in_length -= at;
    memmove(peer->in, peer->in + at, peer->in_length);
    return r == -EAGAIN ? 0 : r;
}

static void peer_receive(struct peer *peer)
{
    const struct transport_handler *handler = &peer->transport->handler;
    ssize_t n = recv(peer->fd, peer->in + peer->in_length, IN_SIZE - peer->in_length, 0);
    int r = n < 0 ? -errno : 0;
    struct reading arrived;

    if (r == -EAGAIN || r == -EINTR)
        return;
    if (n <= 0) {
        peer_drop(peer->transport, peer->slot, peer->broken < 0 ? peer->broken : r);
        return;
    }
    handler->stamp(handler->context, &arrived);
    peer->in_length += (size_t)n;
    r = peer_deliver(peer, &arrived);
    if (r < 0)
        peer_drop(peer->transport, peer->slot, r);
}

static int peer_dispatch(sd_event_source *source, int fd, uint32_t events, void *context)
{
    __attribute__((cleanup(peer_unrefp))) struct peer *peer = context;

    (void)source, (void)fd;
    peer->refs++;
    if ((events & EPOLLOUT) && peer->rest_length > 0)
        peer_flush(peer);
    if (events & ~(uint32_t)EPOLLOUT)
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

int peer_open(struct transport *transport, int fd, bool outgoing, uint32_t *slot)
{
    __attribute__((cleanup(peer_unrefp))) struct peer *peer = NULL;
    uint32_t found;
    int r = peer_find_slot(transport, &found);

    if (r < 0)
        return r;
    peer = calloc(1, sizeof(*peer));
    if (!peer)
        return -ENOMEM;
    peer->refs = 1;
    peer->rate = transport->limits.frames_per_second;
    peer->credit = BURST_US * peer->rate;
    peer->credit_us = transport_now_us(transport);
    peer->outgoing = outgoing;
    peer->slot = found;
    r = sd_event_add_io(transport->loop, &peer->io, fd, EPOLLIN, peer_dispatch, peer);
    if (r < 0)
        return r;
    peer->fd = fd;
    peer->transport = transport;
    transport->peers[found] = peer;
    transport->connected++;
    peer = NULL;
    *slot = found;
    return 0;
}

int transport_send(struct transport *transport, uint32_t slot, const uint8_t *bytes, size_t length,
                   bool stamped, int64_t *sent_raw_ns)
{
    struct peer *peer = peer_at(transport, slot);
    uint8_t frame[WIRE_FRAME_MAX];
    struct reading now = {0};
    ssize_t n;

    assert(length >= WIRE_HEADER_SIZE && length <= sizeof(frame));
    if (!peer)
        return -ENOTCONN;
    if (peer->broken < 0)
        return peer->broken;
    if (peer->rest_length > 0)
        return -EAGAIN;
    memcpy(frame, bytes, length);
    if (stamped) {
        int r;

        transport->handler.stamp(transport->handler.context, &now);
        r = wire_stamp(frame, length, &now, STAMP_USER);
        if (r < 0)
            return r;
    }
    n = peer_write(peer, frame, length);
    if (n < 0)
        return (int)n;
    if ((size_t)n < length) {
        peer->rest_length = length - (size_t)n;
        memcpy(peer->rest, frame + n, peer->rest_length);
        (void)sd_event_source_set_io_events(peer->io, EPOLLIN | EPOLLOUT);
    }
    if (stamped && sent_raw_ns)
        *sent_raw_ns = now.raw_ns;
    return 0;
}
