/* SPDX-License-Identifier: BSD-2-Clause */
/* What leaves: frames, and the word on when they left. */
#include "daemon/journal.h"
#include "daemon/transport_slot.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

/* Asked for the first time, the kernel begins to stamp a moment later. */
#define STAMPS_PATIENCE 16 /* frames each way */
#define COLLECT_MAX (2 * STAMPS_WAITING_MAX)

/* What was begun and has to be ended before anything else. */
static const uint8_t *unsent(const struct peer *peer, size_t *length)
{
    if (peer->tls)
        return tls_output(peer->tls, length);
    *length = peer->rest_length;
    return peer->rest;
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

/* The first n bytes of unsent() left. */
static void forget_sent(struct peer *peer, size_t n)
{
    if (peer->tls) {
        tls_sent(peer->tls, n);
        return;
    }
    peer->rest_length -= n;
    memmove(peer->rest, peer->rest + n, peer->rest_length);
}

void peer_flush(struct peer *peer)
{
    size_t length;
    const uint8_t *bytes = unsent(peer, &length);
    ssize_t n = length > 0 ? peer_write(peer, bytes, length) : 0;

    if (n < 0 && n != -EAGAIN)
        return;
    if (n > 0)
        forget_sent(peer, (size_t)n);
    (void)unsent(peer, &length);
    (void)sd_event_source_set_io_events(peer->io, length > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void peer_say_over(struct peer *peer)
{
    size_t length;
    const uint8_t *bytes;

    if (!peer->tls || peer->broken < 0)
        return;
    tls_close(peer->tls);
    bytes = tls_output(peer->tls, &length);
    if (length > 0)
        (void)!send(peer->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void peer_judge_stamps(struct peer *peer)
{
    const char *missing = peer->stamps.arrivals     ? " of departures"
                          : peer->stamps.departures ? " of arrivals"
                                                    : "";

    if (!peer->stamps.asked || peer->stamps.judged)
        return;
    if (peer->stamps.arrivals && peer->stamps.departures)
        journal_debug("%s: kernel timestamps.", peer->address);
    else if (peer->stamps.in >= STAMPS_PATIENCE && peer->stamps.out >= STAMPS_PATIENCE)
        journal_info("%s: no kernel timestamps%s; the daemon's own are used, which are less exact.",
                     peer->address, missing);
    else
        return;
    peer->stamps.judged = true;
}

void peer_collect(struct peer *peer)
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

/* True if departures are told by nobody but ourselves. */
static bool stamps_itself(const struct peer *peer)
{
    return !peer->stamps.asked || (peer->stamps.judged && !peer->stamps.departures);
}

static void tell_sealed(struct peer *peer)
{
    const struct transport_handler *handler = &peer->transport->handler;

    if (!peer->sealed.due)
        return;
    peer->sealed.due = false;
    if (handler->stamped && stamps_itself(peer))
        handler->stamped(handler->context, peer->slot, peer->sealed.type, peer->sealed.sequence,
                         peer->sealed.raw_ns);
}

void transport_collect(struct transport *transport, uint32_t slot)
{
    __attribute__((cleanup(peer_unrefp))) struct peer *peer = peer_ref(peer_at(transport, slot));

    if (!peer)
        return;
    tell_sealed(peer);
    if (!peer->transport)
        return;
    if (!peer->stamps.judged || peer->stamps.departures) /* the loop would see to it all the same */
        peer_collect(peer);
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

/* What was in the frame, taken before it was encrypted, is too early by that. */
static void note_sealed(struct peer *peer, const uint8_t *frame)
{
    const struct transport_handler *handler = &peer->transport->handler;
    struct reading now;

    handler->stamp(handler->context, &now);
    wire_identify(frame, &peer->sealed.type, &peer->sealed.sequence);
    peer->sealed.raw_ns = now.raw_ns;
    peer->sealed.due = true;
}

/* As a record, or in clear.  Bytes still unsent, or -errno with nothing begun. */
static ssize_t write_frame(struct peer *peer, const uint8_t *frame, size_t length, bool stamped)
{
    size_t left = length;
    ssize_t n;
    int r;

    if (!peer->tls) {
        n = peer_write(peer, frame, length);
        if (n < 0)
            return n;
        peer->rest_length = length - (size_t)n;
        memcpy(peer->rest, frame + n, peer->rest_length);
        return (ssize_t)peer->rest_length;
    }
    r = tls_seal(peer->tls, frame, length);
    if (r < 0) {
        if (r != -ENOBUFS)
            peer_break(peer, r);
        return r == -ENOBUFS ? -EAGAIN : r;
    }
    if (stamped && stamps_itself(peer))
        note_sealed(peer, frame);
    frame = tls_output(peer->tls, &left);
    n = peer_write(peer, frame, left); /* a record that was made has to follow, late or not */
    if (n < 0 && n != -EAGAIN)
        return n;
    if (n > 0)
        tls_sent(peer->tls, (size_t)n);
    return (ssize_t)left - (n > 0 ? n : 0);
}

int transport_send(struct transport *transport, uint32_t slot, const uint8_t *bytes, size_t length,
                   bool stamped, int64_t *sent_raw_ns)
{
    struct peer *peer = peer_at(transport, slot);
    uint8_t frame[WIRE_FRAME_MAX];
    struct reading now = {0};
    size_t before;
    ssize_t left;

    assert(length >= WIRE_HEADER_SIZE && length <= sizeof(frame));
    if (!peer)
        return -ENOTCONN;
    if (peer->broken < 0)
        return peer->broken;
    (void)unsent(peer, &before);
    transport->counters.frames_unsent += before > 0;
    if (before > 0)
        return -EAGAIN;
    memcpy(frame, bytes, length);
    if (stamped) {
        int r;

        transport->handler.stamp(transport->handler.context, &now);
        r = wire_stamp(frame, length, &now, STAMP_USER);
        if (r < 0)
            return r;
    }
    left = write_frame(peer, frame, length, stamped);
    transport->counters.frames_unsent += left == -EAGAIN;
    if (left < 0)
        return (int)left;
    transport->counters.frames_out++;
    if (left > 0)
        (void)sd_event_source_set_io_events(peer->io, EPOLLIN | EPOLLOUT);
    if (stamped)
        peer_expect_stamp(peer, frame, (size_t)left);
    if (stamped && sent_raw_ns)
        *sent_raw_ns = now.raw_ns;
    return 0;
}
