/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * machine: what goes into the master and slave machines and what comes out.
 *
 * A machine takes one event at a time and appends the actions that follow from
 * it to a queue.  It reads no clock and touches no socket: the daemon (or the
 * simulator) does what the actions say, in order.
 */
#ifndef BERKELEY_CORE_MACHINE_H
#define BERKELEY_CORE_MACHINE_H

#include "core/discipline.h"
#include "core/timestamp.h"
#include "core/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A peer is a connection, named by its slot: small, dense, free for reuse after
 * its EVENT_DOWN or the machine's own ACTION_CLOSE. */
#define MACHINE_NO_PEER UINT32_MAX
#define MACHINE_ADDRESS_SIZE 64

enum event_kind {
    EVENT_WAKE,  /* the time that *_wake_at() asked for has come (early or late is fine) */
    EVENT_TICK,  /* once a second, with the clock's status */
    EVENT_UP,    /* a connection stands */
    EVENT_DOWN,  /* a connection is gone */
    EVENT_FRAME, /* one whole frame arrived */
    EVENT_SENT,  /* a frame of ACTION_SEND left; the stamp that was put into it */
    EVENT_STAMPED, /* the kernel's word on when it left: after EVENT_SENT, late, or never */
    EVENT_STOP,  /* the daemon stops: say good-bye */
};

struct event {
    enum event_kind kind;
    uint32_t peer;
    struct reading now; /* this machine's clock, as the event is handed over */
    union {
        struct clock_status tick;
        struct {
            char address[MACHINE_ADDRESS_SIZE]; /* for people */
            char owner[WIRE_NAME_SIZE]; /* the only node whose key it is; "": shared, or none */
        } up;
        struct {
            unsigned reason; /* enum bye_reason if the other end is to blame, else 0 */
        } down;
        struct {
            const uint8_t *bytes; /* borrowed for the call */
            size_t length;
            struct reading arrived;
            enum stamp_source source;
        } frame;
        struct {
            uint32_t sequence;
            uint8_t type; /* enum wire_type */
            int64_t raw_ns;
        } sent; /* EVENT_SENT and EVENT_STAMPED */
    };
};

/* What people may want to know; the daemon turns these into journal lines. */
enum note_kind {
    NOTE_SLAVE_JOINED,    /* master: name, address */
    NOTE_SLAVE_LEFT,      /* master: name, address, reason (enum bye_reason or 0) */
    NOTE_SLAVE_REPLACED,  /* master: name, address: a newer connection took over */
    NOTE_PEER_REFUSED,    /* both: address, name if known, reason (enum bye_reason) */
    NOTE_FRAME_REFUSED,   /* both: name/address, reason (enum refusal), count so far */
    NOTE_GROUP_FORMED,    /* master: counted, present, offset_ns = spread at start */
    NOTE_QUORUM_LOST,     /* master: counted, present; state = 1: at a cold start, 2: fewer than
                           * the quorum, count, for some rounds */
    NOTE_QUORUM_BACK,     /* master: counted, present */
    NOTE_CLOCK_EXCLUDED,  /* master: name, verdict, offset_ns, freq_ppb, limit_ns */
    NOTE_CLOCK_IN,        /* master: name, offset_ns: counted from now on */
    NOTE_CLOCK_JUMPED,    /* master: name, count: its RAW clock is not what it was, so often since
                           * this was said last */
    NOTE_ROUND,           /* master, debug: of a group that has a time: round, counted, present,
                           * count = excluded, offset_ns = spread; own: state, verdict,
                           * correction_ns, bound_ns; duration_ns = first POLL to decision */
    NOTE_MASTER_FOUND,    /* slave: name, address */
    NOTE_MASTER_LOST,     /* slave: name, address, reason */
    NOTE_CORRECTION,      /* slave, debug: round, correction_ns, bound_ns, verdict, counted,
                           * present, delay_ns = how long this CORRECT took, by the group's time
                           * at both ends (0: unknown) */
    NOTE_VERDICT,         /* slave: the master's verdict on this clock changed: verdict, offset_ns */
    NOTE_STATE,           /* both: state, offset_ns (outstanding), bound_ns */
    NOTE_STEPPED,         /* both: correction_ns: the one step before the first synchronisation;
                           * state = 1: a person asked for it */
    NOTE_FOREIGN_STEP,    /* both: offset_ns */
    NOTE_SUSPENDED,       /* both */
    NOTE_BEYOND,          /* both: freq_ppb asked for */
    NOTE_PANIC,           /* both: correction_ns, limit_ns */
    NOTE_COUNT_
};

