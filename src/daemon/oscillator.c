/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/oscillator.h"

#include "core/timestamp.h"

#include <math.h>

#define STEP_NS (100 * NS_PER_MS)
#define STEPS_PER_S 10.0
#define BOOT_MAX_S 1000000U
#define FRAC_BITS 60
#define FRAC_ONE (INT64_C(1) << FRAC_BITS)

/* How far a walk may lead from where it can start. */
#define WALK_LIMIT_PPB (2 * OSCILLATOR_FREQUENCY_MAX_PPB)

__extension__ typedef __int128 wide;

/* splitmix64 */
static uint64_t next_random(struct oscillator *oscillator)
{
    uint64_t z = oscillator->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The sum of twelve uniform numbers less its mean: variance 1, and the same on
 * every machine, which a logarithm from a library is not. */
static double next_normal(struct oscillator *oscillator)
{
    double sum = -6.0;

    for (int i = 0; i < 3; i++) {
        uint64_t bits = next_random(oscillator);
        for (int j = 0; j < 4; j++, bits >>= 16)
            sum += ((double)(bits & 0xffff) + 0.5) / 65536.0;
    }
    return sum;
}

static void walk(struct oscillator *oscillator)
{
    double sd_ppb = oscillator->wander_ppb / sqrt(STEPS_PER_S);
    double next_ppb = oscillator->frequency_ppb + sd_ppb * next_normal(oscillator);

    oscillator->frequency_ppb = fmax(-WALK_LIMIT_PPB, fmin(WALK_LIMIT_PPB, next_ppb));
    oscillator->step_host_ns += STEP_NS;
}

static void run(struct oscillator *oscillator, int64_t span_ns)
{
    int64_t excess = llround(oscillator->frequency_ppb * 1e-9 * (double)FRAC_ONE);
    wide sum = (wide)(FRAC_ONE + excess) * span_ns + (wide)oscillator->raw_frac;

    oscillator->host_ns += span_ns;
    oscillator->raw_ns += (int64_t)(sum >> FRAC_BITS);
    oscillator->raw_frac = (uint64_t)(sum & (FRAC_ONE - 1));
}

bool oscillator_init(struct oscillator *oscillator, int64_t host_ns, double frequency_ppb,
                     double wander_ppb, uint64_t seed)
{
    if (!(fabs(frequency_ppb) <= OSCILLATOR_FREQUENCY_MAX_PPB) ||
        !(wander_ppb >= 0 && wander_ppb <= OSCILLATOR_WANDER_MAX_PPB))
        return false;
    *oscillator = (struct oscillator){
        .host_ns = host_ns,
        .step_host_ns = host_ns + STEP_NS,
        .frequency_ppb = frequency_ppb,
        .wander_ppb = wander_ppb,
        .random = seed,
    };
    oscillator->raw_ns = (int64_t)(next_random(oscillator) % (BOOT_MAX_S * (uint64_t)NS_PER_S));
    return true;
}

void oscillator_advance(struct oscillator *oscillator, int64_t host_ns)
{
    while (oscillator->host_ns < host_ns) {
        int64_t end_ns = host_ns;
        if (end_ns > oscillator->step_host_ns)
            end_ns = oscillator->step_host_ns;
        run(oscillator, end_ns - oscillator->host_ns);
        if (end_ns == oscillator->step_host_ns)
            walk(oscillator);
    }
}

void oscillator_rebase(struct oscillator *oscillator, int64_t host_ns)
{
    oscillator->step_host_ns += host_ns - oscillator->host_ns;
    oscillator->host_ns = host_ns;
}

bool oscillator_valid(const struct oscillator *oscillator)
{
    int64_t to_step_ns = 0;

    return timestamp_valid(oscillator->host_ns) && timestamp_valid(oscillator->raw_ns) &&
           oscillator->raw_frac < (uint64_t)FRAC_ONE &&
           timestamp_sub(oscillator->step_host_ns, oscillator->host_ns, &to_step_ns) == 0 &&
           to_step_ns > 0 && to_step_ns <= STEP_NS &&
           fabs(oscillator->frequency_ppb) <= WALK_LIMIT_PPB && oscillator->wander_ppb >= 0 &&
           oscillator->wander_ppb <= OSCILLATOR_WANDER_MAX_PPB;
}
