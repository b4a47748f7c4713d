/* SPDX-License-Identifier: BSD-2-Clause */
/* The segment's bytes, and what becomes of the file. */
#include "segment_reader.h"

#include "daemon/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define S INT64_C(1000000000)
#define KILLS 40
#define NOBODY 65534

static char directory[64], path[96];
static unsigned char *view; /* a reader's, that maps the file once and for all */

static const struct segment_bound known = {.as_of_ns = 12 * S + 345,
                                           .void_after_ns = 1012 * S + 999999999,
                                           .bound_ns = INT64_C(0x0123456789ABCD),
                                           .disruptions = UINT64_C(0xFEDCBA9876543210),
                                           .drift_ppb = 0x00C0FFEE,
                                           .status = SEGMENT_HOLDOVER};

static int setup(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/berkeley-segment-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    (void)snprintf(path, sizeof path, "%s/clockbound", directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (view)
        (void)munmap(view, SEGMENT_SIZE);
    view = NULL;
    (void)unlink(path);
    return rmdir(directory);
}

static struct segment *open_segment(void)
{
    struct segment *segment = NULL;

    assert_int_equal(segment_open(path, &segment), 0);
    return segment;
}

static void look(void)
{
    view = reader_map(path);
    assert_non_null(view);
}

static void store(const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, bytes, size), size);
    assert_int_equal(close(fd), 0);
}

static void expect_refused(int error)
{
    struct segment *segment = NULL;

    assert_int_equal(segment_open(path, &segment), error);
    assert_null(segment);
}

static void expect_status(int32_t status)
{
    struct reader_fields fields = {0};

    assert_true(reader_read(view, &fields));
    assert_int_equal(fields.status, status);
}

static void each_field_has_its_place(void **state)
{
    struct segment *segment = open_segment();
    struct reader_fields fields = {0};

    (void)state;
    look();
    assert_int_equal(segment_write(segment, &known), 0);
    assert_true(reader_read(view, &fields));
    assert_int_equal(fields.as_of_s, 12);
    assert_int_equal(fields.as_of_ns, 345);
    assert_int_equal(fields.void_after_s, 1012);
    assert_int_equal(fields.void_after_ns, 999999999);
    assert_int_equal(fields.bound_ns, known.bound_ns);
    assert_int_equal(fields.disruption_marker, known.disruptions);
    assert_int_equal(fields.max_drift_ppb, known.drift_ppb);
    assert_int_equal(fields.status, 2);
    assert_int_equal(fields.disruption_support, 0);
    for (size_t i = 73; i < SEGMENT_SIZE; i++)
        assert_int_equal(view[i], 0);
    segment_close(segment);
}

static void the_head_is_clockbounds(void **state)
{
    const uint32_t magic[] = {0x414D5A4E, 0x43420200}, size = 80;
    const uint16_t version = 2;
    struct segment *segment = open_segment();

    (void)state;
    look();
    assert_memory_equal(view, magic, 8);
    assert_memory_equal(view + 8, &size, 4);
    assert_memory_equal(view + 12, &version, 2);
    if (*(const unsigned char *)&version == 2)
        assert_memory_equal(view, "\x4E\x5A\x4D\x41\x00\x02\x42\x43", 8);
    segment_close(segment);
}

static void everybody_may_read_it(void **state)
{
    const mode_t before = umask(0777);
    struct segment *segment = open_segment();
    struct stat status;

    (void)state;
    (void)umask(before);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0644);
    assert_int_equal(status.st_size, SEGMENT_SIZE);
    segment_close(segment);
}

/* Whoever does not look at the status finds an interval that is of no use. */
static void unknown_is_wide(void **state)
{
    struct segment_bound bound = known;
    struct segment *segment = open_segment();
    struct reader_fields fields = {0};

    (void)state;
    look();
    for (bound.status = SEGMENT_UNKNOWN; bound.status <= SEGMENT_DISRUPTED; bound.status += 3) {
        assert_int_equal(segment_write(segment, &known), 0);
        assert_int_equal(segment_write(segment, &bound), 0);
        assert_true(reader_read(view, &fields));
        assert_int_equal(fields.status, bound.status);
        assert_true(fields.bound_ns > INT64_C(30) * 365 * 86400 * S);
        assert_int_equal(fields.max_drift_ppb, 0);
        assert_int_equal(fields.void_after_s, fields.as_of_s);
        assert_int_equal(fields.disruption_marker, known.disruptions);
    }
    segment_close(segment);
}

