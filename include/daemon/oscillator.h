/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oscillator: the emulated machine's RAW as a function of the host's.  Its
 * frequency takes a step of a random walk every 100 ms of host time; integers
 * and its own random numbers make everybody who advances a copy get the same.
 */
#ifndef BERKELEY_DAEMON_OSCILLATOR_H
#define BERKELEY_DAEMON_OSCILLATOR_H

#include <stdbool.h>
#include <stdint.h>

#define OSCILLATOR_FREQUENCY_MAX_PPB 1e8
#define OSCILLATOR_WANDER_MAX_PPB 1e5

/* Plain data without pointers or padding. */
struct oscillator {
    int64_t host_ns;      /* host RAW up to which it has run */
    int64_t raw_ns;       /* its own RAW there */
    uint64_t raw_frac;    /* and the fraction below it, 2^-60 ns */
    int64_t step_host_ns; /* when the frequency takes its next step */
    double frequency_ppb;
    double wander_ppb; /* sd of the walk after one second */
    uint64_t random;
};

/* Running from host RAW host_ns on, its own RAW somewhere within 10^6 s, by the
 * seed.  False if frequency or wander are beyond the limits above. */
bool oscillator_init(struct oscillator *oscillator, int64_t host_ns, double frequency_ppb,
                     double wander_ppb, uint64_t seed);

/* Runs forward to host RAW host_ns; earlier instants are ignored. */
void oscillator_advance(struct oscillator *oscillator, int64_t host_ns);

/* The host was booted anew and its RAW started again: goes on from there. */
void oscillator_rebase(struct oscillator *oscillator, int64_t host_ns);

bool oscillator_valid(const struct oscillator *oscillator);

#endif
