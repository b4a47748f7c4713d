/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport_slot: a peer's inside, for those who read from it and write to it.  Part of the
 * transport: nobody else includes this.
 */
#ifndef BERKELEY_DAEMON_TRANSPORT_SLOT_H
#define BERKELEY_DAEMON_TRANSPORT_SLOT_H

#include "daemon/transport_peer.h"
#include "daemon/transport_stamps.h"

#define PEER_IN_SIZE ((size_t)4 * WIRE_FRAME_MAX)

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
    struct tls *tls;    /* NULL: in clear */
    struct {
        bool due;
        uint8_t type;
        uint32_t sequence;
        int64_t raw_ns;
    } sealed; /* our own word on when the last frame left, taken after it was encrypted */
    size_t in_length;
    size_t rest_length;
    uint8_t in[PEER_IN_SIZE];
    uint8_t rest[WIRE_FRAME_MAX]; /* of a frame partly written, in clear */
};

/* NULL: nobody. */
struct peer *peer_at(const struct transport *transport, uint32_t slot);

/* For what may close the peer while it is in use. */
struct peer *peer_ref(struct peer *peer);
void peer_unrefp(struct peer **peer);

/* Writes what is left of what was begun. */
void peer_flush(struct peer *peer);
/* The kernel's stamps of departures, as far as they are there. */
void peer_collect(struct peer *peer);
/* Says once which stamps are used here, when it is clear. */
void peer_judge_stamps(struct peer *peer);
/* The last word to a peer that is closed. */
void peer_say_over(struct peer *peer);

#endif