/* Why a machine would not use a frame: counted per connection and named. */
enum refusal {
    REFUSAL_NONE = 0,
    REFUSAL_VERSION,      /* the wire faults ... */
    REFUSAL_TYPE,
    REFUSAL_LENGTH,
    REFUSAL_RANGE,
    REFUSAL_NAME,
    REFUSAL_TURN,         /* a frame of the wrong direction or before HELLO/WELCOME */
    REFUSAL_ROUND,        /* not of this round, or an exchange nobody asked for */
    REFUSAL_REPEATED,     /* an answer or correction that was there before */
    REFUSAL_LATE,         /* after its round's deadline */
    REFUSAL_IMPOSSIBLE,   /* stamps that contradict each other */
    REFUSAL_EPOCH,        /* computed from samples older than this clock's last jump */
    REFUSAL_MAP,          /* a map no clock could follow */
    REFUSAL_SEQUENCE,     /* its number is not above that of the frame before */
    REFUSAL_CHANGED,      /* a later WELCOME of another master or group */
    REFUSAL_PANIC,        /* a correction beyond panic_threshold */
    REFUSAL_COUNT_
};

struct note {
    enum note_kind kind;
    char name[WIRE_NAME_SIZE];
    char address[MACHINE_ADDRESS_SIZE];
    uint32_t round;
    unsigned counted, present;
    unsigned count;
    uint8_t state, verdict;
    unsigned reason;
    int64_t offset_ns, correction_ns, bound_ns, limit_ns, delay_ns, duration_ns;
    double freq_ppb;
};

enum action_kind {
    ACTION_SEND,  /* to peer; if stamped, wire_stamp() it at the write and answer with EVENT_SENT */
    ACTION_CLOSE, /* drop the peer after what was sent; the slot is free, no EVENT_DOWN follows */
    ACTION_STEER, /* tell the clock */
    ACTION_STEP,  /* add step_ns to the clock, now, before anything that follows */
    ACTION_NOTE,
    ACTION_PANIC, /* leave with the panic exit code */
};

struct action {
    enum action_kind kind;
    uint32_t peer;
    union {
        struct {
            uint8_t bytes[WIRE_FRAME_MAX];
            size_t length;
            bool stamped;
        } send;
        struct order steer;
        int64_t step_ns;
        struct note note;
    };
};

/* A growing queue of actions.  Zero-initialise; free with actions_free(). */
struct actions {
    struct action *items;
    size_t count;
    size_t capacity;
    bool lost;             /* out of memory: at least one action is missing */
    struct action scratch; /* what is filled in instead */
};

/* Appends an empty action of this kind and returns it to be filled in; when out
 * of memory, sets `lost` and returns a scratch action. The pointer is good until
 * the next call. */
struct action *actions_add(struct actions *actions, enum action_kind kind, uint32_t peer);
struct note *actions_note(struct actions *actions, enum note_kind kind);
/* Encodes and appends; a frame that cannot be encoded is our own bug (asserted). */
void actions_send(struct actions *actions, uint32_t peer, const struct wire_frame *frame);
/* What discipline_tick() decided: the step and the order, in this order, and a
 * note for each of its events.  An outcome without `steer` gives notes only. */
void actions_discipline(struct actions *actions, const struct discipline_outcome *outcome,
                        enum sync_state state, int64_t panic_threshold_ns);
void actions_clear(struct actions *actions); /* keeps the memory */
void actions_free(struct actions *actions);

/* Lower-case words for the log and the counters. */
const char *refusal_name(unsigned refusal);

/* How long the other end may say nothing: what is configured, but two rounds in any case, or,
 * if that is 0, four of them, at least 10 s. */
int64_t machine_silence(int64_t configured_ns, int64_t interval_ns);

/* The refusal for what wire_decode() found (enum wire_fault). */
enum refusal refusal_from_faults(unsigned faults);

#define SUMMARY_LATE_NS (1000 * NS_PER_S)

/* The summary both roles can give of themselves, for STATUS= and the tools. */
struct summary {
    int64_t offset_ns;      /* now: how far this clock is ahead; 0 while nothing is known */
    int64_t outstanding_ns; /* what this clock still had to correct at the last tick */
    int64_t slew_left_ns;   /* of it: told to the kernel at the last tick, which delivers it */
    double max_slew_ppm;    /* how fast it is slewed at most now */
    int64_t bound_ns;       /* INT64_MAX: unknown */
    int64_t asymmetry_ns;   /* of it: what a path that differs from its way back could hide */
    int64_t late_bound_ns;  /* discipline_late_bound() SUMMARY_LATE_NS from now */
    int64_t spread_ns;      /* master: of the clocks that the last round counted */
    double freq_ppb;        /* ordered */
    enum sync_state state;
    unsigned counted, present;
    unsigned slaves;        /* master: connected ones */
    uint32_t round;
    uint8_t verdict;        /* enum clock_verdict on this clock */
    bool connected;         /* slave: WELCOME received */
    uint64_t refused[REFUSAL_COUNT_]; /* frames, since the start, by all peers together */
    char name[WIRE_NAME_SIZE]; /* slave: the master's */
};

#endif
