/* SPDX-License-Identifier: BSD-2-Clause */
/* Why a clock is not counted, in a few words. */
#include "daemon/daemon_answer.h"

#include "daemon/journal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define WHY_SIZE 256
#define RATE_SIZE 32
#define T(ns) journal_time((ns), (char[JOURNAL_TIME_SIZE]){0})
#define RATE(ppb) rate((ppb), (char[RATE_SIZE]){0})

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

/* Three digits: what is allowed is a few ppb where clocks are good. */
static const char *rate(double ppb, char buffer[RATE_SIZE])
{
    const bool small = fabs(ppb) < 999.5;
    const double value = small ? ppb : ppb / 1e3;

    (void)snprintf(buffer, RATE_SIZE, fabs(value) < 999.5 ? "%.3g %s" : "%.0f %s", fabs(value),
                   small ? "ppb" : "ppm");
    return buffer;
}

static const char *pace(const struct clock_view *view)
{
    return view->rate_ppb < 0 ? "slower" : "faster";
}

static bool is_away(const struct clock_view *view)
{
    return distance(view) > view->gate_ns;
}

static bool runs_off(const struct clock_view *view)
{
    return !(fabs(view->rate_ppb) <= view->gate_ppb);
}

static const char *newcomer(const struct clock_view *view)
{
    if (view->measured && is_away(view) && runs_off(view))
        return say("is brought in from %s away and runs %s %s; counts once within %s and %s",
                   T(distance(view)), RATE(view->rate_ppb), pace(view), T(view->gate_ns),
                   RATE(view->gate_ppb));
    if (view->measured && is_away(view))
        return say("is brought in from %s away; counts once within %s", T(distance(view)),
                   T(view->gate_ns));
    if (view->measured && runs_off(view))
        return say("runs %s %s than the group; counts once that is within %s",
                   RATE(view->rate_ppb), pace(view), RATE(view->gate_ppb));
    return "is being measured; counts once that is exact enough";
}

static const char *noisy(const struct clock_view *view)
{
    if (!view->measured)
        return "is measured too badly to count";
    if (!is_away(view) && runs_off(view))
        return say("runs %s %s than the group, %s is allowed, but is measured too badly to be sure",
                   RATE(view->rate_ppb), pace(view), RATE(view->gate_ppb));
    return say("is %s from the group, %s is allowed, but known to %s only", T(distance(view)),
               T(view->gate_ns), T(view->sd_ns));
}

static const char *excluded(const struct clock_view *view)
{
    if (!view->measured)
        return say("is excluded; left alone for %u %s", view->suspended, rounds(view->suspended));
    if (view->verdict == VERDICT_FAST)
        return say("runs %s %s than the group, %s is allowed; left alone for %u %s",
                   RATE(view->rate_ppb), pace(view), RATE(view->gate_ppb), view->suspended,
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
        return view->gate_ns > 0 ? "is not measured yet"
                                 : "is not judged yet: the group has no time so far, as too few "
                                   "clocks are measured well enough";
    }
}
