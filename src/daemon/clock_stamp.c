/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clock_stamp.h"

#include <errno.h>
#include <math.h>

#define AGE_MAX_NS NS_PER_S
#define MARK_NS (100 * NS_PER_MS) /* good to some 50 ns, so a rate from it to 1 ppm */
#define RATE_MAX 0.15 /* of a slew at most 0.1, and crystals differ */

static int64_t now_ns(clockid_t id)
{
    struct timespec t;

    if (clock_gettime(id, &t) < 0)
        return -1;
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t clock_bracket(clockid_t outer, clockid_t inner, int reads, int64_t *outer_ns,
                      int64_t *inner_ns)
{
    int64_t width_ns = INT64_MAX;

    for (int i = 0; i < reads; i++) {
        int64_t before_ns = now_ns(outer);
        int64_t between_ns = now_ns(inner);
        int64_t after_ns = now_ns(outer);

        if (after_ns - before_ns < width_ns) {
            width_ns = after_ns - before_ns;
            *outer_ns = before_ns + width_ns / 2;
            *inner_ns = between_ns;
        }
    }
    return width_ns;
}

void clock_marks_note(struct clock_marks *marks, const struct reading *now)
{
    if (marks->newer.raw_ns != 0 && now->raw_ns - marks->newer.raw_ns < MARK_NS)
        return;
    marks->older = marks->newer;
    marks->newer = *now;
}

/* real_now - real = (1 + rate) (raw_now - raw) */
int clock_stamp_raw(const struct clock_marks *marks, const struct reading *now, int64_t real_ns,
                    int64_t *raw_ns)
{
    int64_t span_ns = now->raw_ns - marks->older.raw_ns;
    int64_t age_ns;
    double rate = 0;

    if (timestamp_sub(now->raw_ns + now->total_ns, real_ns, &age_ns) < 0 ||
        !(age_ns >= 0 && age_ns <= AGE_MAX_NS))
        return -ERANGE;
    if (marks->older.raw_ns != 0 && span_ns > 0)
        rate = (double)(now->total_ns - marks->older.total_ns) / (double)span_ns;
    if (!(fabs(rate) <= RATE_MAX))
        return -ERANGE;
    *raw_ns = now->raw_ns - timestamp_round((double)age_ns / (1 + rate));
    return 0;
}