static void the_end_is_told(void **state)
{
    struct segment *segment = open_segment();

    (void)state;
    look();
    assert_int_equal(segment_write(segment, &known), 0);
    expect_status(2);
    segment_close(segment);
    expect_status(0);
}

static void a_restart_keeps_file_and_readers(void **state)
{
    struct segment_bound bound = known;
    struct segment *segment = open_segment();
    struct stat first, second;

    (void)state;
    assert_int_equal(segment_write(segment, &bound), 0);
    look();
    assert_int_equal(stat(path, &first), 0);
    segment_close(segment);
    segment = open_segment();
    assert_int_equal(stat(path, &second), 0);
    assert_int_equal(first.st_ino, second.st_ino);
    assert_int_equal(segment_disruptions(segment), known.disruptions);
    bound.status = SEGMENT_SYNCHRONISED;
    assert_int_equal(segment_write(segment, &bound), 0);
    expect_status(1);
    segment_close(segment);
}

/* What the killed one said stays true, and is not taken back before something else is known. */
static void what_a_killed_writer_said_stays(void **state)
{
    unsigned char before[SEGMENT_SIZE];
    struct segment *segment = open_segment();

    (void)state;
    assert_int_equal(segment_write(segment, &known), 0);
    look();
    memcpy(before, view, sizeof before);
    segment_close(segment);
    store(before, sizeof before);
    segment = open_segment();
    assert_memory_equal(view, before, sizeof before);
    segment_close(segment);
}

static void killed_in_the_middle(void **state)
{
    const uint16_t odd[] = {1, 0x0101, UINT16_MAX};
    unsigned char bytes[SEGMENT_SIZE];
    struct segment *segment = open_segment();
    struct reader_fields fields = {0};

    (void)state;
    assert_int_equal(segment_write(segment, &known), 0);
    look();
    memcpy(bytes, view, sizeof bytes);
    segment_close(segment);
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        memcpy(bytes + 14, &odd[i], 2);
        memset(bytes + 40, 0xA5, 20);
        store(bytes, sizeof bytes);
        assert_false(reader_read(view, &fields));
        segment = open_segment();
        expect_status(0);
        assert_int_equal(reader_generation(view), odd[i] == UINT16_MAX ? 2 : odd[i] + 1);
        segment_close(segment);
    }
}

static void generations(void **state)
{
    struct segment *segment = open_segment();
    uint16_t last;

    (void)state;
    look();
    last = reader_generation(view);
    assert_int_equal(last, 2);
    for (int i = 0; i < 40000; i++) {
        assert_int_equal(segment_write(segment, &known), 0);
        assert_int_equal(reader_generation(view), last == UINT16_MAX - 1 ? 2 : last + 2);
        last = reader_generation(view);
    }
    segment_close(segment);
}

static void write_until_killed(void)
{
    struct segment *segment = NULL;

    if (segment_open(path, &segment) < 0)
        _exit(1);
    for (;;)
        if (segment_write(segment, &known) < 0)
            _exit(2);
}

static void killed_at_random(void **state)
{
    struct reader_fields fields = {0};

    (void)state;
    segment_close(open_segment());
    look();
    for (int i = 0; i < KILLS; i++) {
        const uint16_t before = reader_generation(view);
        const pid_t child = fork();
        struct segment *segment;
        int status;

        if (child == 0)
            write_until_killed();
        while (reader_generation(view) == before && waitpid(child, &status, WNOHANG) == 0)
            (void)usleep(1);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        segment = open_segment();
        assert_true(reader_read(view, &fields));
        assert_true(fields.status == 0 || fields.status == 2);
        segment_close(segment);
    }
}

/* --- files that are not ours --- */

