/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys that say who may take part, and what a peer may cost. */
#include "config_loads.h"

#include "daemon/config_table.h"

#define MS INT64_C(1000000)
#define S (1000 * MS)

#define BLOCKS                                                                                   \
    "a list [ ... ] of up to 64 addresses or blocks of them (\"192.0.2.7\", \"2001:db8::/32\")"
#define PATH "an absolute path of up to 255 printable characters, "
#define LOOPBACK                                                                                  \
    " with authentication = \"loopback\"; allowed is a loopback address (\"127.0.0.1\", "          \
    "\"::1\"), or authentication = \"key\" and a key, which `berkeleyctl keygen` makes"

static void the_defaults_let_in_who_has_a_key(void **state)
{
    struct config c;

    (void)state;
    config_defaults(&c);
    assert_int_equal(c.authentication, CONFIG_AUTH_KEY);
    assert_string_equal(c.key_file, "");
    assert_string_equal(c.control, "");
    assert_string_equal(c.master.allow[0], "");
    assert_string_equal(c.master.deny[0], "");
    assert_int_equal(c.limits.handshakes, 64);
    assert_int_equal(c.limits.handshake_time_ns, 5 * S);
    assert_int_equal(c.limits.connections_per_second, 100);
    assert_int_equal(c.limits.frames_per_second, 100);
    assert_int_equal(c.limits.silence_ns, 0);
    assert_int_equal(c.limits.answer_time_ns, S);
    assert_int_equal(c.limits.buffer, 32768);
}

static void each_key_lands_in_its_place(void **state)
{
    struct config c;

    loads_text(*state,
               "authentication = \"key\"; key_file = \"/etc/a key\"; control = \"/run/b.sock\";\n"
               "master: { allow = [\"192.0.2.0/24\", \"2001:db8::/32\"];\n"
               " deny = (\"192.0.2.7\"); };\n"
               "limits: { handshakes = 3; handshake_time = \"250 ms\";\n"
               " connections_per_second = 5; frames_per_second = 60; silence = \"20 s\";\n"
               " answer_time = \"30 ms\"; buffer = 0x2000; };\n",
               &c);
    assert_int_equal(c.authentication, CONFIG_AUTH_KEY);
    assert_string_equal(c.key_file, "/etc/a key");
    assert_string_equal(c.control, "/run/b.sock");
    assert_string_equal(c.master.allow[0], "192.0.2.0/24");
    assert_string_equal(c.master.allow[1], "2001:db8::/32");
    assert_string_equal(c.master.allow[2], "");
    assert_string_equal(c.master.deny[0], "192.0.2.7");
    assert_string_equal(c.master.deny[1], "");
    assert_int_equal(c.limits.handshakes, 3);
    assert_int_equal(c.limits.handshake_time_ns, 250 * MS);
    assert_int_equal(c.limits.connections_per_second, 5);
    assert_int_equal(c.limits.frames_per_second, 60);
    assert_int_equal(c.limits.silence_ns, 20 * S);
    assert_int_equal(c.limits.answer_time_ns, 30 * MS);
    assert_int_equal(c.limits.buffer, 8192);
}

static void words_are_taken(void **state)
{
    struct config c;

    loads_text(*state, "authentication = \"loopback\"; control = \"none\"; key_file = \"\";", &c);
    assert_int_equal(c.authentication, CONFIG_AUTH_LOOPBACK);
    assert_string_equal(c.control, CONFIG_STATE_NONE);
    loads_text(*state, "limits: { silence = \"auto\"; };", &c);
    assert_int_equal(c.limits.silence_ns, 0);
}

static void the_ends_of_each_range_are_allowed(void **state)
{
    struct config c;

    loads_text(*state,
               "limits: { handshakes = 1; handshake_time = \"100 ms\"; connections_per_second = 1;"
               " frames_per_second = 50; silence = \"1 s\"; answer_time = \"10 ms\"; buffer = 4096;"
               " };",
               &c);
    assert_int_equal(c.limits.silence_ns, S);
    loads_text(*state,
               "limits: { handshakes = 10000; handshake_time = \"1 min\";"
               " connections_per_second = 100000; frames_per_second = 100000; silence = \"1 d\";"
               " answer_time = \"1 min\"; buffer = 1048576; };",
               &c);
    assert_int_equal(c.limits.buffer, 1048576);
}

