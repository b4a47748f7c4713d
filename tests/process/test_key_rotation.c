/* SPDX-License-Identifier: BSD-2-Clause */
/* A new key in the place of an old one, on a group that runs: nobody notices but who has the
 * old one only. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "core/timestamp.h"
#include "group.h"
#include "sealed.h"
#include "setup.h"

#define JOIN_SECONDS 60
#define SECONDS 20
#define SETTLE_SECONDS 2
#define SLAVES 3
#define ALL NODES(0, SLAVES)
/* What stamps taken on a busy machine let a group at rest wander anyway. */
#define MOVED_NS (100 * NS_PER_US)

struct rotation {
    struct harness *harness;
    struct group *group;
    struct course course;
    uint16_t port;
    size_t said[SLAVES + 1]; /* before */
};

/* For that long: nobody unsynchronised, all within what they say of themselves. */
static void expect_calm(struct rotation *rotation, double seconds)
{
    int64_t bound_ns;

    assert_true(group_bounds_hold(rotation->group, ALL, seconds, &bound_ns));
    for (size_t n = 0; n <= SLAVES; n++)
        if (group_unsynchronised(rotation->group, n))
            fail_msg("node %zu is unsynchronised:\n%s", n,
                     process_stderr(group_process(rotation->group, n)) + rotation->said[n]);
    assert_in_range(group_moved(rotation->group, &rotation->course), 0, MOVED_NS);
}

static void rekey(struct rotation *rotation, size_t n, const struct secret_key *keys, size_t count)
{
    struct process *process = group_process(rotation->group, n);

    process_mark(process);
    group_rekey(rotation->group, n, keys, count);
    assert_true(process_wait_line(process, "Configuration reloaded from ", SECONDS));
}

static void give_to_slave(struct rotation *rotation, size_t n, const struct secret_key *key)
{
    rekey(rotation, n, key, 1);
    assert_true(process_wait_line(group_process(rotation->group, n), "Following master", SECONDS));
    expect_calm(rotation, SETTLE_SECONDS);
}

static void test_rotation(void **state)
{
    const struct secret_key keys[] = {key_make("autumn", NULL), key_make("winter", NULL)};
    const struct group_options options = {
        .name = "rota",
        .nodes = {{.offset_ns = 200 * NS_PER_US, .frequency_ppm = 5},
                  {.frequency_ppm = -30},
                  {.offset_ns = -200 * NS_PER_US, .frequency_ppm = 40},
                  {.frequency_ppm = 20}},
        .count = SLAVES + 1,
        .keys = keys,
        .key_count = 1};
    struct rotation rotation = {.harness = *state, .group = group_start(*state, &options)};
    struct process *master = group_process(rotation.group, 0);
    struct sealed *old;

    assert_true(group_wait_synchronised(rotation.group, ALL, JOIN_SECONDS));
    assert_true(group_wait_spread(rotation.group, ALL, MOVED_NS, JOIN_SECONDS));
    rotation.port = group_port(rotation.group);
    for (size_t n = 0; n <= SLAVES; n++)
        rotation.said[n] = setup_said(group_process(rotation.group, n));
    rotation.course = group_course(rotation.group, ALL, ALL);
    expect_calm(&rotation, SETTLE_SECONDS);

    /* Both valid on the master: nothing happens to those who are connected. */
    rekey(&rotation, 0, keys, 2);
    expect_calm(&rotation, SETTLE_SECONDS);
    assert_int_equal(process_count_lines(master, "left|connected again"), 0);
    old = sealed_connect(rotation.harness, rotation.port, &keys[0]);
    assert_non_null(old);
    sealed_close(old);

    for (size_t n = 1; n <= SLAVES; n++)
        give_to_slave(&rotation, n, &keys[1]);

    /* Only the new one: whoever uses the old one is cut off, and refused. */
    for (size_t n = 1; n <= SLAVES; n++)
        process_mark(group_process(rotation.group, n));
    rekey(&rotation, 0, &keys[1], 1);
    expect_calm(&rotation, SETTLE_SECONDS);
    assert_int_equal(process_count_lines(master, "Slave rota[0-9] left"), 0);
    for (size_t n = 1; n <= SLAVES; n++)
        assert_int_equal(process_count_lines(group_process(rotation.group, n), "gone|Cannot"), 0);
    assert_null(sealed_connect(rotation.harness, rotation.port, &keys[0]));
    assert_true(process_wait_line(master, "there is no key \"autumn\" here", SECONDS));

    for (size_t n = 0; n <= SLAVES; n++) {
        const char *since = process_stderr(group_process(rotation.group, n)) + rotation.said[n];

        if (strstr(since, "disagree") || strstr(since, "Unsynchronised") ||
            strstr(since, "excluded"))
            fail_msg("node %zu said:\n%s", n, since);
    }
    assert_true(group_never_back(rotation.group, ALL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rotation, harness_setup, harness_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
