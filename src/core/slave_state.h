/* SPDX-License-Identifier: BSD-2-Clause */
/* slave_state: what the parts of the slave machine share. */
#ifndef BERKELEY_CORE_SLAVE_STATE_H
#define BERKELEY_CORE_SLAVE_STATE_H

#include "core/slave.h"

/* One connection to a master; all zero without one. */
struct session {
    bool up, welcomed;
    uint32_t peer;
    char address[MACHINE_ADDRESS_SIZE];
    char name[WIRE_NAME_SIZE]; /* the master's */
    uint8_t minor;
    int64_t interval_ns;
    int64_t heard_raw_ns; /* last word of the master */
    uint32_t sequence;    /* of our frames */
    uint32_t heard_sequence; /* of the master's last one */
    uint32_t round;       /* of the newest CORRECT taken */
    uint32_t correct_sequence;
    int64_t correct_raw_ns;
    uint32_t reply_sequence; /* last REPLY whose departure the kernel told */
    int64_t reply_raw_ns;
    uint8_t told_state;      /* the master knows; enum sync_state */
    unsigned refused;        /* of its frames */
    bool useless;            /* no CORRECT was of use ... */
    int64_t useless_raw_ns;  /* ... since then */
};

struct slave {
    struct slave_config config;
    struct discipline *discipline;
    struct session session;
    struct clock_status status; /* of the last tick */
    uint8_t verdict;
    uint16_t counted, present;
    uint32_t round;
    int64_t mapped_raw_ns;      /* when the last map came */
    int64_t followed_total_ns;  /* A then */
    bool report_due, foreign_due;
    int64_t outstanding_ns;
    uint64_t refused[REFUSAL_COUNT_];
    double freq_ppb;            /* in force since the last tick: what it ordered */
};

/* slave_say.c */
void slave_say_hello(struct slave *slave, struct actions *actions);
void slave_say_bye(struct slave *slave, enum bye_reason reason, struct actions *actions);
void slave_say_reply(struct slave *slave, const struct wire_poll *poll, const struct event *event,
                     struct actions *actions);
void slave_say_report(struct slave *slave, const struct discipline_outcome *outcome,
                      struct actions *actions);

#endif
