/* SPDX-License-Identifier: BSD-2-Clause */
#include "config_loads.h"

#include "daemon/config_table.h"
#include "daemon/config_value.h"
#include "daemon/duration.h"

#include <syslog.h>

#ifndef BERKELEY_SOURCE_DIR
#define BERKELEY_SOURCE_DIR "."
#endif

#define MS INT64_C(1000000)
#define S (1000 * MS)

struct difference {
    char keys[1024];
    size_t count, live;
};

static void note(const char *key, bool live, void *context)
{
    struct difference *difference = context;
    const size_t used = strlen(difference->keys);

    (void)snprintf(difference->keys + used, sizeof(difference->keys) - used, "%s ", key);
    difference->count++;
    difference->live += live;
}

static void assert_same(const struct config *a, const struct config *b)
{
    struct difference difference = {0};

    config_compare(a, b, note, &difference);
    assert_string_equal(difference.keys, "");
    assert_memory_equal(a, b, sizeof(*a));
}

static char *sample(void)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    assert_non_null(out);
    config_sample(out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void the_defaults_are_what_is_documented(void **state)
{
    char host[128] = "";
    struct config c;

    (void)state;
    config_defaults(&c);
    assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
    assert_string_equal(c.name, host);
    assert_string_equal(c.group, "berkeley");
    assert_int_equal(c.authentication, CONFIG_AUTH_KEY);
    assert_int_equal(c.log_level, LOG_INFO);
    assert_int_equal(c.timestamps, CONFIG_STAMPS_KERNEL);
    assert_string_equal(c.master.listen[0], "127.0.0.1");
    assert_string_equal(c.master.listen[1], "::1");
    assert_string_equal(c.master.listen[2], "");
    assert_int_equal(c.master.port, 5525);
    assert_int_equal(c.master.interval_ns, 4 * S);
    assert_int_equal(c.master.exchanges, 4);
    assert_int_equal(c.master.quorum, 2);
    assert_int_equal(c.master.max_slaves, 1000);
    assert_string_equal(c.master.references[0], "");
    assert_string_equal(c.slave.master, "localhost");
    assert_int_equal(c.slave.port, 5525);
    assert_int_equal(c.slave.retry_min_ns, S);
    assert_int_equal(c.slave.retry_max_ns, 60 * S);
    assert_int_equal(c.clock.kind, CONFIG_CLOCK_KERNEL);
    assert_true(c.clock.discipline);
    assert_float_equal(c.clock.max_slew_ppm, 500, 0);
    assert_float_equal(c.clock.initial_slew_ppm, 100000, 0);
    assert_int_equal(c.clock.step_threshold_ns, 0);
    assert_int_equal(c.clock.panic_threshold_ns, 1000 * S);
    assert_int_equal(c.clock.holdover_limit_ns, 3600 * S);
    assert_int_equal(c.clock.asymmetry_max_ns, -1);
    assert_string_equal(c.emulated.file, "");
    assert_int_equal(c.emulated.offset_ns, 0);
    assert_float_equal(c.emulated.frequency_ppm, 0, 0);
    assert_float_equal(c.emulated.wander_ppm, 0, 0);
    assert_int_equal(c.emulated.seed, 1);
}

static void an_empty_file_is_the_defaults(void **state)
{
    struct config loaded, defaults;

    loads_text(*state, "", &loaded);
    config_defaults(&defaults);
    assert_same(&loaded, &defaults);
    loads_text(*state, "name = \"\";", &loaded);
    assert_same(&loaded, &defaults);
}

static void every_key_lands_in_its_place(void **state)
{
    struct config c;

    loads_text(*state,
               "name = \"n1\"; group = \"g\"; authentication = \"none\"; log_level = \"debug\";\n"
               "timestamps = \"user\";\n"
               "master: { listen = (\"0.0.0.0\", \"fe80::1%eth0\"); port = 1;"
               " interval = \"500 ms\"; exchanges = 8; quorum = 1001; max_slaves = 10000;"
               " references = [\"a\", \"b\"]; };\n"
               "slave: { master = \"192.0.2.1\"; port = 0xffff; retry_min = \"10ms\";"
               " retry_max = \"1 h\"; };\n"
               "clock: { kind = \"emulated\"; discipline = FALSE; max_slew_ppm = 1.5;"
               " initial_slew_ppm = 2L; step_threshold = \"1.5 s\"; panic_threshold = \"3650 d\";"
               " holdover_limit = \"2 min\"; asymmetry_max = \"0 s\"; };\n"
               "emulated: { file = \"/run/a b\"; offset = \"-3 us\"; frequency_ppm = -0.25;"
               " wander_ppm = 1e-3; seed = 4294967295; };\n",
               &c);
    assert_string_equal(c.name, "n1");
    assert_string_equal(c.group, "g");
    assert_int_equal(c.authentication, CONFIG_AUTH_NONE);
    assert_int_equal(c.log_level, LOG_DEBUG);
    assert_int_equal(c.timestamps, CONFIG_STAMPS_USER);
    assert_string_equal(c.master.listen[0], "0.0.0.0");
    assert_string_equal(c.master.listen[1], "fe80::1%eth0");
    assert_int_equal(c.master.port, 1);
    assert_int_equal(c.master.interval_ns, 500 * MS);
    assert_int_equal(c.master.exchanges, 8);
    assert_int_equal(c.master.quorum, 1001);
    assert_int_equal(c.master.max_slaves, 10000);
    assert_string_equal(c.master.references[1], "b");
    assert_string_equal(c.master.references[2], "");
    assert_string_equal(c.slave.master, "192.0.2.1");
    assert_int_equal(c.slave.port, 65535);
    assert_int_equal(c.slave.retry_min_ns, 10 * MS);
    assert_int_equal(c.slave.retry_max_ns, 3600 * S);
    assert_int_equal(c.clock.kind, CONFIG_CLOCK_EMULATED);
    assert_false(c.clock.discipline);
    assert_float_equal(c.clock.max_slew_ppm, 1.5, 0);
    assert_float_equal(c.clock.initial_slew_ppm, 2, 0);
    assert_int_equal(c.clock.step_threshold_ns, 1500 * MS);
    assert_int_equal(c.clock.panic_threshold_ns, 3650 * (86400 * S));
    assert_int_equal(c.clock.holdover_limit_ns, 120 * S);
    assert_int_equal(c.clock.asymmetry_max_ns, 0);
    assert_string_equal(c.emulated.file, "/run/a b");
    assert_int_equal(c.emulated.offset_ns, -3000);
    assert_float_equal(c.emulated.frequency_ppm, -0.25, 0);
    assert_float_equal(c.emulated.wander_ppm, 0.001, 0);
    assert_int_equal(c.emulated.seed, UINT32_MAX);
}

static void loopback_needs_no_key(void **state)
{
    struct config c;

    loads_text(*state,
               "authentication = \"loopback\";"
               "master: { listen = [\"127.3.2.1\", \"::1\", \"::ffff:127.0.0.1\"]; };"
               "slave: { master = \"127.0.0.9\"; };",
               &c);
    loads_text(*state, "authentication = \"loopback\"; slave: { master = \"time1.example\"; };",
               &c);
    assert_string_equal(c.slave.master, "time1.example");
}

/* Digits in names, texts and comments are nobody's integers. */
static void only_integers_are_widened(void **state)
{
    struct config c;

    loads_text(*state,
               "# 12 \"\n// 13 /*\n/* 14 \" # */ name = \"99999999999\\\"/*#7\";\n"
               "group = \"a1\" /* 15 */ \"2\"; # @include \"absent\"\n"
               "master: { port = +010L; exchanges = 2; /**/ quorum = 3// \"\n }\r\n",
               &c);
    assert_string_equal(c.name, "99999999999\"/*#7");
    assert_string_equal(c.group, "a12");
    assert_int_equal(c.master.port, 10);
    assert_int_equal(c.master.exchanges, 2);
    assert_int_equal(c.master.quorum, 3);
}

static void durations_are_exact(void **state)
{
    static const struct {
        const char *text;
        int r;
        int64_t ns;
    } cases[] = {
        {"50 ms", 0, 50 * MS}, {"10s", 0, 10 * S}, {"500 us", 0, 500000}, {"1 h", 0, 3600 * S},
        {"2 min", 0, 120 * S}, {"1 d", 0, 86400 * S}, {"7 ns", 0, 7}, {"-1.5 s", 0, -1500 * MS},
        {"+0.000000001 s", 0, 1}, {"1.50 ns", -EINVAL, 0}, {"1.0 ns", 0, 1},
        {"0.0000000001 s", -EINVAL, 0}, {"0.50001 us", -EINVAL, 0}, {"0.50000 us", 0, 500},
        {"1.0000001 ns", -EINVAL, 0}, {"0.1 h", 0, 360 * S},
        {"9223372036854775807 ns", 0, INT64_MAX}, {"9223372036854775808 ns", -ERANGE, 0},
        {"9223372036 s", 0, 9223372036 * S}, {"9223372036.9 s", -ERANGE, 0},
        {"106752 d", -ERANGE, 0}, {"", -EINVAL, 0}, {"4", -EINVAL, 0}, {"s", -EINVAL, 0},
        {".5 s", -EINVAL, 0}, {"5. s", -EINVAL, 0}, {"1 S", -EINVAL, 0}, {"1 s ", -EINVAL, 0},
        {" 1 s", -EINVAL, 0}, {"--1 s", -EINVAL, 0}, {"1e3 s", -EINVAL, 0}, {"1 s 2", -EINVAL, 0},
        {"nan s", -EINVAL, 0}, {"1\ts", -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ns = 0;

        if (duration_parse(cases[i].text, &ns) != cases[i].r || ns != cases[i].ns)
            fail_msg("\"%s\" became %lld ns", cases[i].text, (long long)ns);
    }
}

static void drop_ins_come_in_order_and_the_last_wins(void **state)
{
    static const int written[] = {40, 90, 20, 95, 70, 30, 80, 60, 50};
    const struct fixture *fixture = *state;
    char name[32], text[64];
    struct config c;

    assert_int_equal(mkdir(fixture->drop_in, 0755), 0);
    write_beside(fixture, "b.conf.d/10.conf",
                 "group = \"ten\"; master: { port = 10; listen = [\"127.0.0.9\"]; };");
    for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
        (void)snprintf(name, sizeof(name), "b.conf.d/%d.conf", written[i]);
        (void)snprintf(text, sizeof(text), "group = \"g%d\"; master: { port = %d; };", written[i],
                       written[i]);
        write_beside(fixture, name, text);
    }
    write_beside(fixture, "b.conf.d/99.conf.old", "not a setting");
    write_beside(fixture, "b.conf.d/.99.conf", "not a setting");
    loads_text(fixture, "group = \"main\"; master: { exchanges = 2; };", &c);
    assert_string_equal(c.group, "g95");
    assert_int_equal(c.master.port, 95);
    assert_int_equal(c.master.exchanges, 2);
    assert_string_equal(c.master.listen[0], "127.0.0.9");
    assert_string_equal(c.master.listen[1], "");
}

/* The first file alone would be refused. */
static void keys_are_checked_together_once(void **state)
{
    const struct fixture *fixture = *state;
    struct config c;

    assert_int_equal(mkdir(fixture->drop_in, 0755), 0);
    write_beside(fixture, "b.conf.d/1.conf", "authentication = \"none\";");
    loads_text(fixture, "authentication = \"loopback\"; master: { listen = [\"0.0.0.0\"]; };", &c);
    assert_string_equal(c.master.listen[0], "0.0.0.0");
}

static void includes_are_found_beside_the_file(void **state)
{
    const struct fixture *fixture = *state;
    struct config c;

    assert_int_equal(mkdir(fixture->drop_in, 0755), 0);
    write_beside(fixture, "b.conf.d/a.inc", "@include \"b.inc\"\nport = 7; # no newline");
    write_beside(fixture, "b.conf.d/b.inc", "exchanges = 3;");
    loads_text(fixture, "master: {\n@include \"b.conf.d/a.inc\"\n quorum = 4; };", &c);
    assert_int_equal(c.master.port, 7);
    assert_int_equal(c.master.exchanges, 3);
    assert_int_equal(c.master.quorum, 4);
}

static void includes_may_be_eight_deep(void **state)
{
    const struct fixture *fixture = *state;
    struct config c;

    for (int i = 1; i < 8; i++) {
        char name[8], text[32];

        (void)snprintf(name, sizeof(name), "%d.inc", i);
        (void)snprintf(text, sizeof(text), "@include \"%d.inc\"", i + 1);
        write_beside(fixture, name, text);
    }
    write_beside(fixture, "8.inc", "group = \"deep\";");
    loads_text(fixture, "@include \"1.inc\"", &c);
    assert_string_equal(c.group, "deep");
}

static void the_sample_is_the_one_in_the_tree(void **state)
{
    const char *source = getenv("BERKELEY_SOURCE_DIR");
    char path[512], *expected = sample();
    char *found = calloc(1, strlen(expected) + 2);
    FILE *file;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/config/berkeley.conf",
                   source ? source : BERKELEY_SOURCE_DIR);
    file = fopen(path, "r");
    assert_non_null(found);
    assert_non_null(file);
    assert_int_equal(fread(found, 1, strlen(expected) + 1, file), strlen(expected));
    assert_int_equal(fclose(file), 0);
    assert_string_equal(found, expected);
    free(found);
    free(expected);
}

