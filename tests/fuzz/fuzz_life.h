/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_life: the life of one machine among authenticated peers (tests/unit/machine_life.h),
 * with the input for dice: its bytes are the script of what happens. */
#ifndef BERKELEY_TESTS_FUZZ_LIFE_H
#define BERKELEY_TESTS_FUZZ_LIFE_H

#include "../unit/machine_life.h"
#include "fuzz.h"

#define FUZZ_SLAVE 0 /* seeds */
#define FUZZ_MASTER 1

static inline int fuzz_life(uint64_t seed, const uint8_t *data, size_t size)
{
    const struct dice dice = {.seed = seed, .state = seed, .bytes = data, .left = size};
    uint64_t events = 0;

    /* So that a failed assertion is a crash outside of a test, too. */
    must(setenv("CMOCKA_TEST_ABORT", "1", 1) == 0);
    if (size > 0)
        (void)life_run(&dice, &events);
    return 0;
}

#endif
