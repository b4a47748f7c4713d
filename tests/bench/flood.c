/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What attacks cost a master and those who follow it, by a slave's eyes:
 *
 *     flood SECONDS [ATTACK]     of each, or of this one; one line for each
 */
#include "../process/setup.h"
#include "../process/siege.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const counters[] = {
    "accepted",          "refused_often",   "refused_full", "refused_handshakes", "handshakes_done",
    "handshakes_failed", "handshakes_late", "frames_in",    "frames_unsent",      "floods",
    "garbled",
};

static void print_figures(const struct witness_figures *figures)
{
    printf("\t%.2f\t%.2f\t%.2f", figures->p50_ms, figures->p99_ms, figures->max_ms);
}

static void print_result(unsigned kind, const struct siege_result *result)
{
    printf("%s", kind < ATTACK_COUNT_ ? attack_name((enum attack_kind)kind) : "quiet");
    printf("\t%.0f\t%.0f\t%.0f\t%.0f", (double)result->connects / result->seconds,
           (double)result->handshakes / result->seconds, (double)result->sent / result->seconds,
           (double)result->closed / result->seconds);
    print_figures(&result->beat);
    print_figures(&result->length);
    print_figures(&result->answer);
    printf("\t%u\t%u\t%.0f\t%ld\t%ld\t%ld\t%s\n", result->rounds, result->missing,
           100 * result->cpu, result->rss_before_kib, result->rss_most_kib, result->rss_after_kib,
           result->kept ? "yes" : "NO");
    fflush(stdout);
}

static bool is_wanted(unsigned kind, const char *only)
{
    return !only || kind == SIEGE_QUIET || strcmp(attack_name((enum attack_kind)kind), only) == 0;
}

static bool run(double seconds, const char *only)
{
    struct harness *harness = harness_new();
    struct siege_result result;
    struct siege siege;
    bool kept = siege_begin(&siege, harness);

    printf("attack\tconnects_s\thandshakes_s\tsent_s\tclosed_s\tbeat_p50_ms\tbeat_p99_ms\t"
           "beat_max_ms\tround_p50_ms\tround_p99_ms\tround_max_ms\tanswer_p50_ms\tanswer_p99_"
           "ms\tanswer_max_ms\trounds\tmissing\tcpu_%%\t"
           "rss_before_kib\trss_most_kib\trss_after_kib\tkept\n");
    for (unsigned i = 0; kept && i <= ATTACK_COUNT_; i++) {
        unsigned kind = i == 0 ? SIEGE_QUIET : i - 1;

        if (!is_wanted(kind, only))
            continue;
        siege_run(&siege, kind, seconds, &result);
        print_result(kind, &result);
        kept = result.kept;
    }
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        printf("# %s %" PRIu64 "\n", counters[i], siege_counter(&siege, counters[i]));
    if (!kept)
        fputs(process_stderr(siege.master), stderr);
    return harness_free(harness) && kept;
}

int main(int argc, char **argv)
{
    double seconds = argc == 2 || argc == 3 ? strtod(argv[1], NULL) : 0;

    if (!(seconds >= 1 && seconds <= 3600)) {
        fprintf(stderr, "usage: flood SECONDS (1 to 3600) [ATTACK]\n");
        return 64;
    }
    return run(seconds, argc == 3 ? argv[2] : NULL) ? EXIT_SUCCESS : EXIT_FAILURE;
}
