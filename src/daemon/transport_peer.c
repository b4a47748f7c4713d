/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/transport_peer.h"

#include "core/wire.h"
#include "daemon/journal.h"
#include "daemon/transport_stamps.h"

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
/* Asked for the first time, the kernel begins to stamp a moment later. */
#define STAMPS_PATIENCE 16 /* frames each way */
#define COLLECT_MAX (2 * STAMPS_WAITING_MAX)

struct peer {
    unsigned refs;               /* the slot's, and one while input is handed over */
    struct transport *transport; /* NULL once detached */
    uint32_t slot;
    bool outgoing;
    int fd;
    int broken; /* -errno of a failed write */
    sd_event_source *io;
    char address[TRANSPORT_ADDRESS_SIZE];
    struct {
        bool asked;  /* for the kernel's */
        bool judged; /* and said what came of it */
        bool arrivals, departures; /* some were stamped */
        unsigned in, out;          /* frames meanwhile */
    } stamps;
    struct departures_due due;
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

    if (n >= 0) {
        departures_written(&peer->due, (size_t)n);
        return n;
    }
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

/* Says once which stamps are used here, when it is clear. */
static void peer_judge_stamps(struct peer *peer)
{
    const char *missing = peer->stamps.arrivals     ? " of departures"
                          : peer->stamps.departures ? " of arrivals"
                                                    : "";

    if (!peer->stamps.asked || peer->stamps.judged)
        return;
    if (peer->stamps.arrivals && peer->stamps.departures)
        journal_debug("%s: kernel timestamps.", peer->address);
    else if (peer->stamps.in >= STAMPS_PATIENCE && peer->stamps.out >= STAMPS_PATIENCE)
        journal_info("%s: no kernel timestamps%s, using our own.", peer->address, missing);
    else
        return;
    peer->stamps.judged = true;
}

static void peer_ask_for_stamps(struct peer *peer)
{
    if (!peer->transport->handler.convert)
        return;
    if (stamps_enable(peer->fd) == 0)
        peer->stamps.asked = true;
    else
        journal_info("%s: no kernel timestamps, using our own.", peer->address);
}

static void peer_collect(struct peer *peer)
{
    uint32_t last_byte;
    int64_t real_ns;
    int r = 0;

    for (unsigned i = 0; i < COLLECT_MAX && r != -EAGAIN && peer->transport; i++) {
        const struct transport_handler *handler = &peer->transport->handler;
        struct departing frame;
        struct reading left;

        r = peer->stamps.asked ? stamps_depart(peer->fd, &last_byte, &real_ns) : -EAGAIN;
        if (r < 0 || departures_match(&peer->due, last_byte, &frame) < 0)
            continue;
        peer->stamps.departures = true;
        peer_judge_stamps(peer);
        if (handler->convert(handler->context, real_ns, &left) >= 0)
            handler->stamped(handler->context, peer->slot, frame.type, frame.sequence, left.raw_ns);
    }
}

void transport_collect(struct transport *transport, uint32_t slot)
{
    __attribute__((cleanup(peer_unrefp))) struct peer *peer = peer_at(transport, slot);

    if (!peer)
        return;
    peer->refs++;
    if (!peer->stamps.judged || peer->stamps.departures) /* the loop would see to it all the same */
        peer_collect(peer);
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

        if (!peer_pay(peer))
            return -EBUSY;
        peer->stamps.in++;
        handler->frame(handler->context, peer->slot, peer->in + at, length, arrived, source);
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
    int64_t real_ns = 0;
    ssize_t n = stamps_receive(peer->fd, peer->in + peer->in_length, IN_SIZE - peer->in_length,
                               &real_ns);
    int r = n < 0 ? (int)n : 0;
    enum stamp_source source;
    struct reading arrived;

    if (r == -EAGAIN || r == -EINTR)
        return;
    if (n <= 0) {
        peer_drop(peer->transport, peer->slot, peer->broken < 0 ? peer->broken : r);
        return;
    }
    source = peer_stamp_arrival(peer, real_ns, &arrived);
    peer->in_length += (size_t)n;
    r = peer_deliver(peer, &arrived, source);
    if (r < 0)
        peer_drop(peer->transport, peer->slot, r);
    else if (peer->transport)
        peer_judge_stamps(peer);
}

static int peer_dispatch(sd_event_source *source, int fd, uint32_t events, void *context)
{
    __attribute__((cleanup(peer_unrefp))) struct peer *peer = context;

    (void)source, (void)fd;
    peer->refs++;
    if ((events & EPOLLOUT) && peer->rest_length > 0)
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

int peer_open(struct transport *transport, int fd, bool outgoing, const char *address,
              uint32_t *slot)
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
    strncpy(peer->address, address, sizeof(peer->address) - 1);
    peer->fd = fd;
    peer->transport = transport;
    peer_ask_for_stamps(peer);
    transport->peers[found] = peer;
    transport->connected++;
    peer = NULL;
    *slot = found;
    return 0;
}

static void peer_expect_stamp(struct peer *peer, const uint8_t *frame, size_t rest)
{
    uint32_t sequence;
    uint8_t type;

    if (!peer->stamps.asked)
        return;
    wire_identify(frame, &type, &sequence);
    departures_expect(&peer->due, rest, type, sequence);
    peer->stamps.out++;
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
    if (stamped)
        peer_expect_stamp(peer, frame, length - (size_t)n);
    if (stamped && sent_raw_ns)
        *sent_raw_ns = now.raw_ns;
    return 0;
}
