/* SPDX-License-Identifier: BSD-2-Clause */
#include "path.h"

#include <math.h>

#define RETRANSMIT_NS INT64_C(200000000) /* the shortest timeout; doubled each time */
#define STALLS_MAX 5                     /* further losses in a row: TCP's patience */

void path_init(struct path *path, const struct scenario_delay *delay, struct dice dice)
{
    *path = (struct path){.delay = *delay, .dice = dice};
}

static int64_t queue(struct path *path, int64_t now_ns)
{
    const struct scenario_delay *delay = &path->delay;
    int64_t mean_ns = delay->queue_ns;

    if (dice_chance(&path->dice, delay->burst_chance))
        path->burst_end_ns = now_ns + delay->burst_ns;
    if (now_ns < path->burst_end_ns)
        mean_ns = delay->burst_queue_ns;
    return mean_ns > 0 ? llround(dice_exponential(&path->dice, (double)mean_ns)) : 0;
}

static int64_t stalls(struct path *path)
{
    int64_t each_ns = path->delay.stall_ns;
    int64_t sum_ns = 0;

    for (int i = 0; i < STALLS_MAX && dice_chance(&path->dice, path->delay.stall_chance); i++) {
        sum_ns += each_ns;
        each_ns *= 2;
    }
    return sum_ns;
}

int64_t path_cross(struct path *path, int64_t now_ns)
{
    int64_t delay_ns = path->delay.base_ns + queue(path, now_ns) + stalls(path);
    int64_t wait_ns = 0;

    if (delay_ns < 0)
        delay_ns = 0;
    for (int64_t again_ns = RETRANSMIT_NS; now_ns + wait_ns < path->cut_end_ns; again_ns *= 2) {
        wait_ns += again_ns;
        if (wait_ns >= PATH_USER_TIMEOUT_NS)
            return PATH_NEVER;
    }
    return now_ns + wait_ns + delay_ns;
}
