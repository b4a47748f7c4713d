/* SPDX-License-Identifier: BSD-2-Clause */
#include "config_loads.h"

#include <fcntl.h>
#include <sys/wait.h>

#define NOBODY 65534

static const struct wrong {
    const char *text, *line;
} wrongs[] = {
    /* unknown keys */
    {"master: {\n  intervall = \"4 s\";\n};",
     "b.conf:2: master.intervall: found an unknown key; did you mean master.interval?"},
    {"interval = \"4 s\";",
     "b.conf:1: interval: found an unknown key; did you mean master.interval?"},
    {"slave: { quorum = 3; };",
     "b.conf:1: slave.quorum: found an unknown key; did you mean master.quorum?"},
    {"port = 1;", "b.conf:1: port: found an unknown key; did you mean master.port or slave.port or "
     "metrics.port?"},
    {"clock: { max_slew = 1; };",
     "b.conf:1: clock.max_slew: found an unknown key; did you mean clock.max_slew_ppm?"},
    {"mastr: { port = 1; };",
     "b.conf:1: mastr: found an unknown group; did you mean master?"},
    {"colour = 1;",
     "b.conf:1: colour: found an unknown key; allowed are those of berkeley.conf(5)"},
    {"network: { };",
     "b.conf:1: network: found an unknown group; allowed are those of berkeley.conf(5)"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = 1;",
     "b.conf:1: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: found an unknown "
     "key; allowed are those of berkeley.conf(5)"},
    {"master: { port: { x = 1; }; };",
     "b.conf:1: master.port: found a group; allowed is an integer from 1 to 65535"},

    /* wrong types */
    {"\n\nmaster: { port = \"5525\"; };",
     "b.conf:3: master.port: found \"5525\"; allowed is an integer from 1 to 65535"},
    {"master: { port = 1.5; };",
     "b.conf:1: master.port: found 1.5; allowed is an integer from 1 to 65535"},
    {"master = 3;", "b.conf:1: master: found 3; allowed is a group: master: { ... };"},
    {"master = ( { port = 1; } );",
     "b.conf:1: master: found a list; allowed is a group: master: { ... };"},
    {"name = 7;",
     "b.conf:1: name: found 7; allowed is up to 63 printable characters without spaces"},
    {"clock: { discipline = 1; };",
     "b.conf:1: clock.discipline: found 1; allowed is true or false"},
    {"clock: { discipline = \"yes\"; };",
     "b.conf:1: clock.discipline: found \"yes\"; allowed is true or false"},
    {"clock: { max_slew_ppm = \"500\"; };",
     "b.conf:1: clock.max_slew_ppm: found \"500\"; allowed is a number from 1 to 100000 ppm"},
    {"log_level = true;",
     "b.conf:1: log_level: found true; allowed is \"error\", \"warning\", \"notice\", \"info\" or "
     "\"debug\""},
    {"master: { listen = \"::1\"; };",
     "b.conf:1: master.listen: found \"::1\"; allowed is a list [ ... ] of 1 to 16 numeric IPv4 or "
     "IPv6 addresses"},
    {"master: { references = [1, 2]; };",
     "b.conf:1: master.references: found 1; allowed is a list [ ... ] of up to 16 names of 1 to 63 "
     "printable characters without spaces"},

    /* ranges */
    {"master: { port = 0; };",
     "b.conf:1: master.port: found 0; allowed is an integer from 1 to 65535"},
    {"master: { port = 65536; };",
     "b.conf:1: master.port: found 65536; allowed is an integer from 1 to 65535"},
    {"master: { exchanges = -1; };",
     "b.conf:1: master.exchanges: found -1; allowed is an integer from 1 to 8"},
    {"master: { interval = \"400 ms\"; };",
     "b.conf:1: master.interval: found \"400 ms\"; allowed is a duration from \"500 ms\" to "
     "\"1 h\""},
    {"master: { interval = \"61 min\"; };",
     "b.conf:1: master.interval: found \"61 min\"; allowed is a duration from \"500 ms\" to "
     "\"1 h\""},
    {"clock: { asymmetry_max = \"-1 ns\"; };",
     "b.conf:1: clock.asymmetry_max: found \"-1 ns\"; allowed is a duration from \"0 s\" to "
     "\"1 s\", or \"unknown\""},
    {"clock: { step_threshold = \"0 s\"; };",
     "b.conf:1: clock.step_threshold: found \"0 s\"; allowed is a duration from \"1 ms\" to "
     "\"3650 d\", or \"never\""},
    {"clock: { max_slew_ppm = 0.5; };",
     "b.conf:1: clock.max_slew_ppm: found 0.5; allowed is a number from 1 to 100000 ppm"},
    {"clock: { max_slew_ppm = 1e400; };",
     "b.conf:1: clock.max_slew_ppm: found inf; allowed is a number from 1 to 100000 ppm"},
    {"clock: { max_slew_ppm = -1e400; };",
     "b.conf:1: clock.max_slew_ppm: found -inf; allowed is a number from 1 to 100000 ppm"},
    {"clock: {\n max_slew_ppm = nan;\n};",
     "b.conf:2: found a syntax error in or before \"max_slew_ppm = nan;\"; allowed is NAME = "
     "VALUE; each name once, and GROUP: { ... };"},

    /* what libconfig would cut to 32 bits: 4294972821 is 5525 then */
    {"master: { port = 4294972821; };",
     "b.conf:1: master.port: found 4294972821; allowed is an integer from 1 to 65535"},
    {"master: { port = 99999999999L; };",
     "b.conf:1: master.port: found 99999999999; allowed is an integer from 1 to 65535"},
    {"master: { port = 0x100001595; };",
     "b.conf:1: master.port: found 4294972821; allowed is an integer from 1 to 65535"},
    {"clock: { max_slew_ppm = 4294967796; };",
     "b.conf:1: clock.max_slew_ppm: found 4294967796; allowed is a number from 1 to 100000 ppm"},
    {"master: {\n port =\n  99999999999999999999;\n};",
     "b.conf:2: master.port: found an integer beyond 64 bits; allowed is an integer from 1 to "
     "65535"},
    {"emulated: { frequency_ppm = 0xFFFFFFFFFFFFFFFF; };",
     "b.conf:1: emulated.frequency_ppm: found an integer beyond 64 bits; allowed is a number from "
     "-100000 to 100000 ppm"},

    /* durations and words */
    {"master: { interval = 4; };",
     "b.conf:1: master.interval: found 4 without quotes and a unit; allowed is a duration from "
     "\"500 ms\" to \"1 h\""},
    {"master: { interval = 0.5; };",
     "b.conf:1: master.interval: found 0.5 without quotes and a unit; allowed is a duration from "
     "\"500 ms\" to \"1 h\""},
    {"master: { interval = true; };",
     "b.conf:1: master.interval: found true; allowed is a duration from \"500 ms\" to \"1 h\""},
    {"master: { interval = \"4\"; };",
     "b.conf:1: master.interval: found \"4\", which is not a number and one of ns, us, ms, s, min, "
     "h, d; allowed is a duration from \"500 ms\" to \"1 h\""},
    {"master: { interval = \"4 sec\"; };",
     "b.conf:1: master.interval: found \"4 sec\", which is not a number and one of ns, us, ms, s, "
     "min, h, d; allowed is a duration from \"500 ms\" to \"1 h\""},
    {"master: { interval = \"never\"; };",
     "b.conf:1: master.interval: found \"never\", which is not a number and one of ns, us, ms, s, "
     "min, h, d; allowed is a duration from \"500 ms\" to \"1 h\""},
    {"master: { interval = \"99999999999999999999 s\"; };",
     "b.conf:1: master.interval: found \"99999999999999999999 s\"; allowed is a duration from "
     "\"500 ms\" to \"1 h\""},
    {"authentication = \"off\";",
     "b.conf:1: authentication: found \"off\"; allowed is \"key\", \"loopback\" or \"none\""},
    {"clock: { kind = \"Kernel\"; };",
     "b.conf:1: clock.kind: found \"Kernel\"; allowed is \"kernel\" or \"emulated\""},

    /* texts and lists */
    {"group = \"\";",
     "b.conf:1: group: found \"\"; allowed is 1 to 63 printable characters without spaces"},
    {"name = \"a\\tb\\x7f\";",
     "b.conf:1: name: found \"a\\x09b\\x7f\"; allowed is up to 63 printable characters without "
     "spaces"},
    {"name = \"b\\x7f\";",
     "b.conf:1: name: found \"b\\x7f\"; allowed is up to 63 printable characters without "
     "spaces"},
    {"name = \"z\xc3\xbcrich\";",
     "b.conf:1: name: found \"z\\xc3\\xbcrich\"; allowed is up to 63 printable characters without "
     "spaces"},
    {"name = \"two words\";",
     "b.conf:1: name: found \"two words\"; allowed is up to 63 printable characters without "
     "spaces"},
    {"name = \"0123456789012345678901234567890123456789012345678901234567890123\";",
     "b.conf:1: name: found \"012345678901234567890123456789012345678901234567890123456789012...\""
     ", which has 64 characters; allowed is up to 63 printable characters without spaces"},
    {"slave: { master = \"\"; };",
     "b.conf:1: slave.master: found \"\"; allowed is 1 to 127 printable characters without spaces"},
    {"master: { listen = [\"time1.example\"]; };",
     "b.conf:1: master.listen: found \"time1.example\"; allowed is a list [ ... ] of 1 to 16 "
     "numeric IPv4 or IPv6 addresses"},
    {"master: { listen = [\"127.0.0.1\",\n  \"::1%\"]; };",
     "b.conf:2: master.listen: found \"::1%\"; allowed is a list [ ... ] of 1 to 16 numeric IPv4 "
     "or IPv6 addresses"},
    {"master: { listen = []; };",
     "b.conf:1: master.listen: found a list of 0 items; allowed is a list [ ... ] of 1 to 16 "
     "numeric IPv4 or IPv6 addresses"},
    {"master: { references = [\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\","
     "\"l\",\"m\",\"n\",\"o\",\"p\",\"q\"]; };",
     "b.conf:1: master.references: found a list of 17 items; allowed is a list [ ... ] of up to "
     "16 names of 1 to 63 printable characters without spaces"},
    {"master: { references = [\"\"]; };",
     "b.conf:1: master.references: found \"\"; allowed is a list [ ... ] of up to 16 names of 1 to "
     "63 printable characters without spaces"},
    {"emulated: { file = \"clock\"; };",
     "b.conf:1: emulated.file: found \"clock\"; allowed is an absolute path of up to 255 printable "
     "characters, or \"\""},
    {"clock: { state_file = \"never\"; };",
     "b.conf:1: clock.state_file: found \"never\"; allowed is an absolute path of up to 255 "
     "printable characters, \"none\", or \"\""},

    /* syntax */
    {"master: { port = 1\n};\nname = \n# nothing\n",
     "b.conf:3: found a syntax error in or before \"name = \"; allowed is NAME = VALUE; each "
     "name once, and GROUP: { ... };"},
    {"name 5;",
     "b.conf:1: found a syntax error in or before \"name 5;\"; allowed is NAME = "
     "VALUE; each name once, and GROUP: { ... };"},
    {"name = \"a\";\nname = \"b\";",
     "b.conf:2: found a duplicate setting name in or before \"name = \"b\";\"; allowed is "
     "NAME = VALUE; each name once, and GROUP: { ... };"},
    {"master: { listen = [\"::1\", 1]; };",
     "b.conf:1: found a mismatched element type in array in or before \"master: { listen = "
     "[\"::1\", 1]; };\"; allowed is NAME = VALUE; each name once, and GROUP: { ... };"},
    {"name = \"a\";\n/* never\n closed: name = 3;\n",
     "b.conf:2: found a comment without an end; allowed is /* ... */"},
    {"name =\n \"open;\n", "b.conf:2: found a string without an end; allowed is \"...\""},

    /* between keys */
    {"slave: { retry_min = \"2 min\"; };",
     "b.conf:1: slave.retry_min: found \"2 min\"; allowed is at most slave.retry_max, and "
     "slave.retry_max is \"1 min\""},
    {"slave: {\n retry_max = \"500 ms\"; };",
     "b.conf:2: slave.retry_max: found \"500 ms\"; allowed is at least slave.retry_min, and "
     "slave.retry_min is \"1 s\""},
    {"clock: { initial_slew_ppm = 100; };",
     "b.conf:1: clock.initial_slew_ppm: found 100; allowed is at least clock.max_slew_ppm, and "
     "clock.max_slew_ppm is 500"},
    {"clock: { initial_slew_ppm = 100;\n max_slew_ppm = 100.5; };",
     "b.conf:2: clock.max_slew_ppm: found 100.5; allowed is at most clock.initial_slew_ppm, and "
     "clock.initial_slew_ppm is 100"},
    {"master: { max_slaves = 3;\n quorum = 5; };",
     "b.conf:2: master.quorum: found 5; allowed is at most master.max_slaves + 1, and "
     "master.max_slaves is 3"},
};

