/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/daemon_segment.h"

#include "daemon/directory.h"
#include "daemon/journal.h"
#include "daemon/segment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "clockbound"
#define DRIFT_LIMIT_PPB INT64_C(1000000000) /* from here on no reader takes it */

struct daemon_segment {
    struct segment *segment; /* NULL: given up */
    const struct config *config;
    struct daemon_source source;
    char path[CONFIG_PATH_SIZE];
    bool adjusts;
    bool holding;
    int64_t held_ns;         /* holdover as of */
    uint64_t disruptions;    /* told by now, those before the start included */
    uint64_t tallied;        /* of them: since the start */
    bool disrupted;
};

bool daemon_segment_path(const struct config *config, char path[CONFIG_PATH_SIZE])
{
    const char *given = config->clock.bound_file;
    int length;

    if (strcmp(given, CONFIG_STATE_NONE) == 0)
        return false;
    if (!*given)
        return config->clock.kind == CONFIG_CLOCK_KERNEL &&
               directory_file("RUNTIME_DIRECTORY", NAME, path, CONFIG_PATH_SIZE) == 0;
    length = snprintf(path, CONFIG_PATH_SIZE, "%s", given);
    return length > 0 && length < CONFIG_PATH_SIZE;
}

static const char *reason(int error)
{
    switch (error) {
    case -ELOOP:
        return "it is a symbolic link";
    case -EINVAL:
        return "it is not a regular file";
    case -EPERM:
        return "it belongs to another user";
    case -EEXIST:
        return "there is something else in it, which is left alone";
    case -EBUSY:
        return "another daemon publishes there";
    case -ESTALE:
        return "it was removed";
    default:
        return strerror(-error);
    }
}

static void open_file(struct daemon_segment *segment)
{
    int r = segment_open(segment->path, &segment->segment);

    if (r >= 0) {
        if (segment->disruptions < segment_disruptions(segment->segment))
            segment->disruptions = segment_disruptions(segment->segment);
        return;
    }
    segment->segment = NULL;
    journal_say(LOG_WARNING, &(struct journal_fields){.error = -r},
                "Cannot publish how far the clock may be off in %s: %s. Programs that look there "
                "will not learn it.",
                segment->path, reason(r));
}

struct daemon_segment *daemon_segment_open(const struct config *config, bool adjusts,
                                           const struct daemon_source *source)
{
    struct daemon_segment *segment;
    char path[CONFIG_PATH_SIZE];

    if (!daemon_segment_path(config, path))
        return NULL;
    segment = calloc(1, sizeof *segment);
    if (!segment)
        return NULL;
    segment->config = config;
    segment->source = *source;
    segment->adjusts = adjusts;
    memcpy(segment->path, path, sizeof segment->path);
    open_file(segment);
    return segment;
}

static enum segment_status status_of(const struct daemon_segment *segment,
                                     const struct summary *summary, int64_t drift_ppb)
{
    const bool known = drift_ppb >= 0 && segment->adjusts &&
                       summary->verdict != VERDICT_OBSERVER &&
                       summary->verdict != VERDICT_REFERENCE;

    if (summary->state == SYNC_SYNCHRONISED && known)
        return SEGMENT_SYNCHRONISED;
    if (summary->state == SYNC_HOLDOVER && known)
        return SEGMENT_HOLDOVER;
    return segment->disrupted ? SEGMENT_DISRUPTED : SEGMENT_UNKNOWN;
}

/* Between two ticks the slew under way may pass what it is to correct, by 3 us at most. */
static int64_t bound_of(const struct summary *summary)
{
    const int64_t before_ns = timestamp_abs(summary->outstanding_ns);
    int64_t after_ns, bound_ns;

    if (timestamp_sub(summary->outstanding_ns, summary->slew_left_ns, &after_ns) < 0)
        return INT64_MAX;
    after_ns = timestamp_abs(after_ns);
    if (after_ns <= before_ns)
        return summary->bound_ns;
    return timestamp_add(summary->bound_ns, after_ns - before_ns, &bound_ns) < 0 ? INT64_MAX
                                                                                 : bound_ns;
}

/* drift = (late bound - bound) / SUMMARY_LATE_NS, rounded up; -1 if no line leads there. */
static int64_t drift_of(int64_t bound_ns, int64_t late_bound_ns)
{
    const int64_t span = SUMMARY_LATE_NS / NS_PER_S;
    int64_t drift_ppb;

    if (bound_ns == INT64_MAX || late_bound_ns == INT64_MAX)
        return -1;
    if (late_bound_ns <= bound_ns)
        return 0;
    drift_ppb = (late_bound_ns - bound_ns - 1) / span + 1;
    return drift_ppb < DRIFT_LIMIT_PPB ? drift_ppb : -1;
}

static int64_t good_for(struct daemon_segment *segment, const struct summary *summary,
                        int64_t now_ns)
{
    int64_t left_ns = segment->config->clock.holdover_limit_ns;

    if (summary->state == SYNC_HOLDOVER && !segment->holding)
        segment->held_ns = now_ns;
    segment->holding = summary->state == SYNC_HOLDOVER;
    if (segment->holding)
        left_ns -= now_ns - segment->held_ns;
    if (left_ns < 0)
        return 0;
    return left_ns < SUMMARY_LATE_NS ? left_ns : SUMMARY_LATE_NS;
}

static void take_disruptions(struct daemon_segment *segment, const struct chronicle_tally *tally)
{
    const uint64_t sum = tally->foreign_steps + tally->suspensions;

    if (sum == segment->tallied)
        return;
    segment->disruptions += sum - segment->tallied;
    segment->tallied = sum;
    segment->disrupted = true;
}

static struct segment_bound judge(struct daemon_segment *segment)
{
    struct segment_bound bound = {.as_of_ns = segment_now(),
                                  .disruptions = segment->disruptions};
    struct summary summary = {0};
    int64_t drift_ppb;

    segment->source.summarise(segment->source.context, &summary);
    segment->disrupted &= summary.state != SYNC_SYNCHRONISED;
    bound.void_after_ns = bound.as_of_ns + good_for(segment, &summary, bound.as_of_ns);
    bound.bound_ns = bound_of(&summary);
    drift_ppb = drift_of(bound.bound_ns, summary.late_bound_ns);
    bound.status = status_of(segment, &summary, drift_ppb);
    bound.drift_ppb = drift_ppb < 0 ? 0 : (uint32_t)drift_ppb;
    return bound;
}

void daemon_segment_tick(struct daemon_segment *segment, const struct chronicle_tally *tally)
{
    struct segment_bound bound;
    int r;

    if (!segment || !segment->segment)
        return;
    take_disruptions(segment, tally);
    bound = judge(segment);
    r = segment_write(segment->segment, &bound);
    if (r >= 0)
        return;
    journal_say(LOG_WARNING, &(struct journal_fields){.error = -r},
                "Cannot publish in %s any more how far the clock may be off: %s. Making it anew.",
                segment->path, reason(r));
    segment_close(segment->segment);
    open_file(segment);
    if (segment->segment)
        (void)segment_write(segment->segment, &bound);
}

void daemon_segment_close(struct daemon_segment *segment)
{
    if (!segment)
        return;
    segment_close(segment->segment);
    free(segment);
}
