/* SPDX-License-Identifier: BSD-2-Clause */
#include "status.h"

#include "core/timestamp.h"
#include "field.h"
#include "query.h"
#include "text.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define FAR_NS (10 * NS_PER_S) /* to slew */

#define T(ns) text_time((ns), (char[TEXT_SIZE]){0})
#define SIGNED(ns) text_signed_time((ns), (char[TEXT_SIZE]){0})
#define SECONDS(s) text_seconds((s), (char[TEXT_SIZE]){0})

/* A word that is not here is a newer daemon's, and told as it is. */
static const char *explain(const char *verdict)
{
    static const struct {
        const char *verdict, *text;
    } table[] = {
        {"none", "not judged yet"},
        {"counted", "counted in the group's average"},
        {"reference", "a reference: the group follows it"},
        {"newcomer", "a newcomer: corrected, not yet counted"},
        {"noisy", "measured too poorly to be counted now"},
        {"far", "excluded: too far from the others"},
        {"fast", "excluded: runs too unlike the others"},
        {"suspended", "excluded a moment ago, and left alone for some rounds"},
        {"silent", "did not answer in the last round"},
        {"observer", "only observes: neither corrected nor counted"},
        {"no-quorum", "too few clocks agree: nobody is corrected"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].verdict, verdict) == 0)
            return table[i].text;
    return verdict;
}

/* A clock that is counted, but not synchronised: a slave is not told why. */
static const char *counted_in_vain(const struct json_object *answer)
{
    int64_t counted, quorum;

    if (!field_number(answer, "quorum", &quorum))
        return "the master is silent, or counts fewer clocks than its quorum";
    return field_number(answer, "counted", &counted) && counted < quorum
               ? "fewer clocks are counted than master.quorum asks for: nobody is corrected"
               : "waits for the next round";
}

/* Why this clock is not synchronised; NULL: it is, or nobody knows. */
static const char *reason(const struct json_object *answer, const char *state,
                          char buffer[FIELD_SIZE])
{
    const bool holdover = strcmp(state, "holdover") == 0;
    int64_t present, quorum;
    bool connected = true;

    if (!holdover && strcmp(state, "unsynchronised") != 0)
        return NULL;
    (void)field_flag(answer, "connected", &connected);
    if (!connected)
        return holdover ? "no master; the clock goes on as it was last corrected"
                        : "no master has let this slave in";
    if (!field_text(answer, "verdict", buffer))
        return NULL;
    if (strcmp(buffer, "counted") == 0)
        return counted_in_vain(answer);
    if (strcmp(buffer, "none") != 0)
        return explain(buffer);
    if (field_number(answer, "present", &present) && field_number(answer, "quorum", &quorum) &&
        present < quorum)
        return "fewer clocks are here than master.quorum asks for";
    return field_text(answer, "role", buffer) && strcmp(buffer, "master") == 0
               ? "no round has been decided yet"
               : "no correction has come yet";
}

void status_state(const struct json_object *answer, char *buffer, size_t size)
{
    char state[FIELD_SIZE], verdict[FIELD_SIZE];
    const char *why;
    int64_t since_s;
    size_t used;

    if (!field_text(answer, "state", state))
        (void)snprintf(state, sizeof state, "unknown");
    why = reason(answer, state, verdict);
    (void)snprintf(buffer, size, "%s", state);
    used = strlen(buffer);
    if (field_number(answer, "state_since_s", &since_s) && since_s >= 0)
        (void)snprintf(buffer + used, size - used, " for %s", SECONDS(since_s));
    used = strlen(buffer);
    if (why)
        (void)snprintf(buffer + used, size - used, ": %s", why);
}

static void print_offset(FILE *out, const struct json_object *answer)
{
    int64_t offset_ns;

    if (!field_number(answer, "offset_ns", &offset_ns) || offset_ns == INT64_MIN)
        field_print(out, "Offset", "unknown");
    else if (offset_ns == 0)
        field_print(out, "Offset", "none");
    else
        field_print(out, "Offset", "%s %s the group", T(offset_ns < 0 ? -offset_ns : offset_ns),
                    offset_ns < 0 ? "behind" : "ahead of");
}

static void print_bound(FILE *out, const struct json_object *answer)
{
    int64_t bound_ns, asymmetry_ns;

    if (!field_number(answer, "bound_ns", &bound_ns))
        field_print(out, "Bound", "unknown");
    else if (!field_number(answer, "bound_asymmetry_ns", &asymmetry_ns) || asymmetry_ns <= 0)
        field_print(out, "Bound", "%s", T(bound_ns));
    else
        field_print(out, "Bound", "%s; %s of it in case the ways there and back differ",
                    T(bound_ns), T(asymmetry_ns));
}

