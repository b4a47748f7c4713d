/* SPDX-License-Identifier: BSD-2-Clause */
/* The saved state as a file: what goes in comes out, and nothing else does. */
#include "config_fixture.h"

#include "daemon/state.h"
#include "dice.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>

#define TEXT_SIZE 4096

static const struct state example = {
    .real_ns = INT64_C(1763900000123456789),
    .boot = "0123456789abcdef0123456789abcdef-7f",
    .raw_ns = INT64_C(98765432109876),
    .memory = {.learned = true,
               .freq_ppb = -12345.678901234,
               .freq_sd_ppb = 1.5,
               .synchronised = true,
               .target = {.map = {.raw_ns = INT64_C(98765000000001),
                                  .total_ns = INT64_C(1763801234691346913),
                                  .freq_ppb = -12340.25},
                          .offset_sd_ns = 1234,
                          .freq_sd_ppb = 2.25,
                          .wander_ppb = 0.1,
                          .scatter_ns = 77,
                          .asymmetry_ns = 25000,
                          .in = true}},
};

static const char *path_of(const struct fixture *fixture)
{
    static char path[96];

    (void)snprintf(path, sizeof path, "%s/state", fixture->directory);
    return path;
}

/* Field by field: padding and what a later field brings are not forgotten either way. */
static void assert_same(const struct state *a, const struct state *b)
{
    const struct target *p = &a->memory.target, *q = &b->memory.target;

    assert_int_equal(a->real_ns, b->real_ns);
    assert_string_equal(a->boot, b->boot);
    assert_int_equal(a->raw_ns, b->raw_ns);
    assert_int_equal(a->memory.learned, b->memory.learned);
    assert_true(fabs(a->memory.freq_ppb - b->memory.freq_ppb) < 1e-8);
    assert_true(fabs(a->memory.freq_sd_ppb - b->memory.freq_sd_ppb) < 1e-9);
    assert_int_equal(a->memory.synchronised, b->memory.synchronised);
    assert_int_equal(p->map.raw_ns, q->map.raw_ns);
    assert_int_equal(p->map.total_ns, q->map.total_ns);
    assert_true(fabs(p->map.freq_ppb - q->map.freq_ppb) < 1e-8);
    assert_int_equal(p->offset_sd_ns, q->offset_sd_ns);
    assert_true(fabs(p->freq_sd_ppb - q->freq_sd_ppb) < 1e-9);
    assert_true(fabs(p->wander_ppb - q->wander_ppb) < 1e-9);
    assert_int_equal(p->scatter_ns, q->scatter_ns);
    assert_int_equal(p->asymmetry_ns, q->asymmetry_ns);
    assert_int_equal(p->in, q->in);
    assert_int_equal(p->hands_off, q->hands_off);
}

static size_t slurp(const char *path, char text[TEXT_SIZE])
{
    FILE *file = fopen(path, "r");
    size_t length;

    assert_non_null(file);
    length = fread(text, 1, TEXT_SIZE - 1, file);
    assert_int_equal(fclose(file), 0);
    text[length] = '\0';
    return length;
}

static unsigned files_in(const char *directory)
{
    DIR *stream = opendir(directory);
    unsigned count = 0;

    assert_non_null(stream);
    for (const struct dirent *entry; (entry = readdir(stream));)
        count += entry->d_name[0] != '.';
    closedir(stream);
    return count;
}

/* Refused in one line that begins with the path, and *state stays. */
static void expect_refused(const char *path, int code, const char *part)
{
    char error[STATE_ERROR_SIZE];
    struct state state = example;

    assert_int_equal(state_load(path, &state, error), code);
    assert_same(&state, &example);
    if (strncmp(error, path, strlen(path)) != 0 || strchr(error, '\n') || !strstr(error, part))
        fail_msg("wanted \"%s\" in: %s", part, error);
}

static void expect_text_refused(const struct fixture *fixture, const char *text, const char *part)
{
    write_bytes(path_of(fixture), text, strlen(text));
    expect_refused(path_of(fixture), -EINVAL, part);
}

