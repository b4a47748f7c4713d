/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dice: random numbers that a seed repeats.  Whatever is random has a stream of
 * its own, so that more throws in one place change nothing in another.
 */
#ifndef BERKELEY_SIM_DICE_H
#define BERKELEY_SIM_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
    uint64_t state;
    double spare; /* the second of a pair of normal ones */
    bool has_spare;
};

/* What a stream is for; `index` tells nodes apart. */
enum dice_use {
    DICE_CLOCK = 1, /* offset, frequency, boot */
    DICE_CRYSTAL,
    DICE_STAMP,
    DICE_TIMER,
    DICE_UP,
    DICE_DOWN,
    DICE_CONNECT,
    DICE_LIE,
    DICE_SEAL,
};

struct dice dice_new(uint64_t seed, enum dice_use use, uint64_t index);

uint64_t dice_u64(struct dice *dice);
double dice_unit(struct dice *dice);                /* 0 <= u < 1 */
double dice_around(struct dice *dice, double half); /* uniform within +- half */
double dice_exponential(struct dice *dice, double mean);
double dice_normal(struct dice *dice); /* mean 0, sd 1 */
bool dice_chance(struct dice *dice, double chance);

#endif
