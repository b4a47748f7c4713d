/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/metrics.h"

#include "daemon/metrics_clocks.h"

#include <errno.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PREFIX "berkeley_"

static struct metrics_number whole(uint64_t count)
{
    return (struct metrics_number){.value = (int64_t)count};
}

static bool take_time(bool known, int64_t ns, struct metrics_number *number)
{
    *number = (struct metrics_number){.value = ns, .digits = 9};
    return known;
}

static bool take_count(bool known, uint64_t count, struct metrics_number *number)
{
    *number = whole(count);
    return known;
}

/* --- what has one value: false if it is not known, or not of this role --- */

typedef bool take(const struct metrics_input *input, struct metrics_number *number);

static bool take_start(const struct metrics_input *input, struct metrics_number *number)
{
    return take_time(true, input->start_ns, number);
}

static bool take_offset(const struct metrics_input *input, struct metrics_number *number)
{
    return take_time(input->summary->bound_ns != INT64_MAX, input->summary->offset_ns, number);
}

static bool take_bound(const struct metrics_input *input, struct metrics_number *number)
{
    return take_time(input->summary->bound_ns != INT64_MAX, input->summary->bound_ns, number);
}

static bool take_asymmetry(const struct metrics_input *input, struct metrics_number *number)
{
    return take_time(input->summary->bound_ns != INT64_MAX, input->summary->asymmetry_ns, number);
}

static bool take_slew(const struct metrics_input *input, struct metrics_number *number)
{
    return take_time(true, input->summary->slew_left_ns, number);
}

static bool take_frequency(const struct metrics_input *input, struct metrics_number *number)
{
    return metrics_ratio(input->summary->freq_ppb, number);
}

static bool take_correction(const struct metrics_input *input, struct metrics_number *number)
{
    return take_time(input->corrected, input->correction_ns, number);
}

static bool take_connected(const struct metrics_input *input, struct metrics_number *number)
{
    return take_count(!input->master, input->summary->connected, number);
}

static bool take_slaves(const struct metrics_input *input, struct metrics_number *number)
{
    return take_count(input->master, input->summary->slaves, number);
}

static bool take_spread(const struct metrics_input *input, struct metrics_number *number)
{
    return take_time(input->master && input->summary->counted > 0, input->summary->spread_ns,
                     number);
}

static bool take_counted(const struct metrics_input *input, struct metrics_number *number)
{
    return take_count(true, input->summary->counted, number);
}

static bool take_present(const struct metrics_input *input, struct metrics_number *number)
{
    return take_count(true, input->summary->present, number);
}

static const struct gauge {
    const char *name, *help;
    take *take;
} gauges[] = {
    {PREFIX "start_time_seconds", "When the daemon was started, UNIX time.", take_start},
    {PREFIX "offset_seconds",
     "How far this clock is ahead of the group's time; negative: behind.", take_offset},
    {PREFIX "bound_seconds", "How far at most this clock is from the group's time.", take_bound},
    {PREFIX "bound_asymmetry_seconds",
     "The part of the bound that paths of unequal delay could hide.", take_asymmetry},
    {PREFIX "slew_left_seconds", "The part of the correction under way that is still to come.",
     take_slew},
    {PREFIX "correction_seconds", "The last correction of this clock.", take_correction},
    {PREFIX "frequency_correction_ratio",
     "By how much this clock is made faster than its oscillator.", take_frequency},
    {PREFIX "counted_clocks", "Clocks in the average of the last round.", take_counted},
    {PREFIX "present_clocks", "Clocks that answered in the last round, the master's included.",
     take_present},
    {PREFIX "spread_seconds",
     "The largest offset between two of the counted clocks in the last round.", take_spread},
    {PREFIX "slaves", "Slaves that are connected.", take_slaves},
    {PREFIX "connected", "1 if the master has welcomed this slave, else 0.", take_connected},
};

static void put_gauges(const struct metrics_input *input, struct metrics_text *text)
{
    struct metrics_number number;

    for (size_t i = 0; i < COUNT(gauges); i++) {
        if (!gauges[i].take(input, &number))
            continue;
        metrics_text_family(text, gauges[i].name, "gauge", gauges[i].help);
        metrics_text_sample(text, gauges[i].name, NULL, 0, number);
    }
}

/* --- one of several words --- */

