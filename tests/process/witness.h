/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * witness: a slave that answers at once, counts for nothing, and notes when the master speaks.
 *
 * Three things tell how much a master is held up: how far from their beat it sends the POLLs of
 * a round, how long a round lasts up to CORRECT, both by its own stamps, and how long after
 * the witness sent its last REPLY the CORRECT arrives.
 */
#ifndef BERKELEY_TESTS_WITNESS_H
#define BERKELEY_TESTS_WITNESS_H

#include "harness.h"

struct witness;

struct witness_figures {
    size_t count;
    double p50_ms, p99_ms, max_ms;
};

struct witness *witness_start(struct harness *harness, uint16_t port, const struct secret_key *key);
/* Waits for so many rounds more; false: the master is gone, or it took longer. */
bool witness_wait(struct harness *harness, struct witness *witness, unsigned rounds,
                  double seconds);
/* From now on only look at what follows. */
void witness_mark(struct witness *witness);
/* |time from POLL k to POLL k of the next round - interval|, as sent. */
struct witness_figures witness_beat(const struct witness *witness);
/* From the first POLL to the CORRECT, as sent. */
struct witness_figures witness_length(const struct witness *witness);
/* From the last REPLY to the CORRECT, here. */
struct witness_figures witness_answer(const struct witness *witness);
/* Rounds after the mark, and how many of them in between never came. */
unsigned witness_rounds(const struct witness *witness, unsigned *missing);
pid_t witness_pid(const struct witness *witness);
void witness_stop(struct witness *witness);

#endif
