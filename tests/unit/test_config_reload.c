/* SPDX-License-Identifier: BSD-2-Clause */
#include "config_fixture.h"

#include "daemon/config_table.h"

#include <math.h>

#define ROUNDS 300
#define LIVE_COUNT 24

static uint64_t seed = 1;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static int64_t random_between(int64_t least, int64_t most)
{
    switch (next_random() % 8) {
    case 0:
        return least;
    case 1:
        return most;
    default:
        return least + (int64_t)(next_random() % ((uint64_t)(most - least) + 1));
    }
}

static void random_text(const struct config_entry *entry, char *text)
{
    static const char *const addresses[] = {"127.0.0.1", "::1", "0.0.0.0", "2001:db8::7",
                                            "fe80::2%eth1"};
    static const char *const blocks[] = {"192.0.2.0/24", "192.0.2.7", "0.0.0.0/0", "2001:db8::/32",
                                         "::1"};
    const int64_t least = entry->items || entry->least ? 1 : 0;
    const int64_t length = random_between(least, (int64_t)entry->size - 1);

    memset(text, 0, entry->size);
    if (entry->type == ENTRY_ADDRESS) {
        (void)snprintf(text, entry->size, "%s", addresses[next_random() % 5]);
        return;
    }
    if (entry->type == ENTRY_PREFIX) {
        (void)snprintf(text, entry->size, "%s", blocks[next_random() % 5]);
        return;
    }
    for (int64_t i = 0; i < length; i++)
        text[i] = (char)random_between(entry->type == ENTRY_FILE ? ' ' : '!', '~');
    if (entry->type == ENTRY_FILE && length > 0)
        text[0] = '/';
}

static void random_texts(const struct config_entry *entry, char *field)
{
    const size_t items =
        entry->items ? (size_t)random_between(entry->least, (int64_t)entry->items) : 1;

    memset(field, 0, entry->size * (entry->items ? entry->items : 1));
    for (size_t i = 0; i < items; i++)
        random_text(entry, field + i * entry->size);
}

static size_t count_words(const struct config_word *words)
{
    size_t count = 0;

    while (words && words[count].text)
        count++;
    return count;
}

static void random_value(const struct config_entry *entry, void *field)
{
    const size_t words = count_words(entry->words);

    if (config_entry_is_text(entry))
        random_texts(entry, field);
    else if (entry->type == ENTRY_NUMBER)
        *(double *)field = (double)entry->least + (double)(entry->most - entry->least) *
                                                      ldexp((double)(next_random() >> 11), -53);
    else if (entry->type == ENTRY_BOOL)
        *(bool *)field = next_random() % 2;
    else if (words > 0 && (entry->type == ENTRY_WORD || next_random() % 4 == 0))
        config_entry_set(entry, field, entry->words[next_random() % words].value);
    else
        config_entry_set(entry, field, random_between(entry->least, entry->most));
}

/* All valid by itself, then by the rules between keys. */
static void random_config(struct config *config)
{
    memset(config, 0, sizeof(*config));
    for (size_t i = 0; i < config_table_length; i++)
        random_value(&config_table[i], config_entry_field(&config_table[i], config));
    if (!config->name[0])
        config->name[0] = 'n';
    config->authentication = CONFIG_AUTH_NONE;
    if (config->slave.retry_min_ns > config->slave.retry_max_ns)
        config->slave.retry_max_ns = config->slave.retry_min_ns;
    if (config->clock.max_slew_ppm > config->clock.initial_slew_ppm)
        config->clock.initial_slew_ppm = config->clock.max_slew_ppm;
    if (config->master.quorum > config->master.max_slaves + 1)
        config->master.quorum = config->master.max_slaves + 1;
    if (config->metrics.file[0]) {
        static const char ending[] = "x.prom";
        const size_t length = strlen(config->metrics.file);
        const size_t most = sizeof(config->metrics.file) - sizeof(ending);

        memcpy(config->metrics.file + (length < most ? length : most), ending, sizeof(ending));
    }
}

static void print_to(const struct fixture *fixture, const struct config *config)
{
    FILE *out = fopen(fixture->path, "w");

    assert_non_null(out);
    config_print(config, out);
    assert_int_equal(fclose(out), 0);
}

struct difference {
    char last[64];
    size_t count, live;
};

static void note(const char *key, bool live, void *context)
{
    struct difference *difference = context;

    (void)snprintf(difference->last, sizeof(difference->last), "%s", key);
    difference->count++;
    difference->live += live;
}

static void what_is_printed_is_read_back(void **state)
{
    const char *given = getenv("BERKELEY_TEST_SEED");
    const uint64_t start = given ? strtoull(given, NULL, 0) : 20261;
    struct difference difference = {0};
    struct config config, loaded;
    char error[CONFIG_ERROR_SIZE];

    seed = start ? start : 1;
    for (int i = 0; i < ROUNDS; i++) {
        random_config(&config);
        print_to(*state, &config);
        if (config_load(((struct fixture *)*state)->path, &loaded, error) < 0)
            fail_msg("seed %llu, round %d: %s", (unsigned long long)start, i, error);
        config_compare(&config, &loaded, note, &difference);
        if (difference.count > 0)
            fail_msg("seed %llu, round %d: another %s", (unsigned long long)start, i,
                     difference.last);
    }
}