static void put_build(const struct metrics_input *input, struct metrics_text *text)
{
    static const char name[] = PREFIX "build_info";
    const struct metrics_label labels[] = {{"version", input->version},
                                           {"role", input->master ? "master" : "slave"},
                                           {"group", input->group},
                                           {"name", input->name}};

    metrics_text_family(text, name, "gauge", "Which daemon this is: always 1.");
    metrics_text_sample(text, name, labels, COUNT(labels), whole(1));
}

static void put_states(const struct metrics_input *input, struct metrics_text *text)
{
    static const char name[] = PREFIX "state";

    metrics_text_family(text, name, "gauge", "1 for the state this clock is in, else 0.");
    for (unsigned state = SYNC_UNSYNCHRONISED; state <= SYNC_HOLDOVER; state++)
        metrics_text_sample(text, name, &(struct metrics_label){"state", sync_state_name(state)},
                            1, whole(state == input->summary->state));
}

static void put_verdicts(const struct metrics_input *input, struct metrics_text *text)
{
    static const char name[] = PREFIX "verdict";

    metrics_text_family(text, name, "gauge",
                        "1 for the group's verdict on this clock in the last round, else 0.");
    for (unsigned verdict = 0; verdict < VERDICT_COUNT_; verdict++)
        metrics_text_sample(text, name,
                            &(struct metrics_label){"verdict", clock_verdict_name(verdict)}, 1,
                            whole(verdict == input->summary->verdict));
}

/* --- what only grows --- */

enum roles { BOTH, MASTER, SLAVE };

static const struct tally {
    const char *name, *help;
    size_t place;
    enum roles roles;
} tallies[] = {
#define TALLY(member) offsetof(struct chronicle_tally, member)
    {PREFIX "rounds_total", "Rounds decided (master), or that brought a correction (slave).",
     TALLY(rounds), BOTH},
    {PREFIX "corrections_total", "Rounds with a correction of this clock.", TALLY(corrections),
     BOTH},
    {PREFIX "steps_total", "Steps of this clock by the daemon.", TALLY(steps), BOTH},
    {PREFIX "foreign_steps_total", "Steps of this clock by somebody else.", TALLY(foreign_steps),
     BOTH},
    {PREFIX "suspensions_total", "How often this machine was suspended.", TALLY(suspensions), BOTH},
    {PREFIX "panics_total", "Corrections beyond clock.panic_threshold, which stop the daemon.",
     TALLY(panics), BOTH},
    {PREFIX "holdovers_total", "How often this clock went into holdover.", TALLY(holdovers), BOTH},
    {PREFIX "quorums_lost_total", "How often no majority of the clocks agreed any more.",
     TALLY(quorums_lost), MASTER},
    {PREFIX "exclusions_total", "How often a clock was excluded from the average.",
     TALLY(exclusions), MASTER},
    {PREFIX "oscillator_jumps_total", "How often a machine's oscillator was found to have jumped.",
     TALLY(jumps), MASTER},
    {PREFIX "slaves_joined_total", "Slaves that were welcomed.", TALLY(slaves_joined), MASTER},
    {PREFIX "slaves_left_total", "Slaves that went.", TALLY(slaves_left), MASTER},
    {PREFIX "masters_found_total", "How often the master welcomed this slave.",
     TALLY(masters_found), SLAVE},
    {PREFIX "masters_lost_total", "How often this slave lost its master.", TALLY(masters_lost),
     SLAVE},
#undef TALLY
};
_Static_assert(COUNT(tallies) * sizeof(uint64_t) == sizeof(struct chronicle_tally),
               "every tally is told");

static uint64_t counter_at(const void *structure, size_t place)
{
    uint64_t value;

    memcpy(&value, (const char *)structure + place, sizeof value);
    return value;
}

static void put_tallies(const struct metrics_input *input, struct metrics_text *text)
{
    for (size_t i = 0; i < COUNT(tallies); i++) {
        if (tallies[i].roles == (input->master ? SLAVE : MASTER))
            continue;
        metrics_text_family(text, tallies[i].name, "counter", tallies[i].help);
        metrics_text_sample(text, tallies[i].name, NULL, 0,
                            whole(counter_at(input->tally, tallies[i].place)));
    }
}