static const struct wrong {
    const char *text, *line;
} wrongs[] = {
    {"authentication = \"tls\";",
     "authentication: found \"tls\"; allowed is \"key\", \"loopback\" or \"none\""},
    {"authentication = 1;",
     "authentication: found 1; allowed is \"key\", \"loopback\" or \"none\""},
    {"key_file = \"berkeley.key\";",
     "key_file: found \"berkeley.key\"; allowed is " PATH "or \"\""},
    {"key_file = \"none\";", "key_file: found \"none\"; allowed is " PATH "or \"\""},
    {"key_file = [\"/a\", \"/b\"];", "key_file: found a list; allowed is " PATH "or \"\""},
    {"control = \"off\";", "control: found \"off\"; allowed is " PATH "\"none\", or \"\""},
    {"keyfile = \"/a\";", "keyfile: found an unknown key; did you mean key_file?"},
    {"allow = [];", "allow: found an unknown key; did you mean master.allow?"},
    {"limit: { buffer = 1; };", "limit: found an unknown group; did you mean limits?"},
    {"limits = 5;", "limits: found 5; allowed is a group: limits: { ... };"},
    {"limits: { handshake = 5; };",
     "limits.handshake: found an unknown key; did you mean limits.handshakes or "
     "limits.handshake_time?"},

    /* blocks */
    {"master: { allow = [\"192.0.2.7/24\"]; };",
     "master.allow: found \"192.0.2.7/24\", an address in the block \"192.0.2.0/24\"; allowed is "
     BLOCKS},
    {"master: { deny = [\"2001:db8::ffff:1/97\"]; };",
     "master.deny: found \"2001:db8::ffff:1/97\", an address in the block \"2001:db8::8000:0/97\"; "
     "allowed is " BLOCKS},
    {"master: { deny = [\"192.0.2.7/0\"]; };",
     "master.deny: found \"192.0.2.7/0\", an address in the block \"0.0.0.0/0\"; allowed is "
     BLOCKS},
    {"master: { deny = [\"::ffff:192.0.2.7/120\"]; };",
     "master.deny: found \"::ffff:192.0.2.7/120\", an address in the block "
     "\"::ffff:192.0.2.0/120\"; allowed is " BLOCKS},
    {"master: { allow = [\"192.0.2.0/33\"]; };",
     "master.allow: found \"192.0.2.0/33\"; allowed is " BLOCKS},
    {"master: { allow = [\"::/129\"]; };",
     "master.allow: found \"::/129\"; allowed is " BLOCKS},
    {"master: { allow = [\"192.0.2\"]; };",
     "master.allow: found \"192.0.2\"; allowed is " BLOCKS},
    {"master: { allow = [\"192.0.2.0/\"]; };",
     "master.allow: found \"192.0.2.0/\"; allowed is " BLOCKS},
    {"master: { deny = [\"node7.example\"]; };",
     "master.deny: found \"node7.example\"; allowed is " BLOCKS},
    {"master: { deny = [\"\"]; };", "master.deny: found \"\"; allowed is " BLOCKS},
    {"master: { deny = \"192.0.2.7\"; };",
     "master.deny: found \"192.0.2.7\"; allowed is " BLOCKS},
    {"master: { deny = [7]; };", "master.deny: found 7; allowed is " BLOCKS},
    {"master: { deny = [\"11111111111111111111111111111111111111111111111111111111111111.1\"]; };",
     "master.deny: found \"11111111111111111111111111111111111111111111111111111111111111....\", "
     "which has 64 characters; allowed is " BLOCKS},

    /* ranges */
    {"limits: { handshakes = 0; };",
     "limits.handshakes: found 0; allowed is an integer from 1 to 10000"},
    {"limits: { handshakes = 10001; };",
     "limits.handshakes: found 10001; allowed is an integer from 1 to 10000"},
    {"limits: { handshake_time = \"99 ms\"; };",
     "limits.handshake_time: found \"99 ms\"; allowed is a duration from \"100 ms\" to \"1 min\""},
    {"limits: { handshake_time = \"61 s\"; };",
     "limits.handshake_time: found \"61 s\"; allowed is a duration from \"100 ms\" to \"1 min\""},
    {"limits: { connections_per_second = 0; };",
     "limits.connections_per_second: found 0; allowed is an integer from 1 to 100000"},
    {"limits: { connections_per_second = 100001; };",
     "limits.connections_per_second: found 100001; allowed is an integer from 1 to 100000"},
    {"limits: { frames_per_second = 49; };",
     "limits.frames_per_second: found 49; allowed is an integer from 50 to 100000"},
    {"limits: { frames_per_second = 4294967396; };",
     "limits.frames_per_second: found 4294967396; allowed is an integer from 50 to 100000"},
    {"limits: { silence = \"999 ms\"; };",
     "limits.silence: found \"999 ms\"; allowed is a duration from \"1 s\" to \"1 d\", or "
     "\"auto\""},
    {"limits: { silence = \"0 s\"; };",
     "limits.silence: found \"0 s\"; allowed is a duration from \"1 s\" to \"1 d\", or \"auto\""},
    {"limits: { silence = \"25 h\"; };",
     "limits.silence: found \"25 h\"; allowed is a duration from \"1 s\" to \"1 d\", or \"auto\""},
    {"limits: { silence = 10; };",
     "limits.silence: found 10 without quotes and a unit; allowed is a duration from \"1 s\" to "
     "\"1 d\", or \"auto\""},
    {"limits: { answer_time = \"9 ms\"; };",
     "limits.answer_time: found \"9 ms\"; allowed is a duration from \"10 ms\" to \"1 min\""},
    {"limits: { answer_time = \"2 min\"; };",
     "limits.answer_time: found \"2 min\"; allowed is a duration from \"10 ms\" to \"1 min\""},
    {"limits: { buffer = 4095; };",
     "limits.buffer: found 4095; allowed is an integer from 4096 to 1048576 bytes"},
    {"limits: { buffer = 1048577; };",
     "limits.buffer: found 1048577; allowed is an integer from 4096 to 1048576 bytes"},
    {"limits: { buffer = \"32k\"; };",
     "limits.buffer: found \"32k\"; allowed is an integer from 4096 to 1048576 bytes"},

    /* addresses that "loopback" forbids */
    {"authentication = \"loopback\"; master: { listen = [\"127.0.0.1\", \"192.0.2.1\"]; };",
     "master.listen: found \"192.0.2.1\"" LOOPBACK},
    {"authentication = \"loopback\"; master: { listen = [\"::\"]; };",
     "master.listen: found \"::\"" LOOPBACK},
    {"authentication = \"loopback\"; slave: { master = \"fe80::1%eth0\"; };",
     "slave.master: found \"fe80::1%eth0\"" LOOPBACK},
};