/* Another valid value than the one there. */
static void change(const struct config_entry *entry, struct config *config)
{
    struct difference difference = {0};
    const struct config before = *config;

    while (difference.count == 0) {
        random_value(entry, config_entry_field(entry, config));
        config_compare(&before, config, note, &difference);
    }
    assert_string_equal(difference.last, entry->key);
    assert_int_equal(difference.count, 1);
    assert_int_equal(difference.live, entry->live);
}

static void each_change_is_told_with_its_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_table_length; i++) {
        struct config config;

        config_defaults(&config);
        change(&config_table[i], &config);
    }
}

static void a_change_far_down_a_list_is_told(void **state)
{
    struct config before, after;
    struct difference difference = {0};

    (void)state;
    config_defaults(&before);
    after = before;
    (void)snprintf(after.master.references[CONFIG_REFERENCES_MAX - 1], CONFIG_NAME_SIZE, "gps");
    config_compare(&before, &after, note, &difference);
    assert_string_equal(difference.last, "master.references");
}

static void a_reload_brings_the_live_keys_only(void **state)
{
    static const char *const live[LIVE_COUNT] = {
        "log_level",
        "master.interval",
        "master.exchanges",
        "master.quorum",
        "master.max_slaves",
        "master.references",
        "master.allow",
        "master.deny",
        "slave.master",
        "slave.port",
        "slave.retry_min",
        "slave.retry_max",
        "limits.handshakes",
        "limits.handshake_time",
        "limits.connections_per_second",
        "limits.frames_per_second",
        "limits.silence",
        "limits.answer_time",
        "limits.buffer",
        "clock.max_slew_ppm",
        "clock.initial_slew_ppm",
        "clock.panic_threshold",
        "clock.holdover_limit",
        "clock.asymmetry_max",
    };
    struct config running, fresh;
    size_t live_count = 0;

    (void)state;
    config_defaults(&running);
    running.authentication = CONFIG_AUTH_NONE;
    for (size_t i = 0; i < config_table_length; i++) {
        const struct config_entry *entry = &config_table[i];
        struct difference difference = {0};
        bool expected = false;

        for (size_t j = 0; j < LIVE_COUNT; j++)
            expected = expected || strcmp(live[j], entry->key) == 0;
        fresh = running;
        change(entry, &fresh);
        config_keep(&running, &fresh);
        config_compare(&running, &fresh, note, &difference);
        assert_int_equal(difference.count, expected);
        assert_int_equal(entry->live, expected);
        live_count += expected;
    }
    assert_int_equal(live_count, LIVE_COUNT);
}

/* Reloading authentication and the master together must not let the second in alone. */
static void a_reload_does_not_open_what_authentication_closes(void **state)
{
    struct config running, fresh;

    (void)state;
    config_defaults(&running);
    running.authentication = CONFIG_AUTH_LOOPBACK;
    fresh = running;
    fresh.authentication = CONFIG_AUTH_NONE;
    (void)snprintf(fresh.slave.master, sizeof(fresh.slave.master), "192.0.2.1");
    config_keep(&running, &fresh);
    assert_int_equal(fresh.authentication, CONFIG_AUTH_LOOPBACK);
    assert_string_equal(fresh.slave.master, "localhost");
}

/* Whether it may be followed is for the key file, read anew, to say. */
static void a_reload_brings_a_remote_master_to_who_has_a_key(void **state)
{
    struct config running, fresh;

    (void)state;
    config_defaults(&running);
    fresh = running;
    (void)snprintf(fresh.slave.master, sizeof(fresh.slave.master), "192.0.2.1");
    config_keep(&running, &fresh);
    assert_string_equal(fresh.slave.master, "192.0.2.1");
}

static void another_key_file_or_socket_waits_for_a_restart(void **state)
{
    struct config running, fresh;

    (void)state;
    config_defaults(&running);
    fresh = running;
    (void)snprintf(fresh.key_file, sizeof(fresh.key_file), "/run/other.key");
    (void)snprintf(fresh.control, sizeof(fresh.control), "none");
    (void)snprintf(fresh.master.deny[CONFIG_PREFIXES_MAX - 1], CONFIG_PREFIX_SIZE, "::/0");
    config_keep(&running, &fresh);
    assert_string_equal(fresh.key_file, "");
    assert_string_equal(fresh.control, "");
    assert_string_equal(fresh.master.deny[CONFIG_PREFIXES_MAX - 1], "::/0");
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_printed_is_read_back),
        cmocka_unit_test(each_change_is_told_with_its_key),
        cmocka_unit_test(a_change_far_down_a_list_is_told),
        cmocka_unit_test(a_reload_brings_the_live_keys_only),
        cmocka_unit_test(a_reload_does_not_open_what_authentication_closes),
        cmocka_unit_test(a_reload_brings_a_remote_master_to_who_has_a_key),
        cmocka_unit_test(another_key_file_or_socket_waits_for_a_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
