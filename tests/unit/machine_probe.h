/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * machine_probe: one machine, master or slave, fed by hand.  Each event clears
 * the actions of the one before.  Fails the test for an ACTION_SEND that does not
 * decode and for an action on a connection that is not open.
 */
#ifndef BERKELEY_TESTS_MACHINE_PROBE_H
#define BERKELEY_TESTS_MACHINE_PROBE_H

#include "core/master.h"
#include "core/slave.h"

#define PROBE_PEERS 24

struct probe {
    struct master *master; /* one of these two */
    struct slave *slave;
    struct actions actions;
    struct reading now;
    bool open[PROBE_PEERS];
    bool unread;      /* nothing that is sent leaves: no EVENT_SENT */
    enum stamp_source source; /* of what arrives */
    unsigned panics;
    uint32_t sequence; /* of the frames made here */
};

/* Valid to start from; `limits` are the daemon's defaults. */
struct master_config probe_master_config(void);
struct slave_config probe_slave_config(void);

void probe_master(struct probe *probe, const struct master_config *config);
void probe_slave(struct probe *probe, const struct slave_config *config);
void probe_free(struct probe *probe);

void probe_wait(struct probe *probe, int64_t span_ns);
void probe_wake(struct probe *probe);
void probe_tick(struct probe *probe);
void probe_tick_status(struct probe *probe, const struct clock_status *status);
void probe_up(struct probe *probe, uint32_t peer);
/* With a key of its own. */
void probe_up_as(struct probe *probe, uint32_t peer, const char *owner);
void probe_down(struct probe *probe, uint32_t peer, unsigned reason);
void probe_stop(struct probe *probe);
/* What the kernel says of a frame that left. */
void probe_stamped(struct probe *probe, uint32_t peer, uint32_t sequence, unsigned type,
                   int64_t raw_ns);
void probe_frame(struct probe *probe, uint32_t peer, struct wire_frame frame);
/* What an honest slave whose RAW is so far ahead answers a millisecond later. */
struct wire_frame probe_reply(struct probe *probe, const struct wire_frame *poll, int64_t ahead_ns);
void probe_bytes(struct probe *probe, uint32_t peer, const uint8_t *bytes, size_t length);

/* What the last event led to. */
unsigned probe_count(const struct probe *probe, enum action_kind kind);
const struct note *probe_note(const struct probe *probe, enum note_kind kind); /* NULL: none */
bool probe_closed(const struct probe *probe, uint32_t peer);
/* The last frame of that type to that peer; false if there is none. */
bool probe_sent(const struct probe *probe, uint32_t peer, unsigned type, struct wire_frame *frame);
/* The frame was refused for that reason, and nothing else came of it. */
void probe_assert_refused(const struct probe *probe, enum refusal refusal);
/* BYE with this reason, then closed. */
void probe_assert_dismissed(const struct probe *probe, uint32_t peer, enum bye_reason reason);

struct wire_frame probe_hello(const char *name, uint8_t id);
struct wire_frame probe_welcome(void);

#endif