/* "#key" is a setting, "# text" is not. */
static size_t uncomment(char *text)
{
    size_t count = 0;

    for (char *at = text; (at = strchr(at, '#')) != NULL; at++)
        if (at[1] >= 'a' && at[1] <= 'z') {
            *at = ' ';
            count++;
        } else {
            at += strcspn(at, "\n") - 1;
        }
    return count;
}

static void the_sample_uncommented_is_the_defaults(void **state)
{
    struct config loaded, defaults;
    char *text = sample();

    config_defaults(&defaults);
    loads_text(*state, text, &loaded);
    assert_same(&loaded, &defaults);
    assert_int_equal(uncomment(text), config_table_length);
    loads_text(*state, text, &loaded);
    assert_same(&loaded, &defaults);
    free(text);
}

static void keys_are_numbered(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_table_length; i++) {
        assert_string_equal(config_key(i), config_table[i].key);
        assert_ptr_equal(config_entry_find(config_key(i)), &config_table[i]);
    }
    assert_null(config_key(config_table_length));
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_what_is_documented),
        CASE(an_empty_file_is_the_defaults),
        CASE(every_key_lands_in_its_place),
        CASE(loopback_needs_no_key),
        CASE(only_integers_are_widened),
        cmocka_unit_test(durations_are_exact),
        CASE(drop_ins_come_in_order_and_the_last_wins),
        CASE(keys_are_checked_together_once),
        CASE(includes_are_found_beside_the_file),
        CASE(includes_may_be_eight_deep),
        CASE(the_sample_is_the_one_in_the_tree),
        CASE(the_sample_uncommented_is_the_defaults),
        cmocka_unit_test(keys_are_numbered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