static void each_mistake_gets_its_line(void **state)
{
    const struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        char line[CONFIG_ERROR_SIZE];

        write_bytes(fixture->path, wrongs[i].text, strlen(wrongs[i].text));
        (void)snprintf(line, sizeof(line), "b.conf:1: %s", wrongs[i].line);
        refused(fixture, -EINVAL, line);
    }
}

static void no_key_is_set_twice(void **state)
{
    const struct fixture *fixture = *state;

    for (size_t i = 0; i < config_table_length; i++) {
        const int group = (int)config_entry_group(&config_table[i]);
        const char *leaf = config_entry_leaf(&config_table[i]);
        char text[256], line[CONFIG_ERROR_SIZE];

        (void)snprintf(text, sizeof(text), "%.*s%s\n%s = 1;\n%s = 1;\n%s", group,
                       config_table[i].key, group ? ": {" : "", leaf, leaf, group ? "};" : "");
        write_bytes(fixture->path, text, strlen(text));
        (void)snprintf(line, sizeof(line),
                       "b.conf:3: found a duplicate setting name in or before \"%s = 1;\"; allowed "
                       "is NAME = VALUE; each name once, and GROUP: { ... };",
                       leaf);
        refused(fixture, -EINVAL, line);
    }
}

static void a_later_list_replaces_the_earlier(void **state)
{
    const struct fixture *fixture = *state;
    struct config c;

    assert_int_equal(mkdir(fixture->drop_in, 0755), 0);
    write_beside(fixture, "b.conf.d/1.conf", "master: { allow = []; deny = [\"::1\"]; };");
    loads_text(fixture, "master: { allow = [\"192.0.2.7\"]; deny = [\"192.0.2.7\", \"::2\"]; };",
               &c);
    assert_string_equal(c.master.allow[0], "");
    assert_string_equal(c.master.deny[0], "::1");
    assert_string_equal(c.master.deny[1], "");
}