/* Those of one name stand together. */
static const struct traffic {
    const char *name, *help, *label, *word; /* help: with the first */
    size_t place;
} traffics[] = {
#define TRAFFIC(member) offsetof(struct transport_counters, member)
    {PREFIX "connections_accepted_total", "Connections that were not refused at once.", NULL, NULL,
     TRAFFIC(accepted)},
    {PREFIX "connections_refused_total", "Connections that were refused at once.", "reason",
     "loopback", TRAFFIC(refused_loopback)},
    {PREFIX "connections_refused_total", NULL, "reason", "denied", TRAFFIC(refused_denied)},
    {PREFIX "connections_refused_total", NULL, "reason", "often", TRAFFIC(refused_often)},
    {PREFIX "connections_refused_total", NULL, "reason", "full", TRAFFIC(refused_full)},
    {PREFIX "connections_refused_total", NULL, "reason", "handshakes",
     TRAFFIC(refused_handshakes)},
    {PREFIX "connections_dropped_total", "Connections that were dropped later.", "reason", "flood",
     TRAFFIC(floods)},
    {PREFIX "connections_dropped_total", NULL, "reason", "garbled", TRAFFIC(garbled)},
    {PREFIX "connections_dropped_total", NULL, "reason", "revoked", TRAFFIC(revoked)},
    {PREFIX "handshakes_total", "TLS handshakes by what came of them.", "result", "done",
     TRAFFIC(handshakes_done)},
    {PREFIX "handshakes_total", NULL, "result", "failed", TRAFFIC(handshakes_failed)},
    {PREFIX "handshakes_total", NULL, "result", "late", TRAFFIC(handshakes_late)},
    {PREFIX "keys_refused_total", "Keys for which a handshake failed.", "reason", "unknown",
     TRAFFIC(unknown_keys)},
    {PREFIX "keys_refused_total", NULL, "reason", "wrong", TRAFFIC(wrong_keys)},
    {PREFIX "frames_received_total", "Frames that came in.", NULL, NULL, TRAFFIC(frames_in)},
    {PREFIX "frames_sent_total", "Frames that went out.", NULL, NULL, TRAFFIC(frames_out)},
    {PREFIX "frames_unsent_total", "Frames that were dropped because the other end did not read.",
     NULL, NULL, TRAFFIC(frames_unsent)},
#undef TRAFFIC
};
_Static_assert(COUNT(traffics) * sizeof(uint64_t) == sizeof(struct transport_counters),
               "every counter is told");

static void put_traffic(const struct transport_counters *counters, struct metrics_text *text)
{
    for (size_t i = 0; i < COUNT(traffics); i++) {
        const struct traffic *traffic = &traffics[i];

        if (traffic->help)
            metrics_text_family(text, traffic->name, "counter", traffic->help);
        metrics_text_sample(text, traffic->name,
                            &(struct metrics_label){traffic->label, traffic->word},
                            traffic->label ? 1 : 0, whole(counter_at(counters, traffic->place)));
    }
}

static void put_refusals(const struct summary *summary, struct metrics_text *text)
{
    static const char name[] = PREFIX "frames_refused_total";

    metrics_text_family(text, name, "counter", "Frames that were not used, by the reason.");
    for (unsigned reason = REFUSAL_NONE + 1; reason < REFUSAL_COUNT_; reason++)
        metrics_text_sample(text, name, &(struct metrics_label){"reason", refusal_name(reason)}, 1,
                            whole(summary->refused[reason]));
}

static void put_files(const struct metrics_input *input, struct metrics_text *text)
{
    static const char name[] = PREFIX "metrics_files_unwritten_total";

    if (!input->files)
        return;
    metrics_text_family(text, name, "counter", "How often metrics.file could not be written.");
    metrics_text_sample(text, name, NULL, 0, whole(input->files_unwritten));
}

int metrics_write(const struct metrics_input *input, struct metrics_text *text)
{
    metrics_text_clear(text);
    put_build(input, text);
    put_gauges(input, text);
    put_states(input, text);
    put_verdicts(input, text);
    put_tallies(input, text);
    put_traffic(input->counters, text);
    put_refusals(input->summary, text);
    put_files(input, text);
    if (input->master)
        metrics_clocks(input, text);
    if (!text->lost)
        return 0;
    metrics_text_clear(text);
    return -ENOMEM;
}
