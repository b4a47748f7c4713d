/* SPDX-License-Identifier: BSD-2-Clause */
#define SD_JOURNAL_SUPPRESS_LOCATION

#include "daemon/journal.h"

#include "daemon/journal_escape.h"
#include "daemon/message_ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SAID_SIZE 8192

/* What the journal was sent: one field a line, '\n' in a field shown as '|'. */
static char sent[SAID_SIZE];
static int send_result;

/* Stands in for libsystemd's: the program's own definition is linked first. */
int sd_journal_sendv(const struct iovec *fields, int count)
{
    size_t used = 0;

    for (int i = 0; i < count; i++) {
        const char *from = fields[i].iov_base;

        for (size_t k = 0; k < fields[i].iov_len; k++, used++) {
            sent[used] = from[k];
            if (from[k] == '\n')
                sent[used] = '|';
        }
        sent[used++] = '\n';
    }
    sent[used] = '\0';
    return send_result;
}

static time_t now_s;

/* So do the clocks. */
int clock_gettime(clockid_t id, struct timespec *now)
{
    (void)id;
    *now = (struct timespec){.tv_sec = now_s};
    return 0;
}

static int stderr_saved, stderr_now;

static int journal_setup(void **state)
{
    (void)state;
    sent[0] = '\0';
    send_result = 0;
    unsetenv("JOURNAL_STREAM");
    fflush(stderr);
    stderr_saved = dup(STDERR_FILENO);
    stderr_now = memfd_create("stderr", MFD_CLOEXEC);
    if (stderr_saved < 0 || stderr_now < 0 || dup2(stderr_now, STDERR_FILENO) < 0)
        return -1;
    journal_open(LOG_INFO);
    return 0;
}

static int journal_teardown(void **state)
{
    (void)state;
    dup2(stderr_saved, STDERR_FILENO);
    close(stderr_saved);
    close(stderr_now);
    return 0;
}

static const char *stderr_text(void)
{
    static char text[4 * SAID_SIZE];
    ssize_t length = pread(stderr_now, text, sizeof(text) - 1, 0);

    text[length < 0 ? 0 : length] = '\0';
    return text;
}

static void stream_set(ino_t beyond)
{
    struct stat found;
    char stream[64];

    assert_int_equal(fstat(STDERR_FILENO, &found), 0);
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)found.st_dev,
             (uintmax_t)(found.st_ino + beyond));
    setenv("JOURNAL_STREAM", stream, 1);
    journal_open(LOG_INFO);
}

static void test_plain_line(void **state)
{
    (void)state;
    journal_info("listening on port %d", 5525);
    assert_string_equal(stderr_text(), "berkeleyd: listening on port 5525\n");
    assert_string_equal(sent, "");
}

static void test_level(void **state)
{
    (void)state;
    journal_debug("not said");
    assert_string_equal(stderr_text(), "");
    journal_set_level(LOG_DEBUG);
    journal_debug("said");
    journal_set_level(LOG_WARNING);
    journal_notice("not said either");
    journal_warning("beware");
    assert_string_equal(stderr_text(), "berkeleyd: said\nberkeleyd: beware\n");
}

static void test_names_cannot_forge_lines(void **state)
{
    (void)state;
    journal_info("slave %s joined", "evil\nberkeleyd: all is well\r\x1b[2K");
    assert_string_equal(stderr_text(), "berkeleyd: slave evil\\x0aberkeleyd: all is well\\x0d"
                                       "\\x1b[2K joined\n");
}

static void test_overlong_text_is_cut(void **state)
{
    char *text = test_malloc(100000);
    const char *said;

    (void)state;
    memset(text, 'x', 99999);
    text[99999] = '\0';
    journal_info("%s", text);
    said = stderr_text();
    assert_in_range(strlen(said), 1000, 2100);
    assert_string_equal(said + strlen(said) - 5, "x...\n");
    memset(text, '\x01', 99999);
    journal_info("%s", text);
    said = stderr_text();
    assert_string_equal(said + strlen(said) - 8, "\\x01...\n");
    test_free(text);
}