static void expect_untouched(const void *bytes, size_t size)
{
    char now[256];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_int_equal(read(fd, now, sizeof now), size);
    assert_memory_equal(now, bytes, size);
    assert_int_equal(close(fd), 0);
}

static void foreign_content(void **state)
{
    char bytes[81];

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    for (size_t size = 1; size <= sizeof bytes; size += 40) {
        store(bytes, size);
        expect_refused(-EEXIST);
        expect_untouched(bytes, size);
    }
    store(bytes, 80);
    expect_refused(-EEXIST);
    expect_untouched(bytes, 80);
}

/* Magic, size and version have all to be right. */
static void almost_ours(void **state)
{
    static const size_t places[] = {0, 7, 8, 12};
    unsigned char bytes[SEGMENT_SIZE];

    (void)state;
    segment_close(open_segment());
    look();
    memcpy(bytes, view, sizeof bytes);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        bytes[places[i]] ^= 1;
        store(bytes, sizeof bytes);
        expect_refused(-EEXIST);
        expect_untouched(bytes, sizeof bytes);
        bytes[places[i]] ^= 1;
    }
    store(bytes, sizeof bytes - 1);
    expect_refused(-EEXIST);
    store(bytes, sizeof bytes);
    segment_close(open_segment());
}

static void made_but_not_written(void **state)
{
    static const unsigned char zeros[SEGMENT_SIZE];

    (void)state;
    for (size_t size = 0; size <= sizeof zeros; size += sizeof zeros) {
        store(zeros, size);
        segment_close(open_segment());
        look();
        expect_status(0);
        assert_int_equal(munmap(view, SEGMENT_SIZE), 0);
        view = NULL;
    }
}

static void links_and_others(void **state)
{
    char target[128];

    (void)state;
    (void)snprintf(target, sizeof target, "%s/target", directory);
    assert_int_equal(symlink(target, path), 0);
    expect_refused(-ELOOP);
    assert_int_equal(access(target, F_OK), -1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(-EINVAL);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_refused(-EISDIR);
    assert_int_equal(rmdir(path), 0);
    strcpy(path, "/nowhere/clockbound");
    expect_refused(-ENOENT);
}

/* Who owns the file could shorten it under the daemon. */
static void of_another_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    segment_close(open_segment());
    assert_int_equal(chown(path, NOBODY, NOBODY), 0);
    expect_refused(-EPERM);
    assert_int_equal(chown(path, 0, 0), 0);
    segment_close(open_segment());
}

static void one_writer(void **state)
{
    struct flock reading = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    struct segment *segment = open_segment();
    int fd;

    (void)state;
    expect_refused(-EBUSY);
    segment_close(segment);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &reading), 0);
    segment_close(open_segment());
    assert_int_equal(close(fd), 0);
}

static void removed_or_cut_off(void **state)
{
    struct segment *segment = open_segment();

    (void)state;
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(segment_write(segment, &known), 0);
    look();
    expect_status(2);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(segment_write(segment, &known), -ESTALE);
    segment_close(segment);
}

/* Readers reckon in a clock that is behind. */
static void no_reader_finds_it_younger_than_it_is(void **state)
{
    const int64_t as_of_ns = segment_now();
    struct timespec now;

    (void)state;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    assert_true(as_of_ns < now.tv_sec * S + now.tv_nsec);
    do
        assert_int_equal(clock_gettime(CLOCK_MONOTONIC_COARSE, &now), 0);
    while (now.tv_sec * S + now.tv_nsec - as_of_ns < 20000000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_field_has_its_place),
        TEST(the_head_is_clockbounds),
        TEST(everybody_may_read_it),
        TEST(unknown_is_wide),
        TEST(the_end_is_told),
        TEST(a_restart_keeps_file_and_readers),
        TEST(what_a_killed_writer_said_stays),
        TEST(killed_in_the_middle),
        TEST(generations),
        TEST(killed_at_random),
        TEST(foreign_content),
        TEST(almost_ours),
        TEST(made_but_not_written),
        TEST(links_and_others),
        TEST(of_another_user),
        TEST(one_writer),
        TEST(removed_or_cut_off),
        TEST(no_reader_finds_it_younger_than_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
