/* SPDX-License-Identifier: BSD-2-Clause */
#include "report.h"

#include "report_text.h"

#include <inttypes.h>
#include <math.h>

#define STEADY_FACTOR 10 /* converged: within this multiple of the median spread */

const char *report_ns(double ns, char buffer[REPORT_TEXT_SIZE])
{
    static const struct {
        double ns;
        const char *name;
    } units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
    const double size = fabs(ns);

    size_t i = 0;

    while (i + 1 < sizeof(units) / sizeof(units[0]) && !(size >= units[i].ns))
        i++;
    if (isnan(ns))
        (void)snprintf(buffer, REPORT_TEXT_SIZE, "none");
    else
        (void)snprintf(buffer, REPORT_TEXT_SIZE, size >= 1000 * units[i].ns ? "%.0f %s" : "%.3g %s",
                       ns / units[i].ns, units[i].name);
    return buffer;
}

const char *report_time(int64_t ns, char buffer[REPORT_TEXT_SIZE])
{
    (void)snprintf(buffer, REPORT_TEXT_SIZE, ns < 0 ? "never" : "%.2f s", (double)ns / 1e9);
    return buffer;
}

void report_take(struct report *report, const struct scenario *scenario, uint64_t seed,
                 struct truth *truth)
{
    *report = (struct report){.scenario = scenario, .seed = seed, .converged_ns = -1};
    truth_results(truth, &report->results);
    if (!isnan(report->results.spread_p50_ns))
        report->converged_ns =
            truth_converged(truth, STEADY_FACTOR * report->results.spread_p50_ns);
}

static uint64_t wrong_bounds(const struct truth_results *results)
{
    return results->bound.violations + results->maxerror.violations;
}

static void print_frames(const struct truth_results *results, FILE *out)
{
    (void)fprintf(out, "frames      %" PRIu64, results->frames);
    for (unsigned i = 0; i < REFUSAL_COUNT_; i++)
        if (results->refusals[i] > 0)
            (void)fprintf(out, ", %u refused: %s", results->refusals[i], refusal_name(i));
    (void)fprintf(out, "\nfingerprint %016" PRIx64 "\n", results->fingerprint);
}

static void print_bound(const char *name, const struct truth_bound *bound, FILE *out)
{
    char at[REPORT_TEXT_SIZE];

    (void)fprintf(out, "%-11s %" PRIu64 " wrong of %" PRIu64 " looked at", name,
                  bound->violations, bound->checks);
    if (bound->worst_node >= 0)
        (void)fprintf(out, "; tightest: error %.2f of it, node %d at %s", bound->worst_ratio,
                      bound->worst_node, report_time(bound->worst_at_ns, at));
    (void)fputc('\n', out);
}

static void print_excluded(const struct truth_results *results, int nodes, FILE *out)
{
    char at[REPORT_TEXT_SIZE];

    (void)fprintf(out, "clocks      %u of %d in at the end", results->in_at_end, nodes);
    for (int i = 0; i < nodes; i++)
        if (results->excluded_ns[i] >= 0)
            (void)fprintf(out, "; %d excluded at %s", i, report_time(results->excluded_ns[i], at));
    (void)fputc('\n', out);
}

static void print_spread(const struct report *report, FILE *out)
{
    const struct truth_results *r = &report->results;
    char a[REPORT_TEXT_SIZE], b[REPORT_TEXT_SIZE], c[REPORT_TEXT_SIZE], d[REPORT_TEXT_SIZE];

    (void)fprintf(out, "spread      rms %s, median %s, p99 %s, largest %s after %.0f s\n",
                  report_ns(r->spread_rms_ns, a), report_ns(r->spread_p50_ns, b),
                  report_ns(r->spread_p99_ns, c), report_ns(r->spread_max_ns, d),
                  (double)report->scenario->settle_ns / 1e9);
    (void)fprintf(out, "error       p99 %s; median bound %s, %.1f x that\n",
                  report_ns(r->error_p99_ns, a), report_ns(r->bound_p50_ns, b),
                  r->bound_p50_ns / r->error_p99_ns);
    (void)fprintf(out, "start       all in at %s, within %d x the median spread for good at %s",
                  report_time(r->all_in_ns, a), STEADY_FACTOR,
                  report_time(report->converged_ns, b));
    if (r->overshoot_node >= 0)
        (void)fprintf(out, ", overshoot %.1f %%", 100 * r->overshoot);
    (void)fprintf(out, "\nworst       %s among those in", report_ns(r->worst_ns, a));
    if (!isnan(r->shift_ns))
        (void)fprintf(out, "; the good clocks' mean left its line by %s",
                      report_ns(r->shift_ns, b));
    (void)fputc('\n', out);
}