/* The example's text with one thing in it replaced. */
static const char *altered(const struct fixture *fixture, const char *old, const char *new)
{
    static char result[TEXT_SIZE];
    char text[TEXT_SIZE];
    const char *at;

    assert_int_equal(state_save(path_of(fixture), &example), 0);
    slurp(path_of(fixture), text);
    at = strstr(text, old);
    if (!at)
        fail_msg("no %s in:\n%s", old, text);
    (void)snprintf(result, sizeof result, "%.*s%s%s", (int)(at - text), text, new,
                   at + strlen(old));
    return result;
}

static void what_is_saved_is_loaded(void **state)
{
    char error[STATE_ERROR_SIZE], text[TEXT_SIZE];
    struct state loaded = {0};
    struct stat status;

    assert_int_equal(state_save(path_of(*state), &example), 0);
    assert_int_equal(state_load(path_of(*state), &loaded, error), 0);
    assert_same(&loaded, &example);
    assert_int_equal(stat(path_of(*state), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0644);
    slurp(path_of(*state), text);
    assert_int_equal(text[0], '#');
    assert_non_null(strstr(text, "2025-11-23 12:13:20 UTC"));
}

static void random_states_come_back(void **state)
{
    struct dice dice = dice_new();

    for (int i = 0; i < 200; i++) {
        char error[STATE_ERROR_SIZE];
        struct state loaded = {0}, random = example;

        random.real_ns = dice_between(&dice, 0, TIMESTAMP_LIMIT_NS - 1);
        random.raw_ns = dice_between(&dice, -TIMESTAMP_LIMIT_NS / 2, TIMESTAMP_LIMIT_NS / 2);
        random.memory.freq_ppb = (double)dice_between(&dice, -500000000, 500000000) / 1e3;
        random.memory.learned = dice_below(&dice, 2);
        random.memory.target.map.total_ns = dice_between(&dice, 0, TIMESTAMP_LIMIT_NS - 1);
        random.memory.target.map.freq_ppb = (double)dice_between(&dice, -10000000, 10000000);
        random.memory.target.hands_off = dice_below(&dice, 2);
        assert_int_equal(state_save(path_of(*state), &random), 0);
        assert_dice(&dice, state_load(path_of(*state), &loaded, error) == 0);
        assert_same(&loaded, &random);
    }
}

static void nothing_saved_is_no_error(void **state)
{
    char error[STATE_ERROR_SIZE] = "?";
    struct state loaded = example;

    assert_int_equal(state_load(path_of(*state), &loaded, error), -ENOENT);
    assert_string_equal(error, "");
    assert_same(&loaded, &example);
}

static void every_bad_field_is_named(void **state)
{
    static const struct {
        const char *old, *new, *part;
    } cases[] = {
        {"version = 1L", "version = 2L", ":5: version: found 2L; allowed is 1L"},
        {"version = 1L", "version = 1", "version: found 1; allowed is 1L"},
        {"    version = 1L;\n", "", "version: found nothing; allowed is 1L"},
        {"state:", "stale:", ":1: state: found nothing; allowed is a group"},
        {"1763900000123456789L", "4611686018427387904L",
         ":7: time_ns: found 4611686018427387904L; allowed is an integer with an L at its end, "
         "from 0 to 2^62"},
        {"1763900000123456789L", "-1L", "time_ns: found -1L;"},
        {"1763900000123456789L", "99999999999999999999999L", "time_ns: found "},
        {"1763900000123456789L", "1763900000123456789", "time_ns: found "},
        {"1763900000123456789L", "1.5", "time_ns: found 1.5;"},
        {"\"0123", "\"x123", "boot: found another text; allowed is up to 63 hexadecimal digits"},
        {"\"0123", "\"000000000000000000000000000000123", "boot: found another text;"},
        {"\"0123456789abcdef0123456789abcdef-7f\"", "7L", "boot: found 7L;"},
        {"raw_ns = 98765432109876L", "raw_ns = -4611686018427387904L", "raw_ns: found -46"},
        {"learned = true", "learned = 1L", "learned: found 1L; allowed is true or false"},
        {"    learned = true;\n", "", ":3: learned: found nothing; allowed is true or false"},
        {"    freq_ppb = -", "    freq_ppb = 1e6; #", "freq_ppb: found 1e+06; allowed is a number"},
        {"    freq_ppb = -", "    freq_ppb = 1e400; #", "freq_ppb: found inf;"},
        {"    freq_ppb = -", "    freq_ppb = nan; #", "found a syntax error"},
        {"freq_sd_ppb = ", "freq_sd_ppb = -", "freq_sd_ppb: found -1.5;"},
        {"synchronised = true", "synchronised = \"yes\"", "synchronised: found another text;"},
        {"map_raw_ns = ", "map_raw_ns = 99999", "map_raw_ns: found 9223372036854775807L;"},
        {"map_total_ns = ", "map_total_ns = 9", "map_total_ns: found "},
        {"map_freq_ppb = -", "map_freq_ppb = -99999", "map_freq_ppb: found -9.99991e+09;"},
        {"map_offset_sd_ns = ", "map_offset_sd_ns = -", "map_offset_sd_ns: found -1234L;"},
        {"map_freq_sd_ppb = ", "map_freq_sd_ppb = -", "map_freq_sd_ppb: found -2.25;"},
        {"map_wander_ppb = ", "map_wander_ppb = -", "map_wander_ppb: found -0.1;"},
        {"map_scatter_ns = ", "map_scatter_ns = -", "map_scatter_ns: found -77L;"},
        {"map_asymmetry_ns = ", "map_asymmetry_ns = -", "map_asymmetry_ns: found -25000L;"},
        {"map_in = true", "map_in = { }", "map_in: found a group or list;"},
        {"map_hands_off = false", "map_hands_off = [ ]", "map_hands_off: found a group or list;"},
        {"learned = true;", "learned = true; learned = true;", ": found a duplicate setting name"},
        {"map_in", "@include \"/etc/passwd\"\nmap_in", ": found a NUL byte, @, "},
        {"-7f\"", "-7f", ": found a NUL byte, @, \\ or an open \"; allowed is what"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_text_refused(*state, altered(*state, cases[i].old, cases[i].new), cases[i].part);
}

static void a_later_daemons_keys_are_ignored(void **state)
{
    char error[STATE_ERROR_SIZE];
    struct state loaded = {0};
    const char *text = altered(*state, "    learned", "    colour = \"green\";\n    learned");

    write_bytes(path_of(*state), text, strlen(text));
    assert_int_equal(state_load(path_of(*state), &loaded, error), 0);
    assert_same(&loaded, &example);
}

/* The end is allowed to lack what says nothing: the last line's ";" and line break. */
static void a_file_that_lost_its_end_is_none(void **state)
{
    char text[TEXT_SIZE], error[STATE_ERROR_SIZE];
    size_t length, whole;

    assert_int_equal(state_save(path_of(*state), &example), 0);
    length = slurp(path_of(*state), text);
    whole = length - strlen(";\n");
    for (size_t i = 0; i < length; i++) {
        struct state loaded = {0};

        write_bytes(path_of(*state), text, i);
        if (i < whole) {
            expect_refused(path_of(*state), -EINVAL, "; allowed is ");
            continue;
        }
        assert_int_equal(state_load(path_of(*state), &loaded, error), 0);
        assert_same(&loaded, &example);
    }
}

/* But for the line with the text: libconfig forgets to free one where it expects none. */
static void damaged_bytes_do_no_harm(void **state)
{
    char text[TEXT_SIZE], bytes[TEXT_SIZE], error[STATE_ERROR_SIZE];
    struct dice dice = dice_new();
    size_t length, from, to;

    assert_int_equal(state_save(path_of(*state), &example), 0);
    length = slurp(path_of(*state), text);
    from = (size_t)(strstr(text, "boot") - text);
    to = from + strcspn(text + from, "\n");
    for (int i = 0; i < 3000; i++) {
        struct state loaded = example;

        memcpy(bytes, text, length);
        for (uint64_t n = 1 + dice_below(&dice, 4); n > 0; n--) {
            const size_t at = dice_below(&dice, length);

            if (at < from || at > to)
                bytes[at] = (char)dice_u64(&dice);
        }
        write_bytes(path_of(*state), bytes, length);
        if (state_load(path_of(*state), &loaded, error) < 0)
            assert_same(&loaded, &example);
        else
            assert_dice(&dice, state_save(path_of(*state), &loaded) == 0);
    }
}

static void what_is_no_state_file_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static char huge[STATE_FILE_MAX + 2];

    expect_text_refused(fixture, "", ":1: state: found nothing;");
    expect_text_refused(fixture, "state = 5;", ":1: state: found 5; allowed is a group");
    memset(huge, '#', sizeof huge - 1);
    expect_text_refused(fixture, huge, ": found more than 16384 bytes;");
    write_bytes(path_of(fixture), "state: {\0};", sizeof "state: {\0};" - 1);
    expect_refused(path_of(fixture), -EINVAL, ": found a NUL byte, @, ");
    assert_int_equal(remove(path_of(fixture)), 0);
    expect_refused("/dev/null", -EINVAL, ": found a directory or device; allowed is a file");
    expect_refused(fixture->directory, -EINVAL, ": found a directory or device;");
    assert_int_equal(mkfifo(path_of(fixture), 0600), 0);
    expect_refused(path_of(fixture), -EINVAL, ": found a directory or device;");
    expect_refused("/dev/null/state", -ENOTDIR, ": cannot be read: Not a directory");
}

static void what_could_not_be_loaded_is_not_saved(void **state)
{
    struct state wrong = example;

    wrong.memory.freq_ppb = NAN;
    assert_int_equal(state_save(path_of(*state), &wrong), -ERANGE);
    wrong = example;
    wrong.real_ns = TIMESTAMP_LIMIT_NS;
    assert_int_equal(state_save(path_of(*state), &wrong), -ERANGE);
    wrong = example;
    memset(wrong.boot, 'a', sizeof wrong.boot);
    assert_int_equal(state_save(path_of(*state), &wrong), -ERANGE);
    memcpy(wrong.boot, "\";", sizeof "\";");
    assert_int_equal(state_save(path_of(*state), &wrong), -ERANGE);
    assert_int_equal(files_in(((struct fixture *)*state)->directory), 0);
}

/* However few bytes the disk still takes, the old file stays, and nothing else does. */
static void a_failing_write_leaves_the_old_file(void **state)
{
    const struct fixture *fixture = *state;
    struct rlimit before, limit;
    struct state other = example;

    other.real_ns++;
    assert_int_equal(state_save(path_of(fixture), &example), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    for (limit.rlim_cur = 0; limit.rlim_cur < 600; limit.rlim_cur += 100) {
        char error[STATE_ERROR_SIZE];
        struct state loaded = {0};

        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        assert_int_equal(state_save(path_of(fixture), &other), -EFBIG);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(state_load(path_of(fixture), &loaded, error), 0);
        assert_same(&loaded, &example);
        assert_int_equal(files_in(fixture->directory), 1);
    }
    signal(SIGXFSZ, SIG_DFL);
}

static void a_place_that_takes_no_file(void **state)
{
    const struct fixture *fixture = *state;
    char path[160];

    assert_int_equal(mkdir(path_of(fixture), 0755), 0);
    assert_int_equal(state_save(path_of(fixture), &example), -EISDIR);
    assert_int_equal(files_in(fixture->directory), 1);
    (void)snprintf(path, sizeof path, "%s/nowhere/state", fixture->directory);
    assert_int_equal(state_save(path, &example), -ENOENT);
    assert_int_equal(state_save("/dev/null/state", &example), -ENOTDIR);
}

static void what_a_killed_daemon_left_goes(void **state)
{
    char error[STATE_ERROR_SIZE];
    struct state loaded = {0};

    write_beside(*state, "state.new", "state: { version = 1L; ti");
    assert_int_equal(state_save(path_of(*state), &example), 0);
    assert_int_equal(state_load(path_of(*state), &loaded, error), 0);
    assert_int_equal(files_in(((struct fixture *)*state)->directory), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(what_is_saved_is_loaded),
        TEST(random_states_come_back),
        TEST(nothing_saved_is_no_error),
        TEST(every_bad_field_is_named),
        TEST(a_later_daemons_keys_are_ignored),
        TEST(a_file_that_lost_its_end_is_none),
        TEST(damaged_bytes_do_no_harm),
        TEST(what_is_no_state_file_is_refused),
        TEST(what_could_not_be_loaded_is_not_saved),
        TEST(a_failing_write_leaves_the_old_file),
        TEST(a_place_that_takes_no_file),
        TEST(what_a_killed_daemon_left_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
