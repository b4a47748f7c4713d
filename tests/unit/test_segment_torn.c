/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nobody reads half of one writing and half of another, while another process writes 1,000 times
 * a second, or 200,000 times.  (Much faster, and the 16 bits of the generation would come round
 * while a reader waits for its processor.)  $BERKELEY_TEST_READS: how often is read.
 */
#include "segment_reader.h"

#include "berkeley.h"
#include "daemon/segment.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define S INT64_C(1000000000)
#define READS 10000000
#define SLOW_NS 1000000
#define FAST_NS 5000
/* Apart from one writing to the next in seconds as well as in nanoseconds. */
#define STRIDE_NS INT64_C(1000000007)

static char path[64];
static long reads = READS;
static pid_t writer;

/* All of it hangs on one number, so that what does not fit is seen. */
static struct segment_bound bound_of(int64_t n)
{
    return (struct segment_bound){.as_of_ns = n * STRIDE_NS,
                                  .void_after_ns = n * STRIDE_NS + 1000 * S,
                                  .bound_ns = n,
                                  .disruptions = ~(uint64_t)n,
                                  .drift_ppb = (uint32_t)n,
                                  .status = n % 2 ? SEGMENT_SYNCHRONISED : SEGMENT_HOLDOVER};
}

static int64_t now_ns(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * S + now.tv_nsec;
}

static void wait_until(int64_t at_ns, int64_t period_ns)
{
    if (period_ns >= SLOW_NS)
        (void)usleep((useconds_t)(period_ns / 1000));
    else
        while (now_ns() < at_ns)
            ;
}

static void write_on(int64_t period_ns)
{
    struct segment *segment = NULL;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (segment_open(path, &segment) < 0)
        _exit(1);
    for (int64_t n = 1;; n++) {
        const struct segment_bound bound = bound_of(n);
        const int64_t at_ns = now_ns();

        if (segment_write(segment, &bound) < 0)
            _exit(1);
        wait_until(at_ns + period_ns, period_ns);
    }
}

static void start(int64_t period_ns)
{
    strcpy(path, "/tmp/berkeley-torn-XXXXXX");
    (void)close(mkstemp(path));
    writer = fork();
    if (writer == 0)
        write_on(period_ns);
    assert_true(writer > 0);
}

static int teardown(void **state)
{
    int status;

    (void)state;
    if (kill(writer, SIGKILL) < 0 || waitpid(writer, &status, 0) != writer)
        return -1;
    (void)unlink(path);
    return WIFSIGNALED(status) ? 0 : -1;
}

static void expect_whole(const struct reader_fields *fields)
{
    const struct segment_bound bound = bound_of(fields->bound_ns);

    if (fields->as_of_s != bound.as_of_ns / S || fields->as_of_ns != bound.as_of_ns % S ||
        fields->void_after_s != bound.void_after_ns / S ||
        fields->void_after_ns != bound.void_after_ns % S ||
        fields->disruption_marker != bound.disruptions ||
        fields->max_drift_ppb != bound.drift_ppb || fields->status != (int32_t)bound.status)
        fail_msg("torn: bound %jd with as of %jd s, void after %jd s, marker %ju, drift %u, "
                 "status %d",
                 (intmax_t)fields->bound_ns, (intmax_t)fields->as_of_s,
                 (intmax_t)fields->void_after_s, (uintmax_t)fields->disruption_marker,
                 fields->max_drift_ppb, fields->status);
}

static unsigned char *wait_for_the_first(void)
{
    struct reader_fields fields = {0};
    unsigned char *view = NULL;

    for (const int64_t end_ns = now_ns() + 30 * S; now_ns() < end_ns && !fields.status;) {
        struct stat status;

        assert_int_equal(stat(path, &status), 0);
        if (!view && status.st_size == SEGMENT_SIZE)
            view = reader_map(path);
        if (view)
            (void)reader_read(view, &fields);
    }
    assert_int_not_equal(fields.status, 0);
    return view;
}

static void read_by_the_layout(void)
{
    unsigned char *view = wait_for_the_first();
    struct reader_fields fields = {0};
    int64_t first = 0, last = 0;

    for (long i = 0; i < reads;) {
        if (!reader_read(view, &fields))
            continue;
        expect_whole(&fields);
        assert_true(fields.bound_ns >= last);
        last = fields.bound_ns;
        first = first ? first : last;
        i++;
    }
    assert_true(last > first);
    assert_int_equal(munmap(view, SEGMENT_SIZE), 0);
}

static void read_by_the_header(void)
{
    const struct berkeley_segment *segment;
    struct berkeley_snapshot_ snapshot = {0};
    int64_t last = 0;

    assert_int_equal(munmap(wait_for_the_first(), SEGMENT_SIZE), 0);
    segment = berkeley_open(path);
    assert_non_null(segment);
    for (long i = 0; i < reads;) {
        struct segment_bound bound;

        /* In vain only while the writer waits for its processor. */
        if (!berkeley_snapshot_take_(segment, &snapshot))
            continue;
        bound = bound_of(snapshot.bound_ns);
        if (snapshot.as_of_ns != bound.as_of_ns || snapshot.void_after_ns != bound.void_after_ns ||
            snapshot.drift_ppb != bound.drift_ppb || snapshot.status != (int32_t)bound.status)
            fail_msg("torn: bound %jd with as of %jd ns", (intmax_t)snapshot.bound_ns,
                     (intmax_t)snapshot.as_of_ns);
        assert_true(snapshot.bound_ns >= last);
        last = snapshot.bound_ns;
        i++;
    }
    berkeley_close(segment);
}

static void by_the_layout_from_a_slow_writer(void **state)
{
    (void)state;
    start(SLOW_NS);
    read_by_the_layout();
}

static void by_the_layout_from_a_fast_writer(void **state)
{
    (void)state;
    start(FAST_NS);
    read_by_the_layout();
}

static void by_the_header_from_a_slow_writer(void **state)
{
    (void)state;
    start(SLOW_NS);
    read_by_the_header();
}

static void by_the_header_from_a_fast_writer(void **state)
{
    (void)state;
    start(FAST_NS);
    read_by_the_header();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(by_the_layout_from_a_slow_writer, teardown),
        cmocka_unit_test_teardown(by_the_layout_from_a_fast_writer, teardown),
        cmocka_unit_test_teardown(by_the_header_from_a_slow_writer, teardown),
        cmocka_unit_test_teardown(by_the_header_from_a_fast_writer, teardown),
    };
    const char *given = getenv("BERKELEY_TEST_READS");

    if (given)
        reads = strtol(given, NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
