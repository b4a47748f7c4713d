/* SPDX-License-Identifier: BSD-2-Clause */
/* What of the daemon's state other programs are told, where, and what the journal says of it. */
#include "segment_reader.h"
#include "virtual_kernel.h"

#include "daemon/daemon_segment.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define US NS_PER_US

static struct config config;
static struct summary summary;
static struct chronicle_tally tally;
static char directory[64];
static struct daemon_segment *segment;
static unsigned char *view;

static void summarise(void *context, struct summary *out)
{
    assert_ptr_equal(context, &summary);
    *out = summary;
}

static const struct daemon_source source = {.summarise = summarise, .context = &summary};

static int setup(void **state)
{
    (void)state;
    config_defaults(&config);
    config.clock.kind = CONFIG_CLOCK_EMULATED;
    tally = (struct chronicle_tally){0};
    summary = (struct summary){.state = SYNC_SYNCHRONISED,
                               .verdict = VERDICT_COUNTED,
                               .bound_ns = 40 * US,
                               .late_bound_ns = 940 * US};
    heard[0] = '\0';
    lines = 0;
    segment = NULL;
    view = NULL;
    strcpy(directory, "/tmp/berkeley-segment-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    (void)snprintf(config.clock.bound_file, sizeof config.clock.bound_file, "%s/bound", directory);
    return unsetenv("RUNTIME_DIRECTORY");
}

static int teardown(void **state)
{
    (void)state;
    daemon_segment_close(segment);
    if (view)
        (void)munmap(view, SEGMENT_SIZE);
    (void)unlink(config.clock.bound_file);
    return rmdir(directory);
}

/* What a reader finds once the daemon has told it. */
static struct reader_fields told(void)
{
    struct reader_fields fields = {0};

    if (!segment)
        segment = daemon_segment_open(&config, true, &source);
    daemon_segment_tick(segment, &tally);
    if (!view)
        view = reader_map(config.clock.bound_file);
    assert_non_null(view);
    assert_true(reader_read(view, &fields));
    return fields;
}

static int64_t life_ns(const struct reader_fields *fields)
{
    return (fields->void_after_s - fields->as_of_s) * NS_PER_S + fields->void_after_ns -
           fields->as_of_ns;
}

static void synchronised(void **state)
{
    struct reader_fields fields = told();

    (void)state;
    assert_int_equal(fields.status, 1);
    assert_int_equal(fields.bound_ns, 40 * US);
    assert_int_equal(fields.max_drift_ppb, 900);
    assert_int_equal(life_ns(&fields), SUMMARY_LATE_NS);
    assert_int_equal(fields.disruption_marker, 0);
    assert_int_equal(lines, 0);
}

static void the_states(void **state)
{
    (void)state;
    summary.state = SYNC_HOLDOVER;
    assert_int_equal(told().status, 2);
    summary.state = SYNC_UNSYNCHRONISED;
    assert_int_equal(told().status, 0);
}

/* Another program may move these clocks at any time. */
static void clocks_that_this_daemon_does_not_keep(void **state)
{
    (void)state;
    summary.verdict = VERDICT_OBSERVER;
    assert_int_equal(told().status, 0);
    summary.verdict = VERDICT_REFERENCE;
    assert_int_equal(told().status, 0);
    summary.verdict = VERDICT_NOISY;
    assert_int_equal(told().status, 1);
    daemon_segment_close(segment);
    segment = daemon_segment_open(&config, false, &source);
    assert_int_equal(told().status, 0);
}

/* It leads to at least the late bound, whatever the rounding. */
static void the_drift(void **state)
{
    (void)state;
    summary.late_bound_ns = summary.bound_ns + 1;
    assert_int_equal(told().max_drift_ppb, 1);
    summary.late_bound_ns = summary.bound_ns + 1000;
    assert_int_equal(told().max_drift_ppb, 1);
    summary.late_bound_ns = summary.bound_ns + 1001;
    assert_int_equal(told().max_drift_ppb, 2);
    summary.late_bound_ns = summary.bound_ns - 1;
    assert_int_equal(told().max_drift_ppb, 0);
    assert_int_equal(told().status, 1);
    summary.late_bound_ns = summary.bound_ns + 1000 * INT64_C(999999999);
    assert_int_equal(told().max_drift_ppb, 999999999);
    assert_int_equal(told().status, 1);
    summary.late_bound_ns++;
    assert_int_equal(told().status, 0);
}

static void what_is_not_known(void **state)
{
    (void)state;
    summary.late_bound_ns = INT64_MAX;
    assert_int_equal(told().status, 0);
    summary.bound_ns = INT64_MAX;
    assert_int_equal(told().status, 0);
    summary.late_bound_ns = 940 * US;
    assert_int_equal(told().status, 0);
}

static void a_slew_that_goes_too_far(void **state)
{
    (void)state;
    summary.outstanding_ns = -10 * US;
    summary.slew_left_ns = -10 * US;
    assert_int_equal(told().bound_ns, 40 * US);
    summary.slew_left_ns = -22 * US;
    assert_int_equal(told().bound_ns, 42 * US);
    summary.slew_left_ns = 3 * US;
    assert_int_equal(told().bound_ns, 43 * US);
    summary.slew_left_ns = -INT64_MAX;
    summary.outstanding_ns = INT64_MAX;
    assert_int_equal(told().status, 0);
}

static void wait_coarse(int64_t ns)
{
    struct timespec now, end;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC_COARSE, &end), 0);
    do
        assert_int_equal(clock_gettime(CLOCK_MONOTONIC_COARSE, &now), 0);
    while ((now.tv_sec - end.tv_sec) * NS_PER_S + now.tv_nsec - end.tv_nsec < ns);
}

