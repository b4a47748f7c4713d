/* SPDX-License-Identifier: BSD-2-Clause */
#include "catalogue.h"
#include "options.h"
#include "plot.h"
#include "report.h"
#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is written down while a run goes on. */
struct recorder {
    FILE *csv;         /* NULL: no table */
    struct plot *plot; /* NULL: none */
    int64_t step_ns, next_ns;
    bool failed;
};

static void record(const struct truth_row *row, void *context)
{
    struct recorder *recorder = context;
    int64_t errors[SCENARIO_NODES_MAX];

    if (row->at_ns < recorder->next_ns)
        return;
    recorder->next_ns += recorder->step_ns;
    if (recorder->csv)
        report_csv_row(row, recorder->csv);
    if (!recorder->plot)
        return;
    for (unsigned i = 0; i < row->count; i++)
        errors[i] = isnan(row->nodes[i].error_ns) ? PLOT_NO_ERROR
                                                  : (int64_t)row->nodes[i].error_ns;
    recorder->failed |= plot_sample(recorder->plot, (double)row->at_ns / 1e9,
                                    isnan(row->spread_all_ns) ? -1 : (int64_t)row->spread_all_ns,
                                    errors) < 0;
}

static FILE *open_csv(const char *path)
{
    FILE *csv = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");

    if (!csv)
        (void)fprintf(stderr, "%s: %s\n", path, strerrordesc_np(errno));
    return csv;
}

static int close_csv(FILE *csv, const char *path)
{
    const bool wrong = ferror(csv) != 0;

    if ((csv == stdout ? fflush(csv) : fclose(csv)) == 0 && !wrong)
        return 0;
    (void)fprintf(stderr, "%s: not all of it could be written\n", path);
    return EXIT_BROKEN;
}

static int draw(const struct options *options, const struct scenario *scenario,
                const struct plot *plot)
{
    int r;

    if (options->text)
        plot_print(plot, stdout);
    if (!options->png)
        return 0;
    r = plot_png(plot, scenario->about[0] ? scenario->about : scenario->name, options->png);
    if (r == -ENOENT) {
        (void)fprintf(stderr, "%s: not plotted, as gnuplot is not installed\n", options->png);
        return 0;
    }
    if (r < 0)
        (void)fprintf(stderr, "%s: gnuplot failed\n", options->png);
    return r < 0 ? EXIT_BROKEN : 0;
}

static int tell(const struct options *options, const struct report *report)
{
    const bool several = options->first_seed != options->last_seed;
    const bool kept = report_broken(report, stderr) == 0;
    /* The table may be on standard output. */
    FILE *out = options->csv && strcmp(options->csv, "-") == 0 ? stderr : stdout;

    if (options->figures)
        report_print_figures(report, kept, out);
    else if (several && !options->quiet)
        report_print_line(report, kept, out);
    else if (!options->quiet)
        report_print(report, out);
    return kept ? 0 : EXIT_BROKEN;
}

static int simulate(const struct options *options, const struct scenario *scenario, uint64_t seed,
                    struct recorder *recorder)
{
    struct world *world = world_new(scenario, seed);
    struct report report;
    int status = EXIT_BROKEN;

    if (world && (recorder->csv || recorder->plot))
        world_watch(world, record, recorder);
    if (world && world_run_until(world, scenario->length_ns) == 0 && !recorder->failed) {
        report_take(&report, scenario, seed, world_truth(world));
        status = tell(options, &report);
    } else {
        (void)fprintf(stderr, "out of memory\n");
    }
    world_free(world);
    return status;
}

static int run_seed(const struct options *options, const struct scenario *scenario, uint64_t seed)
{
    struct recorder recorder = {.step_ns = options->step_ns};
    int status = 0;

    if (options->csv) {
        recorder.csv = open_csv(options->csv);
        if (!recorder.csv)
            return EXIT_BROKEN;
        report_csv_header(scenario->nodes, recorder.csv);
    }
    if (options->text || options->png)
        recorder.plot = plot_new(scenario->nodes);
    status = simulate(options, scenario, seed, &recorder);
    if (recorder.plot)
        status |= draw(options, scenario, recorder.plot);
    if (recorder.csv)
        status |= close_csv(recorder.csv, options->csv);
    plot_free(recorder.plot);
    return status;
}

static int prepare(const struct options *options, struct scenario *scenario)
{
    char error[SCENARIO_ERROR_SIZE];
    int r = catalogue_load(options->scenario, scenario, error);

    for (size_t i = 0; i < options->change_count && r == 0; i++)
        r = scenario_set(scenario, options->changes[i], error);
    if (r == 0)
        r = scenario_check(scenario, options->scenario, error);
    if (r == 0)
        return 0;
    (void)fprintf(stderr, "%s\n", error);
    return EXIT_SCENARIO;
}

static int run_all(const struct options *options)
{
    struct scenario scenario;
    uint64_t failed = 0;
    int status = prepare(options, &scenario);

    if (status != 0)
        return status;
    for (uint64_t seed = options->first_seed;; seed++) {
        failed += run_seed(options, &scenario, seed) != 0;
        if (seed == options->last_seed)
            break;
    }
    if (failed > 0 && options->first_seed != options->last_seed && !options->figures)
        (void)fprintf(stderr, "%s: %" PRIu64 " of %" PRIu64 " runs broke a limit\n",
                      scenario.name, failed, options->last_seed - options->first_seed + 1);
    return failed > 0 ? EXIT_BROKEN : 0;
}

static int list(const struct options *options)
{
    char error[SCENARIO_ERROR_SIZE];

    if (catalogue_print(options->faults, error) == 0)
        return 0;
    (void)fprintf(stderr, "%s\n", error);
    return EXIT_SCENARIO;
}

int main(int argc, char *argv[])
{
    struct options options;
    int status = options_parse(&options, argc, argv);

    if (status == 0)
        status = options.list ? list(&options) : run_all(&options);
    else
        status--;
    options_free(&options);
    return status;
}
