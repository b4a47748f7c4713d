/* SPDX-License-Identifier: BSD-2-Clause */
#include "dice.h"

#include <math.h>

#define WEYL UINT64_C(0x9e3779b97f4a7c15)
#define UNIT_BITS 53

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct dice dice_new(uint64_t seed, enum dice_use use, uint64_t index)
{
    return (struct dice){.state = mix(mix(mix(seed + WEYL) + (uint64_t)use) + index)};
}

uint64_t dice_u64(struct dice *dice)
{
    return mix(dice->state += WEYL);
}

double dice_unit(struct dice *dice)
{
    return (double)(dice_u64(dice) >> (64 - UNIT_BITS)) * 0x1p-53;
}

double dice_around(struct dice *dice, double half)
{
    return (2 * dice_unit(dice) - 1) * half;
}

double dice_exponential(struct dice *dice, double mean)
{
    return -mean * log(1 - dice_unit(dice));
}

/* Marsaglia's polar method: two at a time. */
double dice_normal(struct dice *dice)
{
    double u, v, square, factor;

    if (dice->has_spare) {
        dice->has_spare = false;
        return dice->spare;
    }
    do {
        u = dice_around(dice, 1);
        v = dice_around(dice, 1);
        square = u * u + v * v;
    } while (!(square > 0 && square < 1));
    factor = sqrt(-2 * log(square) / square);
    dice->spare = v * factor;
    dice->has_spare = true;
    return u * factor;
}

bool dice_chance(struct dice *dice, double chance)
{
    return chance > 0 && dice_unit(dice) < chance;
}