/* Of a far correction the kernel is given one piece after the other. */
static void print_slew(FILE *out, const struct json_object *answer, int64_t left_ns)
{
    int64_t offset_ns, left_takes_ns, all_takes_ns = 0;
    char how[3 * TEXT_SIZE] = "";
    double ppm;

    if (field_real(answer, "max_slew_ppm", &ppm) && ppm > 0) {
        left_takes_ns = timestamp_round((double)timestamp_abs(left_ns) * 1e6 / ppm);
        if (field_number(answer, "offset_ns", &offset_ns))
            all_takes_ns = timestamp_round((double)timestamp_abs(offset_ns) * 1e6 / ppm);
        if (all_takes_ns > FAR_NS && all_takes_ns / 2 > left_takes_ns)
            (void)snprintf(how, sizeof how, " for now; all of it takes about %s at %.0f ppm",
                           T(all_takes_ns), ppm);
        else
            (void)snprintf(how, sizeof how, ", about %s at %.0f ppm", T(left_takes_ns), ppm);
    }
    field_print(out, "Slew left", "%s%s", SIGNED(left_ns), how);
}

static void print_correction(FILE *out, const struct json_object *answer)
{
    int64_t correction_ns, age_s, left_ns;

    if (field_number(answer, "correction_ns", &correction_ns) &&
        field_number(answer, "correction_age_s", &age_s) && age_s >= 0)
        field_print(out, "Correction", "%s, %s%s", SIGNED(correction_ns),
                    age_s > 0 ? SECONDS(age_s) : "just now", age_s > 0 ? " ago" : "");
    if (!field_number(answer, "slew_left_ns", &left_ns) || left_ns == INT64_MIN)
        return;
    if (left_ns == 0)
        field_print(out, "Slew left", "none");
    else
        print_slew(out, answer, left_ns);
}

static void print_clock(FILE *out, const struct json_object *answer)
{
    char text[FIELD_SIZE];
    double frequency_ppb;
    bool adjusts = true;

    if (field_real(answer, "frequency_ppb", &frequency_ppb))
        field_print(out, "Frequency", "corrected by %+.3f ppm", frequency_ppb / 1e3);
    if (field_text(answer, "verdict", text))
        field_print(out, "This clock", "%s", explain(text));
    (void)field_flag(answer, "adjusts", &adjusts);
    if (!adjusts)
        field_print(out, "Clock", "left alone: this daemon only observes");
    else if (field_text(answer, "clock", text) && strcmp(text, "emulated") == 0)
        field_print(out, "Clock", "an emulated one; the machine's own is left alone");
}

static void print_clocks(FILE *out, const struct json_object *answer)
{
    int64_t counted, present, spread_ns;
    char within[TEXT_SIZE + 32] = "";

    if (!field_number(answer, "counted", &counted) || !field_number(answer, "present", &present) ||
        present <= 0)
        return;
    if (field_number(answer, "spread_ns", &spread_ns) && spread_ns >= 0 && spread_ns != INT64_MAX)
        (void)snprintf(within, sizeof within, ", within %s of each other", T(spread_ns));
    field_print(out, "Clocks", "%" PRId64 " of %" PRId64 " counted%s", counted, present, within);
}

static void print_group(FILE *out, const struct json_object *answer)
{
    int64_t slaves, round, interval_ns;
    char text[FIELD_SIZE];
    bool connected;

    if (field_text(answer, "master", text))
        field_print(out, "Master", "%s", text);
    else if (field_flag(answer, "connected", &connected) && !connected)
        field_print(out, "Master", "none: not connected");
    print_clocks(out, answer);
    if (field_number(answer, "slaves", &slaves))
        field_print(out, "Slaves", "%" PRId64 " connected", slaves);
    if (!field_number(answer, "round", &round))
        return;
    if (field_number(answer, "interval_ns", &interval_ns) && interval_ns > 0)
        field_print(out, "Round", "%" PRId64 ", one every %s", round, T(interval_ns));
    else
        field_print(out, "Round", "%" PRId64, round);
}

static void print_daemon(FILE *out, const struct json_object *answer)
{
    char text[FIELD_SIZE];
    int64_t uptime_s;
    bool trace;

    if (field_text(answer, "version", text) && field_number(answer, "uptime_s", &uptime_s) &&
        uptime_s >= 0)
        field_print(out, "Daemon", "berkeleyd %s, started %s ago", text, SECONDS(uptime_s));
    if (field_flag(answer, "trace", &trace) && trace)
        field_print(out, "Trace", "on: every round is in the journal");
}

void status_print(FILE *out, struct json_object *answer)
{
    char state[2 * FIELD_SIZE + TEXT_SIZE], text[FIELD_SIZE];

    field_print_head(out, answer);
    (void)fputc('\n', out);
    status_state(answer, state, sizeof state);
    if (field_text(answer, "state", text))
        field_print(out, "State", "%s", state);
    print_offset(out, answer);
    print_bound(out, answer);
    print_correction(out, answer);
    print_clock(out, answer);
    print_group(out, answer);
    print_daemon(out, answer);
}

static bool show(const struct ctl_options *options, struct json_object *answer)
{
    (void)options;
    status_print(stdout, answer);
    return true;
}

enum ctl_exit status_run(const struct ctl_options *options)
{
    return query_run(options, "status", QUERY_EACH, show);
}
