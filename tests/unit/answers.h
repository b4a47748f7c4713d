/* SPDX-License-Identifier: BSD-2-Clause */
/* answers: a daemon's control socket over made-up knowledge, and what it answers there. */
#ifndef BERKELEY_TESTS_ANSWERS_H
#define BERKELEY_TESTS_ANSWERS_H

#include "control_side.h"

#include <json-c/json.h>

#include "daemon/daemon_control.h"

#define ANSWERS_VIEWS 1200
#define ANSWERS_RAW_NS (1000 * NS_PER_S)
#define ANSWERS_TOTAL_NS (INT64_C(1600000000) * NS_PER_S)

/* The tests run as root or as the daemon's user: whoever asks may change something. */
struct answers {
    struct control_side side;
    struct config config;
    struct summary summary;
    struct transport_counters counters;
    struct reading now;
    struct chronicle *chronicle;
    bool observes, configured_trace, trace;
    struct clock_view views[ANSWERS_VIEWS]; /* those without a name are not there */
    size_t view_count;
    int step_result;
    int64_t confirmed_ns;
};

static struct answers answers;

static inline void answers_summarise(void *context, struct summary *out)
{
    assert_ptr_equal(context, &answers);
    *out = answers.summary;
}

static inline void answers_count(void *context, struct transport_counters *out)
{
    assert_ptr_equal(context, &answers);
    *out = answers.counters;
}

static inline void answers_read(void *context, struct reading *now)
{
    assert_ptr_equal(context, &answers);
    *now = answers.now;
}

static inline bool answers_adjusts(void *context)
{
    assert_ptr_equal(context, &answers);
    return !answers.observes;
}

static inline size_t answers_views(void *context)
{
    assert_ptr_equal(context, &answers);
    return answers.view_count;
}

static inline bool answers_view(void *context, size_t i, const struct reading *now,
                                struct clock_view *view)
{
    assert_ptr_equal(context, &answers);
    assert_int_equal(now->raw_ns, answers.now.raw_ns);
    assert_true(i < answers.view_count);
    if (!answers.views[i].name[0])
        return false;
    *view = answers.views[i];
    return true;
}

static inline bool answers_traces(void *context)
{
    assert_ptr_equal(context, &answers);
    return answers.trace || answers.configured_trace;
}

static inline void answers_trace(void *context, bool on)
{
    assert_ptr_equal(context, &answers);
    answers.trace = on;
}

static inline int answers_offer(void *context, int64_t *correction_ns, int64_t *slewing_ns)
{
    assert_ptr_equal(context, &answers);
    if (answers.step_result < 0)
        return answers.step_result;
    *correction_ns = -1500000000;
    *slewing_ns = 15000000000;
    return 0;
}

static inline int answers_step(void *context, int64_t confirmed_ns, int64_t *stepped_ns)
{
    assert_ptr_equal(context, &answers);
    answers.confirmed_ns = confirmed_ns;
    if (answers.step_result < 0)
        return answers.step_result;
    *stepped_ns = confirmed_ns + 1;
    return 0;
}

static inline int answers_setup(void **state)
{
    (void)state;
    (void)unsetenv("RUNTIME_DIRECTORY");
    memset(&answers, 0, sizeof answers);
    answers.config = (struct config){.name = "node1", .group = "lab"};
    answers.config.master.interval_ns = 2 * NS_PER_S;
    answers.summary = (struct summary){.bound_ns = INT64_MAX};
    answers.now = (struct reading){.raw_ns = ANSWERS_RAW_NS, .total_ns = ANSWERS_TOTAL_NS};
    answers.chronicle = chronicle_new(&answers.now);
    control_side_open(&answers.side);
    (void)snprintf(answers.config.control, sizeof answers.config.control, "%s", answers.side.path);
    return answers.chronicle ? 0 : -1;
}

static inline int answers_teardown(void **state)
{
    (void)state;
    control_side_close(&answers.side);
    chronicle_free(answers.chronicle);
    return 0;
}

static inline struct daemon_control *answers_open(bool master)
{
    const struct daemon_source source = {.summarise = answers_summarise,
                                                 .count = answers_count,
                                                 .read = answers_read,
                                                 .adjusts = answers_adjusts,
                                                 .views = answers_views,
                                                 .view = answers_view,
                                                 .chronicle = answers.chronicle,
                                                 .traces = answers_traces,
                                                 .trace = answers_trace,
                                                 .step_offer = answers_offer,
                                                 .step = answers_step,
                                                 .context = &answers};

    return daemon_control_open(answers.side.loop, &answers.config, master, &source);
}

/* A line; the caller's to free. */
static inline char *answers_ask(bool master, const char *question)
{
    struct daemon_control *control = answers_open(master);
    char *answer;

    assert_non_null(control);
    answer = control_ask(&answers.side, question);
    daemon_control_close(control);
    return answer;
}

static inline void answers_expect(bool master, const char *question, const char *expected)
{
    char *answer = answers_ask(master, question);

    assert_string_equal(answer, expected);
    free(answer);
}

static inline void answers_expect_error(bool master, const char *question, const char *sentence)
{
    char expected[1024];

    (void)snprintf(expected, sizeof expected, "{\"error\":\"%s\"}\n", sentence);
    answers_expect(master, question, expected);
}

/* A second later. */
static inline void answers_note(const struct note *note)
{
    answers.now.raw_ns += NS_PER_S;
    chronicle_take(answers.chronicle, note, &answers.now);
}

#define ANSWERS_NOTE(...) answers_note(&(const struct note){__VA_ARGS__})

#endif
