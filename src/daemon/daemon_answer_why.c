/* SPDX-License-Identifier: BSD-2-Clause */
/* Why a clock is not counted, in a few words. */
#include "daemon/daemon_answer.h"

#include "daemon/journal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define WHY_SIZE 256
#define T(ns) journal_time((ns), (char[JOURNAL_TIME_SIZE]){0})

static char why[WHY_SIZE];

static const char *say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static const char *say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    return why;
}

static int64_t distance(const struct clock_view *view)
{
    return timestamp_abs(view->offset_ns);
}

static const char *rounds(unsigned count)
{
    return count == 1 ? "round" : "rounds";
}

static bool runs_off(const struct clock_view *view)
{
    return distance(view) <= view->gate_ns && !(fabs(view->rate_ppb) <= view->gate_ppb);
}

static const char *newcomer(const struct clock_view *view)
{
    if (view->measured && distance(view) > view->gate_ns)
        return say("is new and %s from the group; counted once it is within %s", T(distance(view)),
                   T(view->gate_ns));
    if (view->measured && runs_off(view))
        return say("is new and runs %+.2f ppm against the group; counted once that is within %.2f "
                   "ppm",
                   view->rate_ppb / 1e3, view->gate_ppb / 1e3);
    return "is new; counted once it is measured well enough";
}

static const char *noisy(const struct clock_view *view)
{
    if (!view->measured)
        return "is measured too badly to count";
    if (runs_off(view))
        return say("runs %+.2f ppm against the group, %.2f ppm is allowed, but is measured too "
                   "badly to be sure",
                   view->rate_ppb / 1e3, view->gate_ppb / 1e3);
    return say("is %s from the group, %s is allowed, but known to %s only", T(distance(view)),
               T(view->gate_ns), T(view->sd_ns));
}

static const char *excluded(const struct clock_view *view)
{
    if (!view->measured)
        return say("is excluded; left alone for %u %s", view->suspended, rounds(view->suspended));
    if (view->verdict == VERDICT_FAST)
        return say("runs %+.2f ppm against the group, %.2f ppm is allowed; left alone for %u %s",
                   view->rate_ppb / 1e3, view->gate_ppb / 1e3, view->suspended,
                   rounds(view->suspended));
    return say("is %s from the group, %s is allowed; left alone for %u %s", T(distance(view)),
               T(view->gate_ns), view->suspended, rounds(view->suspended));
}

static const char *suspended(const struct clock_view *view)
{
    if (!view->measured)
        return say("was excluded; left alone for %u more %s", view->suspended,
                   rounds(view->suspended));
    return say("was excluded and is %s from the group; left alone for %u more %s",
               T(distance(view)), view->suspended, rounds(view->suspended));
}

const char *answer_why(const struct clock_view *view)
{
    switch (view->verdict) {
    case VERDICT_COUNTED:
    case VERDICT_REFERENCE:
        return "";
    case VERDICT_NEWCOMER:
        return newcomer(view);
    case VERDICT_NOISY:
        return noisy(view);
    case VERDICT_FAR:
    case VERDICT_FAST:
        return excluded(view);
    case VERDICT_SUSPENDED:
        return suspended(view);
    case VERDICT_SILENT:
        return say("gave no usable answer in the last round; heard of %s ago", T(view->heard_ns));
    case VERDICT_OBSERVER:
        return "only observes its clock; measured, not counted";
    case VERDICT_NO_QUORUM:
        return "the clocks disagree and no majority is near each other; nobody is corrected";
    default:
        return "is not measured yet";
    }
}
