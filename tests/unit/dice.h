/* SPDX-License-Identifier: BSD-2-Clause */
/* dice: random numbers that a seed repeats; BERKELEY_TEST_SEED sets another.  A fuzzer's bytes
 * take their place for as long as there are any. */
#ifndef BERKELEY_TESTS_DICE_H
#define BERKELEY_TESTS_DICE_H

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct dice {
    uint64_t seed;
    uint64_t state;
    const uint8_t *bytes; /* those still to be used; NULL: a seed's alone */
    size_t left;
};

/* Like assert_true(), and says how to repeat it.  Needs cmocka.h. */
#define assert_dice(dice, condition)                                                   \
    do {                                                                               \
        if (!(condition))                                                              \
            fail_msg("%s (BERKELEY_TEST_SEED=%" PRIu64 ")", #condition, (dice)->seed); \
    } while (0)

static inline struct dice dice_new(void)
{
    const char *text = getenv("BERKELEY_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 1989;

    return (struct dice){.seed = seed, .state = seed};
}

/* No more bytes than a number up to `most` needs. */
static inline uint64_t dice_take(struct dice *dice, uint64_t most)
{
    uint64_t value = 0;

    for (; most > 0 && dice->left > 0; most >>= 8, dice->left--)
        value = value << 8 | *dice->bytes++;
    return value;
}

/* A Weyl sequence through a 64-bit mixer. */
static inline uint64_t dice_u64(struct dice *dice)
{
    uint64_t z;

    if (dice->left > 0)
        return dice_take(dice, UINT64_MAX);
    z = dice->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t dice_below(struct dice *dice, uint64_t limit)
{
    return (dice->left > 0 ? dice_take(dice, limit - 1) : dice_u64(dice)) % limit;
}

/* From min to max, both included; max - min fits int64_t. */
static inline int64_t dice_between(struct dice *dice, int64_t min, int64_t max)
{
    return min + (int64_t)dice_below(dice, (uint64_t)(max - min) + 1);
}

#endif