static void test_journal_stream_decides(void **state)
{
    (void)state;
    stream_set(0);
    journal_info("to the journal");
    assert_string_equal(sent, "MESSAGE=to the journal\nPRIORITY=6\n"
                              "SYSLOG_IDENTIFIER=berkeleyd\n");
    assert_string_equal(stderr_text(), "");
    sent[0] = '\0';
    stream_set(1);
    journal_info("another stream");
    setenv("JOURNAL_STREAM", "nonsense", 1);
    journal_open(LOG_INFO);
    journal_info("no stream");
    assert_string_equal(sent, "");
    assert_string_equal(stderr_text(), "berkeleyd: another stream\nberkeleyd: no stream\n");
}

static void test_all_fields(void **state)
{
    const struct journal_fields fields = {
        .message_id = MESSAGE_CLOCK_EXCLUDED,
        .peer = "node\n7",
        .state = "holdover",
        .has_offset = true,
        .has_delay = true,
        .has_bound = true,
        .has_round = true,
        .offset_ns = INT64_MIN,
        .delay_ns = 51000,
        .bound_ns = 0,
        .round = UINT32_MAX,
        .error = -ECONNRESET,
    };

    (void)state;
    stream_set(0);
    journal_say(LOG_WARNING, &fields, "gone: %m");
    assert_string_equal(sent, "MESSAGE=gone: Connection reset by peer\nPRIORITY=4\n"
                              "SYSLOG_IDENTIFIER=berkeleyd\n"
                              "MESSAGE_ID=" MESSAGE_CLOCK_EXCLUDED "\n"
                              "BERKELEY_PEER=node\\x0a7\nBERKELEY_STATE=holdover\n"
                              "BERKELEY_OFFSET_NS=-9223372036854775808\n"
                              "BERKELEY_DELAY_NS=51000\nBERKELEY_BOUND_NS=0\n"
                              "BERKELEY_ROUND=4294967295\nERRNO=104\n");
}

static void test_unknown_bound_is_absent(void **state)
{
    const struct journal_fields fields = {.has_bound = true, .bound_ns = INT64_MAX};

    (void)state;
    stream_set(0);
    journal_say(LOG_INFO, &fields, "no bound");
    assert_non_null(strstr(sent, "MESSAGE=no bound"));
    assert_null(strstr(sent, "BERKELEY"));
}

static void test_largest_entry_fits(void **state)
{
    char *text = test_malloc(5000);
    struct journal_fields fields = {.message_id = MESSAGE_FULL,
                                    .peer = text,
                                    .state = text,
                                    .has_offset = true,
                                    .offset_ns = INT64_MIN,
                                    .has_delay = true,
                                    .delay_ns = INT64_MIN,
                                    .has_bound = true,
                                    .bound_ns = INT64_MIN,
                                    .has_round = true,
                                    .error = ENOMEM};

    (void)state;
    memset(text, 'y', 4999);
    text[4999] = '\0';
    stream_set(0);
    journal_say(LOG_ERR, &fields, "%s", text);
    assert_non_null(strstr(sent, "\nERRNO=12\n"));
    test_free(text);
}

static void test_journal_out_of_reach(void **state)
{
    (void)state;
    stream_set(0);
    send_result = -ECONNREFUSED;
    journal_warning("nobody there");
    assert_string_equal(stderr_text(), "<4>nobody there\n");
}

static void test_errno_helper(void **state)
{
    (void)state;
    errno = EXDEV;
    assert_int_equal(journal_errno(-ENOENT, "file: %m"), -ENOENT);
    assert_int_equal(journal_errno(EACCES, "other: %m"), -EACCES);
    assert_int_equal(errno, EXDEV);
    assert_string_equal(stderr_text(), "berkeleyd: file: No such file or directory\n"
                                       "berkeleyd: other: Permission denied\n");
}

static void test_repeats_are_left_out(void **state)
{
    const struct journal_fields fields = {.message_id = MESSAGE_FRAME_REFUSED, .peer = "a"};
    const char *line = "berkeleyd: bad frame\n";

    (void)state;
    for (int i = 0; i < 50; i++)
        journal_say(LOG_NOTICE, &fields, "bad frame");
    assert_int_equal(strlen(stderr_text()), 5 * strlen(line));
    journal_set_level(LOG_DEBUG);
    for (int i = 0; i < 50; i++)
        journal_say(LOG_DEBUG, &fields, "bad frame");
    assert_int_equal(strlen(stderr_text()), 55 * strlen(line));
}