static void write_blocks(const struct fixture *fixture, unsigned count)
{
    FILE *file = fopen(fixture->path, "w");

    assert_non_null(file);
    (void)fputs("master: { allow = [", file);
    for (unsigned i = 0; i < count; i++)
        (void)fprintf(file, "%s\"10.0.%u.0/24\"", i ? ", " : "", i);
    (void)fputs("]; };", file);
    assert_int_equal(fclose(file), 0);
}

static void sixty_four_blocks_are_the_most(void **state)
{
    const struct fixture *fixture = *state;
    struct config c;

    write_blocks(fixture, CONFIG_PREFIXES_MAX);
    loads(fixture, &c);
    assert_string_equal(c.master.allow[CONFIG_PREFIXES_MAX - 1], "10.0.63.0/24");
    write_blocks(fixture, CONFIG_PREFIXES_MAX + 1);
    refused(fixture, -EINVAL,
            "b.conf:1: master.allow: found a list of 65 items; allowed is " BLOCKS);
}

/* With "key" it is for the key file to say. */
static void only_loopback_forbids_addresses_beyond_the_machine(void **state)
{
    static const char *const allowed[] = {"key", "none"};
    static const char rest[] =
        "master: { listen = [\"0.0.0.0\"]; }; slave: { master = \"192.0.2.1\"; };";
    char text[256];
    struct config c;

    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(text, sizeof(text), "authentication = \"%s\"; %s", allowed[i], rest);
        loads_text(*state, text, &c);
        assert_string_equal(c.slave.master, "192.0.2.1");
    }
    loads_text(*state, rest, &c);
    assert_int_equal(c.authentication, CONFIG_AUTH_KEY);
}

static void the_first_address_beyond_the_machine_is_told(void **state)
{
    static const struct {
        const char *first, *second, *master; /* listen, listen, slave.master */
        const char *listens, *follows;       /* what is remote of that */
    } cases[] = {
        {"127.0.0.1", "::1", "localhost", NULL, NULL},
        {"127.0.0.1", "192.0.2.1", "127.0.0.1", "192.0.2.1", NULL},
        {"::", "192.0.2.1", "::1", "::", NULL},
        {"127.9.9.9", "::ffff:127.0.0.1", "192.0.2.1", NULL, "192.0.2.1"},
        {"127.0.0.1", "fe80::1%eth0", "fe80::2%eth0", "fe80::1%eth0", "fe80::2%eth0"},
        {"127.0.0.1", "", "time1.example", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *listens = "untouched", *follows = "untouched", *found;
        struct config c;

        config_defaults(&c);
        (void)snprintf(c.master.listen[0], CONFIG_ADDRESS_SIZE, "%s", cases[i].first);
        (void)snprintf(c.master.listen[1], CONFIG_ADDRESS_SIZE, "%s", cases[i].second);
        (void)snprintf(c.slave.master, CONFIG_ADDRESS_SIZE, "%s", cases[i].master);
        found = config_remote(&c, true, &listens);
        assert_string_equal(found ? found : "", cases[i].listens ? cases[i].listens : "");
        assert_string_equal(listens, found ? "master.listen" : "untouched");
        found = config_remote(&c, false, &follows);
        assert_string_equal(found ? found : "", cases[i].follows ? cases[i].follows : "");
        assert_string_equal(follows, found ? "slave.master" : "untouched");
    }
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_let_in_who_has_a_key),
        CASE(each_key_lands_in_its_place),
        CASE(words_are_taken),
        CASE(the_ends_of_each_range_are_allowed),
        CASE(each_mistake_gets_its_line),
        CASE(no_key_is_set_twice),
        CASE(a_later_list_replaces_the_earlier),
        CASE(sixty_four_blocks_are_the_most),
        CASE(only_loopback_forbids_addresses_beyond_the_machine),
        cmocka_unit_test(the_first_address_beyond_the_machine_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
