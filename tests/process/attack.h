/* SPDX-License-Identifier: BSD-2-Clause */
/* attack: peers that mean harm to a master, from many addresses of loopback, in a process of
 * their own that does nothing else. */
#ifndef BERKELEY_TESTS_ATTACK_H
#define BERKELEY_TESTS_ATTACK_H

#include "harness.h"

#include <stdatomic.h>

enum attack_kind {
    ATTACK_CONNECTS,    /* thousands of connections a second that say nothing */
    ATTACK_UNKNOWN,     /* the same with a good first flight of a key that is not known */
    ATTACK_REPLAYS,     /* with the first flight of a good key, again and again, and no more */
    ATTACK_TRICKLE,     /* a good first flight at one byte a second, on as many as are allowed */
    ATTACK_DEAF,        /* a slave that never reads */
    ATTACK_FRAMES,      /* a slave that sends valid frames as fast as it can */
    ATTACK_GARBAGE,     /* rubbish after a good handshake */
    ATTACK_RECORDS,     /* records of 16 KiB after a good handshake */
    ATTACK_KEY_UPDATES, /* new session keys, as often as it can */
    ATTACK_COUNT_
};

const char *attack_name(enum attack_kind kind);

/* What it did; grows. */
struct attack_counts {
    _Atomic uint64_t connects;   /* connections begun */
    _Atomic uint64_t handshakes; /* brought to their end */
    _Atomic uint64_t sent;       /* frames, records, flights, or bytes at one a time */
    _Atomic uint64_t closed;     /* by the master */
};

struct attack;

/* key: known to the master. */
struct attack *attack_start(struct harness *harness, enum attack_kind kind, uint16_t port,
                            const struct secret_key *key);
pid_t attack_pid(const struct attack *attack);
const struct attack_counts *attack_counts(const struct attack *attack);
void attack_stop(struct attack *attack);

#endif
