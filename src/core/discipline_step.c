/* SPDX-License-Identifier: BSD-2-Clause */
/* The one step before the first synchronisation, at start or by hand. */
#include "discipline_state.h"

#include <errno.h>

#define CONFIRMED_SHARE 10
#define CONFIRMED_SLACK_NS NS_PER_S

bool discipline_step_confirmed(int64_t confirmed_ns, int64_t step_ns)
{
    int64_t slack_ns = timestamp_abs(confirmed_ns) / CONFIRMED_SHARE + CONFIRMED_SLACK_NS;
    int64_t off_ns;

    return confirmed_ns != 0 && step_ns != 0 && (confirmed_ns < 0) == (step_ns < 0) &&
           timestamp_sub(step_ns, confirmed_ns, &off_ns) == 0 && timestamp_abs(off_ns) <= slack_ns;
}

bool discipline_must_step(const struct discipline *discipline, int64_t outstanding_ns)
{
    int64_t threshold_ns = discipline->limits.step_threshold_ns;

    if (discipline->was_in || discipline->stepped)
        return false;
    if (!discipline->disowned &&
        discipline_step_confirmed(discipline->confirmed_ns, outstanding_ns))
        return true;
    return !discipline->step_refused && threshold_ns > 0 &&
           timestamp_abs(outstanding_ns) > threshold_ns;
}

int discipline_may_step(const struct discipline *discipline, const struct reading *now,
                        int64_t *correction_ns)
{
    int64_t outstanding_ns;

    if (discipline->observed || (discipline->has_target && discipline->target.hands_off))
        return -EROFS;
    if (discipline->was_in)
        return -EALREADY;
    if (discipline->stepped)
        return -EEXIST;
    if (!discipline->has_target || discipline->disowned)
        return -ENODATA;
    outstanding_ns = discipline_outstanding(discipline, now);
    if (timestamp_abs(outstanding_ns) < DISCIPLINE_STEP_MIN_NS)
        return -EBUSY;
    *correction_ns = outstanding_ns;
    return 0;
}

int discipline_allow_step(struct discipline *discipline, int64_t confirmed_ns,
                          const struct reading *now)
{
    int64_t outstanding_ns;
    int r = discipline_may_step(discipline, now, &outstanding_ns);

    discipline->confirmed_ns = 0;
    if (r < 0)
        return r;
    if (!discipline_step_confirmed(confirmed_ns, outstanding_ns))
        return -ESTALE;
    discipline->confirmed_ns = confirmed_ns;
    return 0;
}