static void each_mistake_gets_its_line(void **state)
{
    const struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        write_bytes(fixture->path, wrongs[i].text, strlen(wrongs[i].text));
        refused(fixture, -EINVAL, wrongs[i].line);
    }
}

static void a_missing_file_is_named(void **state)
{
    refused(*state, -ENOENT, "b.conf: found no such file; allowed is a readable file");
}

static void a_file_that_is_none_is_refused(void **state)
{
    const struct fixture *fixture = *state;

    assert_int_equal(mkdir(fixture->path, 0755), 0);
    refused(fixture, -EINVAL, "b.conf: found a directory; allowed is a readable file");
    assert_int_equal(rmdir(fixture->path), 0);
    assert_int_equal(mkfifo(fixture->path, 0644), 0);
    refused(fixture, -EINVAL, "b.conf: found a device, pipe or socket; allowed is a readable file");
}

static void a_nul_byte_is_refused(void **state)
{
    static const char bytes[] = "group = \"a\";\n\0group = 3;";
    const struct fixture *fixture = *state;

    write_bytes(fixture->path, bytes, sizeof(bytes) - 1);
    refused(fixture, -EINVAL, "b.conf:2: found a NUL byte; allowed is text");
}

static void a_huge_file_is_refused(void **state)
{
    const struct fixture *fixture = *state;
    const size_t length = (1 << 20) + 1;
    char *bytes = malloc(length);

    assert_non_null(bytes);
    memset(bytes, '\n', length);
    write_bytes(fixture->path, bytes, length);
    free(bytes);
    refused(fixture, -EINVAL, "b.conf: found more than a MiB, includes counted in; allowed is "
                              "a readable file");
}