/* As long as the daemon would call it holdover, were it alive. */
static void the_holdover_limit(void **state)
{
    struct reader_fields fields;

    (void)state;
    config.clock.holdover_limit_ns = 30 * NS_PER_S;
    fields = told();
    assert_int_equal(life_ns(&fields), 30 * NS_PER_S);
    summary.state = SYNC_HOLDOVER;
    fields = told();
    assert_int_equal(life_ns(&fields), 30 * NS_PER_S);
    wait_coarse(20 * NS_PER_MS);
    fields = told();
    assert_in_range(life_ns(&fields), 0, 30 * NS_PER_S - 20 * NS_PER_MS);
    config.clock.holdover_limit_ns = 1;
    fields = told();
    assert_int_equal(life_ns(&fields), 0);
    config.clock.holdover_limit_ns = 30 * NS_PER_S;
    summary.state = SYNC_SYNCHRONISED;
    fields = told();
    summary.state = SYNC_HOLDOVER;
    fields = told();
    assert_int_equal(life_ns(&fields), 30 * NS_PER_S);
}

static void disrupted(void **state)
{
    struct reader_fields fields;

    (void)state;
    (void)told();
    tally.foreign_steps = 1;
    summary = (struct summary){.bound_ns = INT64_MAX, .late_bound_ns = INT64_MAX};
    for (int i = 0; i < 3; i++) {
        fields = told();
        assert_int_equal(fields.status, 3);
        assert_int_equal(fields.disruption_marker, 1);
    }
    summary = (struct summary){.state = SYNC_SYNCHRONISED, .bound_ns = US, .late_bound_ns = US};
    assert_int_equal(told().status, 1);
    summary.state = SYNC_UNSYNCHRONISED;
    assert_int_equal(told().status, 0);
    tally.suspensions = 2;
    assert_int_equal(told().status, 3);
    assert_int_equal(told().disruption_marker, 3);
}

/* The marker never comes back to what it was. */
static void a_restart_goes_on_counting(void **state)
{
    (void)state;
    tally.suspensions = 4;
    (void)told();
    daemon_segment_close(segment);
    segment = NULL;
    tally.suspensions = 0;
    assert_int_equal(told().disruption_marker, 4);
    tally.suspensions = 1;
    assert_int_equal(told().disruption_marker, 5);
}

static void stopped(void **state)
{
    struct reader_fields fields = told();

    (void)state;
    daemon_segment_close(segment);
    segment = NULL;
    assert_true(reader_read(view, &fields));
    assert_int_equal(fields.status, 0);
}

static void removed(void **state)
{
    (void)state;
    (void)told();
    assert_int_equal(unlink(config.clock.bound_file), 0);
    tally.suspensions = 1;
    summary.state = SYNC_HOLDOVER;
    daemon_segment_tick(segment, &tally);
    assert_non_null(strstr(heard, "it was removed"));
    assert_int_equal(lines, 1);
    (void)munmap(view, SEGMENT_SIZE);
    view = NULL;
    assert_int_equal(told().status, 2);
    assert_int_equal(told().disruption_marker, 1);
    assert_int_equal(lines, 1);
}

static void somebody_elses_file(void **state)
{
    int fd = open(config.clock.bound_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    (void)state;
    assert_int_equal(write(fd, "dear diary", 10), 10);
    assert_int_equal(close(fd), 0);
    segment = daemon_segment_open(&config, true, &source);
    assert_non_null(strstr(heard, config.clock.bound_file));
    assert_non_null(strstr(heard, "something else in it, which is left alone"));
    daemon_segment_tick(segment, &tally);
    assert_int_equal(lines, 1);
}

/* --- where --- */

static void expect_path(const char *wanted)
{
    char path[CONFIG_PATH_SIZE];

    assert_true(daemon_segment_path(&config, path));
    assert_string_equal(path, wanted);
}

static void expect_nowhere(void)
{
    char path[CONFIG_PATH_SIZE];

    assert_false(daemon_segment_path(&config, path));
    assert_null(daemon_segment_open(&config, true, &source));
}

static void where(void **state)
{
    struct config given = config;

    (void)state;
    config_defaults(&config);
    expect_nowhere();
    config.clock.bound_file[0] = '\0';
    expect_nowhere();
    setenv("RUNTIME_DIRECTORY", "/run/berkeley:/run/other", 1);
    expect_path("/run/berkeley/clockbound");
    strcpy(config.clock.bound_file, "/run/elsewhere");
    expect_path("/run/elsewhere");
    config.clock.bound_file[0] = '\0';
    config.clock.kind = CONFIG_CLOCK_EMULATED;
    expect_nowhere();
    config = given;
    expect_path(given.clock.bound_file);
    strcpy(config.clock.bound_file, "none");
    expect_nowhere();
    daemon_segment_tick(NULL, &tally);
    daemon_segment_close(NULL);
    config = given;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(synchronised),
        TEST(the_states),
        TEST(clocks_that_this_daemon_does_not_keep),
        TEST(the_drift),
        TEST(what_is_not_known),
        TEST(a_slew_that_goes_too_far),
        TEST(the_holdover_limit),
        TEST(disrupted),
        TEST(a_restart_goes_on_counting),
        TEST(stopped),
        TEST(removed),
        TEST(somebody_elses_file),
        TEST(where),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
