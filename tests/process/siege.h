/* SPDX-License-Identifier: BSD-2-Clause */
/* siege: a master with a key, honest slaves, a witness among them, and an attack on it. */
#ifndef BERKELEY_TESTS_SIEGE_H
#define BERKELEY_TESTS_SIEGE_H

#include "attack.h"
#include "witness.h"

#define SIEGE_SLAVES 2
#define SIEGE_QUIET ATTACK_COUNT_ /* no attack at all */

struct siege {
    struct harness *harness;
    struct secret_key key;
    uint16_t port;
    struct process *master, *slaves[SIEGE_SLAVES];
    struct witness *witness;
    const char *control; /* the master's socket */
};

struct siege_result {
    double seconds, cpu; /* 1: a whole processor, the master's share of it */
    long rss_before_kib, rss_most_kib, rss_after_kib;
    struct witness_figures beat, length, answer;
    unsigned rounds, missing;
    uint64_t connects, handshakes, sent, closed;
    bool kept; /* the slaves are connected and synchronised as before */
};

/* False if they are not synchronised in time. */
bool siege_begin(struct siege *siege, struct harness *harness);
void siege_run(struct siege *siege, unsigned kind, double seconds, struct siege_result *result);
/* A number the master tells of itself by this name; UINT64_MAX: it does not. */
uint64_t siege_counter(struct siege *siege, const char *name);

#endif