static void includes_are_followed_to_the_mistake(void **state)
{
    const struct fixture *fixture = *state;
    char line[CONFIG_ERROR_SIZE];

    write_beside(fixture, "more.inc", "# one\nexchanges = 9;\n");
    write_beside(fixture, "b.conf", "name = \"a\";\nmaster: {\n  @include \"more.inc\"\n};\n");
    refused(fixture, -EINVAL,
            "more.inc:2: master.exchanges: found 9; allowed is an integer from 1 to 8");
    write_beside(fixture, "more.inc", "exchanges = 8;");
    write_beside(fixture, "b.conf", "master: {\n  @include \"more.inc\"\n quorum = 0;\n};\n");
    refused(fixture, -EINVAL,
            "b.conf:3: master.quorum: found 0; allowed is an integer from 1 to 1001 clocks");

    write_beside(fixture, "b.conf", "\n@include \"absent.inc\"\n");
    (void)snprintf(line, sizeof(line),
                   "b.conf:2: @include: found %s/absent.inc (no such file); allowed "
                   "is a readable file",
                   fixture->directory);
    refused(fixture, -EINVAL, line);
    write_beside(fixture, "b.conf", "@include \"b.conf\"\n");
    refused(fixture, -EINVAL, "b.conf:1: @include: found too many of them; allowed is a depth of "
                              "8, and 63 in all");
    write_beside(fixture, "b.conf", "@include \"b.conf\n");
    refused(fixture, -EINVAL,
            "b.conf:1: @include: found no closing quote; allowed is @include \"FILE\"");
}