void report_print(const struct report *report, FILE *out)
{
    const struct truth_results *r = &report->results;
    char a[REPORT_TEXT_SIZE];

    (void)fprintf(out, "%s, seed %" PRIu64 ": %s\n%d clocks, %.0f s, W %g, interval %.4g s, "
                  "%d exchanges\n",
                  report->scenario->name, report->seed, report->scenario->about,
                  report->scenario->nodes, (double)report->scenario->length_ns / 1e9,
                  report->scenario->clock.wander, (double)report->scenario->interval_ns / 1e9,
                  report->scenario->exchanges);
    print_spread(report, out);
    print_bound("bound", &r->bound, out);
    print_bound("maxerror", &r->maxerror, out);
    (void)fprintf(out, "slew        %.2f of the limit at most (node %d at %s); %" PRIu64
                  " too fast, %" PRIu64 " backward\n",
                  r->slew_share, r->slew_node, report_time(r->slew_at_ns, a), r->too_fast,
                  r->backward);
    print_excluded(r, report->scenario->nodes, out);
    print_frames(r, out);
}

void report_print_line(const struct report *report, bool kept, FILE *out)
{
    const struct truth_results *r = &report->results;
    char a[REPORT_TEXT_SIZE], b[REPORT_TEXT_SIZE], c[REPORT_TEXT_SIZE], d[REPORT_TEXT_SIZE];

    (void)fprintf(out, "%s seed %" PRIu64 ": %s: spread rms %s, p99 %s, largest %s; converged at "
                  "%s; %" PRIu64 " wrong bounds, %" PRIu64 " backward\n",
                  report->scenario->name, report->seed, kept ? "ok" : "broken",
                  report_ns(r->spread_rms_ns, a), report_ns(r->spread_p99_ns, b),
                  report_ns(r->spread_max_ns, c), report_time(report->converged_ns, d),
                  wrong_bounds(r), r->backward);
}

void report_print_figures(const struct report *report, bool kept, FILE *out)
{
    const struct truth_results *r = &report->results;
    char converged[REPORT_TEXT_SIZE] = "never";

    if (report->converged_ns >= 0)
        (void)snprintf(converged, sizeof(converged), "%.2f", (double)report->converged_ns / 1e9);
    (void)fprintf(out, "%s\t%" PRIu64 "\t%s\t%.6g\t%.6g\t%.6g\t%s\t%" PRIu64 "\t%" PRIu64
                  "\t%" PRIu64 "\t%.4g\t%.6g\t%.6g\t%.4g\n",
                  report->scenario->name, report->seed, kept ? "ok" : "broken",
                  r->spread_rms_ns / 1e3, r->spread_p99_ns / 1e3, r->spread_max_ns / 1e3,
                  converged, wrong_bounds(r), r->backward, r->too_fast,
                  r->bound_p50_ns / r->error_p99_ns, r->worst_ns / 1e3, fabs(r->shift_ns) / 1e3,
                  r->overshoot);
}

void report_csv_header(int nodes, FILE *out)
{
    (void)fprintf(out, "time_s,spread_ns,spread_all_ns");
    for (int i = 0; i < nodes; i++)
        (void)fprintf(out, ",error%d_ns,bound%d_ns,state%d,verdict%d", i, i, i, i);
    (void)fputc('\n', out);
}

/* An empty field for what there is not. */
static void csv_number(double value, FILE *out)
{
    if (isnan(value))
        (void)fputc(',', out);
    else
        (void)fprintf(out, ",%.1f", value);
}

void report_csv_row(const struct truth_row *row, FILE *out)
{
    (void)fprintf(out, "%.3f", (double)row->at_ns / 1e9);
    csv_number(row->spread_in_ns, out);
    csv_number(row->spread_all_ns, out);
    for (unsigned i = 0; i < row->count; i++) {
        csv_number(row->nodes[i].error_ns, out);
        if (row->nodes[i].bound_ns == INT64_MAX)
            (void)fputc(',', out);
        else
            (void)fprintf(out, ",%" PRId64, row->nodes[i].bound_ns);
        if (row->nodes[i].runs)
            (void)fprintf(out, ",%s,%s", sync_state_name(row->nodes[i].state),
                          clock_verdict_name(row->nodes[i].verdict));
        else
            (void)fputs(",down,", out);
    }
    (void)fputc('\n', out);
}
