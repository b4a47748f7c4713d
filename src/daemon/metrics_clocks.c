/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/metrics_clocks.h"

#include "core/timestamp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PREFIX "berkeley_clock_"

bool metrics_ratio(double ppb, struct metrics_number *number)
{
    *number = (struct metrics_number){.value = timestamp_round(ppb * 1e6), .digits = 15};
    return isfinite(ppb);
}

static bool take_time(bool known, int64_t ns, struct metrics_number *number)
{
    *number = (struct metrics_number){.value = ns, .digits = 9};
    return known;
}

typedef bool take(const struct clock_view *clock, struct metrics_number *number);

static bool take_offset(const struct clock_view *clock, struct metrics_number *number)
{
    return take_time(clock->measured, clock->offset_ns, number);
}

static bool take_deviation(const struct clock_view *clock, struct metrics_number *number)
{
    return take_time(clock->measured, clock->sd_ns, number);
}

static bool take_rate(const struct clock_view *clock, struct metrics_number *number)
{
    return metrics_ratio(clock->rate_ppb, number) && clock->measured;
}

static bool take_frequency(const struct clock_view *clock, struct metrics_number *number)
{
    return metrics_ratio(clock->freq_ppb, number) && clock->measured;
}

static bool take_delay(const struct clock_view *clock, struct metrics_number *number)
{
    return take_time(clock->measured && !clock->own, clock->delay_ns, number);
}

static bool take_jitter(const struct clock_view *clock, struct metrics_number *number)
{
    return take_time(clock->measured && !clock->own, clock->jitter_ns, number);
}

static bool take_bound(const struct clock_view *clock, struct metrics_number *number)
{
    return take_time(clock->bound_ns != INT64_MAX, clock->bound_ns, number);
}

static bool take_weight(const struct clock_view *clock, struct metrics_number *number)
{
    return metrics_ratio(clock->weight * 1e9, number) && clock->measured;
}

static bool take_silence(const struct clock_view *clock, struct metrics_number *number)
{
    return take_time(!clock->own, clock->heard_ns, number);
}

static bool take_refused(const struct clock_view *clock, struct metrics_number *number)
{
    *number = (struct metrics_number){.value = clock->refused};
    return !clock->own;
}

static const struct family {
    const char *name, *type, *help;
    take *take;
} families[] = {
    {PREFIX "offset_seconds", "gauge",
     "How far the clock was ahead of the group's time in the last round; negative: behind.",
     take_offset},
    {PREFIX "offset_deviation_seconds", "gauge", "Standard deviation of that offset.",
     take_deviation},
    {PREFIX "rate_offset_ratio", "gauge", "How much faster the clock runs than the group.",
     take_rate},
    {PREFIX "frequency_correction_ratio", "gauge",
     "By how much the clock is made faster than its oscillator.", take_frequency},
    {PREFIX "delay_seconds", "gauge", "The delay to the clock's machine, one way.", take_delay},
    {PREFIX "jitter_seconds", "gauge", "What frames wait on their way on average.", take_jitter},
    {PREFIX "bound_seconds", "gauge",
     "How far at most the clock is from the group's time, as it says itself.", take_bound},
    {PREFIX "weight_ratio", "gauge", "The clock's share in the average of the last round.",
     take_weight},
    {PREFIX "silence_seconds", "gauge", "How long ago the clock's machine said something.",
     take_silence},
    {PREFIX "frames_refused_total", "counter",
     "Frames of the present connection that were not used.", take_refused},
};

/* Nothing stands under a name that no clock has a value for. */
static void put_family(const struct family *family, const struct clock_view *clocks, size_t count,
                       struct metrics_text *text)
{
    struct metrics_number number;
    bool begun = false;

    for (size_t i = 0; i < count; i++) {
        if (!family->take(&clocks[i], &number))
            continue;
        if (!begun)
            metrics_text_family(text, family->name, family->type, family->help);
        begun = true;
        metrics_text_sample(text, family->name,
                            &(struct metrics_label){"clock", clocks[i].name}, 1, number);
    }
}

/* One word a clock: with all the others as zeros a large group would have ten times the lines. */
static void put_verdicts(const struct clock_view *clocks, size_t count, struct metrics_text *text)
{
    static const char name[] = PREFIX "verdict";

    if (count > 0)
        metrics_text_family(text, name, "gauge",
                            "1 for the verdict on the clock in the last round; no other is told.");
    for (size_t i = 0; i < count; i++) {
        const struct metrics_label labels[] = {{"clock", clocks[i].name},
                                               {"verdict", clock_verdict_name(clocks[i].verdict)}};

        metrics_text_sample(text, name, labels, COUNT(labels), (struct metrics_number){.value = 1});
    }
}

static void put_sums(const struct clock_view *clocks, size_t count, struct metrics_text *text)
{
    static const char name[] = "berkeley_clocks";
    int64_t sums[VERDICT_COUNT_] = {0};

    for (size_t i = 0; i < count; i++)
        if (clocks[i].verdict < VERDICT_COUNT_)
            sums[clocks[i].verdict]++;
    metrics_text_family(text, name, "gauge", "Clocks by the verdict on them in the last round.");
    for (unsigned verdict = 0; verdict < VERDICT_COUNT_; verdict++)
        metrics_text_sample(text, name,
                            &(struct metrics_label){"verdict", clock_verdict_name(verdict)}, 1,
                            (struct metrics_number){.value = sums[verdict]});
}

static int compare(const void *a, const void *b)
{
    const struct clock_view *left = a, *right = b;
    int order = strcmp(left->name, right->name);

    return order != 0 ? order : right->own - left->own;
}

/* In order; two of a name would spoil all. */
static size_t collect(const struct metrics_input *input, struct clock_view *clocks)
{
    size_t count = 0, kept = 0;

    for (size_t i = 0; i < input->views; i++)
        count += input->view(input->context, i, &clocks[count]);
    qsort(clocks, count, sizeof *clocks, compare);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || strcmp(clocks[kept - 1].name, clocks[i].name) != 0)
            clocks[kept++] = clocks[i];
    return kept;
}

void metrics_clocks(const struct metrics_input *input, struct metrics_text *text)
{
    struct clock_view *clocks = calloc(input->views > 0 ? input->views : 1, sizeof *clocks);
    size_t count;

    if (!clocks) {
        text->lost = true;
        return;
    }
    count = collect(input, clocks);
    put_sums(clocks, count, text);
    put_verdicts(clocks, count, text);
    for (size_t i = 0; i < COUNT(families); i++)
        put_family(&families[i], clocks, count, text);
    free(clocks);
}