static void test_what_was_left_out_is_told(void **state)
{
    char *text = test_malloc(3000);

    (void)state;
    memset(text, 'z', 2999);
    text[2999] = '\0';
    for (int i = 0; i < 7; i++) {
        journal_info("short");
        journal_info("%s", text);
    }
    assert_null(strstr(stderr_text(), "left out"));
    now_s += 60;
    journal_info("short");
    assert_non_null(strstr(stderr_text(), "\nberkeleyd: short (2 more like it left out)\n"));
    journal_info("%s", text);
    assert_non_null(strstr(stderr_text(), "zzz... (2 more like it left out)\n"));
    test_free(text);
}

static void test_escape(void **state)
{
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"", ""},
        {"plain text, 3.1 µs", "plain text, 3.1 µs"},
        {"\t\x7f", "\\x09\\x7f"},
        {"\xc2\x9b", "\\xc2\\x9b"},                   /* C1: terminals obey it */
        {"\xe2\x80\xa8", "\\xe2\\x80\\xa8"},          /* line separator */
        {"\xe2\x80\xae", "\\xe2\\x80\\xae"},          /* right-to-left override */
        {"\xc1\xa1", "\\xc1\\xa1"},                   /* overlong letter */
        {"\xc0\x8a", "\\xc0\\x8a"},                   /* overlong newline */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond Unicode */
        {"\xff\xe2\x82", "\\xff\\xe2\\x82"},          /* cut off */
        {"\xe2\x82\xac\xf0\x9f\x95\xb0", "\xe2\x82\xac\xf0\x9f\x95\xb0"},
    };
    char out[64];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(journal_escape(cases[i].from, out, sizeof(out)), cases[i].to);
}

static void test_escape_cuts_at_characters(void **state)
{
    char out[10];

    (void)state;
    assert_string_equal(journal_escape("123456789", out, sizeof(out)), "123456789");
    assert_string_equal(journal_escape("1234567890", out, sizeof(out)), "123456...");
    assert_string_equal(journal_escape("12345µµµ", out, sizeof(out)), "12345...");
    assert_string_equal(journal_escape("123\n\n", out, sizeof(out)), "123...");
}

static void test_times(void **state)
{
    static const struct {
        int64_t ns;
        const char *plain, *with_sign;
    } cases[] = {
        {0, "0 ns", "+0 ns"},
        {1, "1 ns", "+1 ns"},
        {-999, "-999 ns", "-999 ns"},
        {1000, "1 µs", "+1 µs"},
        {3100, "3.1 µs", "+3.1 µs"},
        {3141, "3.14 µs", "+3.14 µs"},
        {-3045, "-3.05 µs", "-3.05 µs"},
        {41250, "41.3 µs", "+41.3 µs"},
        {999499, "999 µs", "+999 µs"},
        {999500, "1 ms", "+1 ms"},
        {-402000000, "-402 ms", "-402 ms"},
        {INT64_C(12500000000), "12.5 s", "+12.5 s"},
        {INT64_C(999499999999), "999 s", "+999 s"},
        {INT64_C(1000000000000), "1000 s", "+1000 s"},
        {INT64_C(3600000000000), "3600 s", "+3600 s"},
        {INT64_C(-7260000000000), "-2 h 1 min", "-2 h 1 min"},
        {INT64_C(183600000000000), "2 d 3 h", "+2 d 3 h"},
        {INT64_C(86400000000000) * 20000, "20000 d", "+20000 d"},
        {INT64_MIN, "-106751 d", "-106751 d"},
        {INT64_MAX - 1, "106751 d", "+106751 d"},
        {INT64_MAX, "unknown", "unknown"},
    };
    char buffer[JOURNAL_TIME_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(journal_time(cases[i].ns, buffer), cases[i].plain);
        assert_string_equal(journal_signed_time(cases[i].ns, buffer), cases[i].with_sign);
    }
}

int main(void)
{
#define SAYING(name) cmocka_unit_test_setup_teardown(name, journal_setup, journal_teardown)
    const struct CMUnitTest tests[] = {
        SAYING(test_plain_line),
        SAYING(test_level),
        SAYING(test_names_cannot_forge_lines),
        SAYING(test_overlong_text_is_cut),
        SAYING(test_journal_stream_decides),
        SAYING(test_all_fields),
        SAYING(test_unknown_bound_is_absent),
        SAYING(test_largest_entry_fits),
        SAYING(test_journal_out_of_reach),
        SAYING(test_errno_helper),
        SAYING(test_repeats_are_left_out),
        SAYING(test_what_was_left_out_is_told),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_escape_cuts_at_characters),
        cmocka_unit_test(test_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
