/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard: who may knock, and how often: judged by address alone, before anything is read.
 *
 * Rates are kept for each IPv4 address and each IPv6 /64, in a table of fixed size; where more
 * addresses knock than it holds, the least recent give way.
 */
#ifndef BERKELEY_DAEMON_GUARD_H
#define BERKELEY_DAEMON_GUARD_H

#include "daemon/prefix.h"

#include <stddef.h>

#define GUARD_PREFIXES_MAX 64
#define GUARD_PLACES 4096 /* addresses whose rate is known */
#define GUARD_BITS4 32    /* of an address that count as one ... */
#define GUARD_BITS6 64

struct guard_rules {
    struct prefix allow[GUARD_PREFIXES_MAX]; /* none: all */
    size_t allowed;
    struct prefix deny[GUARD_PREFIXES_MAX]; /* wins */
    size_t denied;
    unsigned per_second; /* connections of one address, sustained; twice that in a burst; 0: any */
};

enum guard_verdict {
    GUARD_ADMITTED = 0,
    GUARD_DENIED, /* by deny, or not in allow */
    GUARD_TOO_OFTEN,
};

struct guard;

/* NULL when out of memory. */
struct guard *guard_new(const struct guard_rules *rules);
void guard_free(struct guard *guard);

/* Other rules; the rates known stay. */
void guard_rule(struct guard *guard, const struct guard_rules *rules);

/* Takes note of the attempt; those refused take nothing from what is admitted later.
 * now_us: CLOCK_MONOTONIC. */
enum guard_verdict guard_judge(struct guard *guard, const struct sockaddr *address,
                               uint64_t now_us);
/* By deny and allow alone: for connections that stand. */
bool guard_permits(const struct guard *guard, const struct sockaddr *address);

#endif
