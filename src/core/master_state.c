/* SPDX-License-Identifier: BSD-2-Clause */
#include "master_state.h"

#include <string.h>

bool master_is_reference(const struct master *master, const char *name)
{
    for (size_t i = 0; i < MASTER_REFERENCES_MAX; i++)
        if (master->config.references[i][0] && strcmp(master->config.references[i], name) == 0)
            return true;
    return false;
}

uint32_t master_next_sequence(struct peer *peer)
{
    return peer->sequence = wire_next_sequence(peer->sequence);
}

/* r = (1 + f)(1 + phi) - 1 */
double master_rate(double freq_ppb, double steered_ppb)
{
    return freq_ppb + steered_ppb + freq_ppb * steered_ppb / 1e9;
}

/* phi = (1 + r) / (1 + f) - 1 */
double master_steering(double rate_ppb, double freq_ppb)
{
    return ((1 + rate_ppb / 1e9) / (1 + freq_ppb / 1e9) - 1) * 1e9;
}

void master_hurry(struct master *master, int64_t raw_ns)
{
    master->quiet_rounds = 0;
    if (master->next_raw_ns > raw_ns + MASTER_FAST_INTERVAL_NS)
        master->next_raw_ns = raw_ns + MASTER_FAST_INTERVAL_NS;
}