/* libconfig's own scanner ends the process at this one. */
static void an_included_directory_is_refused(void **state)
{
    const struct fixture *fixture = *state;
    char line[CONFIG_ERROR_SIZE];

    write_beside(fixture, "b.conf", "@include \"b.conf.d\"\n");
    assert_int_equal(mkdir(fixture->drop_in, 0755), 0);
    (void)snprintf(line, sizeof(line),
                   "b.conf:1: @include: found %s (a directory); allowed is a readable file",
                   fixture->drop_in);
    refused(fixture, -EINVAL, line);
}

static void drop_ins_are_named(void **state)
{
    const struct fixture *fixture = *state;

    write_beside(fixture, "b.conf", "slave: { retry_max = \"2 s\"; };");
    assert_int_equal(mkdir(fixture->drop_in, 0755), 0);
    write_beside(fixture, "b.conf.d/50.conf", "group = 1;");
    refused(fixture, -EINVAL, "b.conf.d/50.conf:1: group: found 1; allowed is 1 to 63 printable "
                              "characters without spaces");
    write_beside(fixture, "b.conf.d/50.conf", "\nslave: { retry_min = \"3 s\"; };");
    refused(fixture, -EINVAL, "b.conf.d/50.conf:2: slave.retry_min: found \"3 s\"; allowed is at "
                              "most slave.retry_max, and slave.retry_max is \"2 s\"");
}

