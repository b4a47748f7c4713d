/* SPDX-License-Identifier: BSD-2-Clause */
#include "report.h"

#include "report_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

struct court {
    const struct report *report;
    FILE *out;
    unsigned broken;
};

static void broken(struct court *court, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void broken(struct court *court, const char *format, ...)
{
    va_list arguments;

    court->broken++;
    (void)fprintf(court->out, "%s seed %" PRIu64 ": ", court->report->scenario->name,
                  court->report->seed);
    va_start(arguments, format);
    (void)vfprintf(court->out, format, arguments);
    va_end(arguments);
    (void)fputc('\n', court->out);
}

static void judge_bound(struct court *court, const char *what, const struct truth_bound *bound)
{
    char at[REPORT_TEXT_SIZE], error[REPORT_TEXT_SIZE], limit[REPORT_TEXT_SIZE];

    if (bound->violations > 0)
        broken(court, "%s was wrong %" PRIu64 " times; worst: node %d at %s: found %s; allowed %s",
               what, bound->violations, bound->worst_node, report_time(bound->worst_at_ns, at),
               report_ns((double)bound->worst_error_ns, error),
               report_ns((double)bound->worst_bound_ns, limit));
}

/* What holds in every run. */
static void judge_always(struct court *court)
{
    const struct truth_results *r = &court->report->results;
    char a[REPORT_TEXT_SIZE];

    judge_bound(court, "a bound", &r->bound);
    judge_bound(court, "a maxerror", &r->maxerror);
    if (r->backward > 0)
        broken(court, "backward: found %" PRIu64 " times, %s at most; allowed none", r->backward,
               report_ns((double)r->backward_ns, a));
    if (r->too_fast > 0)
        broken(court, "slew: node %d at %s: found %.3f of the limit, %" PRIu64
               " times above; allowed 1",
               r->slew_node, report_time(r->slew_at_ns, a), r->slew_share, r->too_fast);
    if (r->interference > 0)
        broken(court, "interference with a clock: found %u times; allowed none", r->interference);
    if (r->kernel_refusals > 0)
        broken(court, "orders the kernel refused: found %u; allowed none", r->kernel_refusals);
    if (r->panics > 0)
        broken(court, "panics: found %u; allowed none", r->panics);
    if (r->samples == 0)
        broken(court, "no two good clocks were in after `settle`");
}

/* NaN breaks a limit too; limit_ns < 0: there is none. */
static void judge_ns(struct court *court, const char *what, double found_ns, int64_t limit_ns)
{
    char found[REPORT_TEXT_SIZE], limit[REPORT_TEXT_SIZE];

    if (limit_ns >= 0 && !(found_ns <= (double)limit_ns))
        broken(court, "%s: found %s; allowed %s", what, report_ns(found_ns, found),
               report_ns((double)limit_ns, limit));
}

static void judge_excluded(struct court *court)
{
    const struct scenario_expect *expect = &court->report->scenario->expect;
    const struct truth_results *r = &court->report->results;
    char at[REPORT_TEXT_SIZE];

    for (size_t i = 0; expect->excluded[i] >= 0; i++)
        if (r->excluded_ns[expect->excluded[i]] < 0)
            broken(court, "excluded: node %d: found never; it had to be", expect->excluded[i]);
    for (int i = 0; expect->nobody_excluded && i < court->report->scenario->nodes; i++)
        if (r->excluded_ns[i] >= 0)
            broken(court, "excluded: node %d at %s: allowed nobody", i,
                   report_time(r->excluded_ns[i], at));
    if (expect->in_at_end >= 0 && r->in_at_end < (unsigned)expect->in_at_end)
        broken(court, "in at the end: found %u clocks; allowed %d or more", r->in_at_end,
               expect->in_at_end);
}

static void judge_expected(struct court *court)
{
    const struct scenario_expect *expect = &court->report->scenario->expect;
    const struct truth_results *r = &court->report->results;
    const int64_t converged_ns = court->report->converged_ns;

    judge_ns(court, "spread, p99", r->spread_p99_ns, expect->spread_ns);
    judge_ns(court, "spread, largest since all were in", r->worst_ns, expect->worst_ns);
    judge_ns(court, "shift of the good clocks' mean", fabs(r->shift_ns), expect->shift_ns);
    judge_ns(court, "convergence", converged_ns < 0 ? (double)NAN : (double)converged_ns,
             expect->converge_ns);
    if (expect->overshoot >= 0 && !(r->overshoot <= expect->overshoot))
        broken(court, "overshoot: node %d: found %.3f of its offset; allowed %.3f",
               r->overshoot_node, r->overshoot, expect->overshoot);
    judge_excluded(court);
}

unsigned report_broken(const struct report *report, FILE *out)
{
    struct court court = {.report = report, .out = out};

    judge_always(&court);
    judge_expected(&court);
    return court.broken;
}