static void a_drop_in_directory_that_is_a_file_is_refused(void **state)
{
    const struct fixture *fixture = *state;

    write_beside(fixture, "b.conf", "");
    write_beside(fixture, "b.conf.d", "");
    refused(fixture, -EINVAL,
            "b.conf.d: found Not a directory; allowed is a readable directory, or none");
}

static void a_drop_in_that_is_gone_is_not_a_missing_main_file(void **state)
{
    const struct fixture *fixture = *state;
    char link[160];

    write_beside(fixture, "b.conf", "");
    assert_int_equal(mkdir(fixture->drop_in, 0755), 0);
    (void)snprintf(link, sizeof(link), "%s/1.conf", fixture->drop_in);
    assert_int_equal(symlink("nowhere", link), 0);
    refused(fixture, -EINVAL, "b.conf.d/1.conf: found no such file; allowed is a readable file");
}

/* Root may read everything: a child that is nobody tries. */
static void refused_to_nobody(const struct fixture *fixture, const char *line)
{
    char expected[CONFIG_ERROR_SIZE + 64];
    int status;
    const pid_t child = fork();

    assert_true(child >= 0);
    (void)snprintf(expected, sizeof(expected), "%s/%s", fixture->directory, line);
    if (child == 0) {
        static struct config config;
        char told[CONFIG_ERROR_SIZE];
        int r;

        if (geteuid() == 0 && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
            _exit(3);
        r = config_load(fixture->path, &config, told);
        if (strcmp(told, expected) != 0)
            (void)fprintf(stderr, "told: %s\n", told);
        _exit(r != -EACCES ? 1 : strcmp(told, expected) != 0 ? 2 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void what_may_not_be_read_is_named(void **state)
{
    const struct fixture *fixture = *state;
    char line[CONFIG_ERROR_SIZE], path[160];

    write_beside(fixture, "b.conf", "@include \"more.inc\"\n");
    write_beside(fixture, "more.inc", "");
    assert_int_equal(mkdir(fixture->drop_in, 0755), 0);
    write_beside(fixture, "b.conf.d/1.conf", "");

    assert_int_equal(chmod(fixture->path, 0), 0);
    refused_to_nobody(fixture, "b.conf: found no permission to read it; allowed is a readable "
                               "file");
    assert_int_equal(chmod(fixture->path, 0644), 0);

    (void)snprintf(path, sizeof(path), "%s/more.inc", fixture->directory);
    assert_int_equal(chmod(path, 0), 0);
    (void)snprintf(line, sizeof(line),
                   "b.conf:1: @include: found %s (no permission to read it); allowed is a readable "
                   "file",
                   path);
    refused_to_nobody(fixture, line);
    assert_int_equal(chmod(path, 0644), 0);

    (void)snprintf(path, sizeof(path), "%s/1.conf", fixture->drop_in);
    assert_int_equal(chmod(path, 0), 0);
    refused_to_nobody(fixture,
                      "b.conf.d/1.conf: found no permission to read it; allowed is a "
                      "readable file");
    assert_int_equal(chmod(fixture->drop_in, 0), 0);
    refused_to_nobody(
        fixture, "b.conf.d: found Permission denied; allowed is a readable directory, or none");
    assert_int_equal(chmod(fixture->drop_in, 0755), 0);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_mistake_gets_its_line),
        CASE(a_missing_file_is_named),
        CASE(a_file_that_is_none_is_refused),
        CASE(a_nul_byte_is_refused),
        CASE(a_huge_file_is_refused),
        CASE(includes_are_followed_to_the_mistake),
        CASE(an_included_directory_is_refused),
        CASE(drop_ins_are_named),
        CASE(a_drop_in_directory_that_is_a_file_is_refused),
        CASE(a_drop_in_that_is_gone_is_not_a_missing_main_file),
        CASE(what_may_not_be_read_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
