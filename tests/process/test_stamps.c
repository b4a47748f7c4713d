/* SPDX-License-Identifier: BSD-2-Clause */
/* Which stamps a connection goes by is said once, and a group comes together by either. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "setup.h"

#define SECONDS 30
#define ROUNDS 20
#define USED "127\\.0\\.0\\.1 port [0-9]+: kernel timestamps\\.$"

struct pair {
    struct process *master, *slave;
};

static struct pair start(struct harness *harness, const char *stamps)
{
    uint16_t port = harness_port();
    const char *lead = setup_config(harness, "lead", port);
    const char *follow = setup_config(harness, "follow", port);
    struct pair pair;

    setup_override(harness, lead, stamps);
    setup_override(harness, follow, stamps);
    pair.master = process_start(harness, "-v", "--master", "-c", lead, NULL);
    pair.slave = process_start(harness, "-v", "--slave", "-c", follow, NULL);
    return pair;
}

static void assert_synchronises(struct harness *harness, const struct pair *pair)
{
    assert_true(process_wait_line(pair->slave, "Synchronised: ", SECONDS));
    assert_true(setup_wait_rounds(harness, pair->master, 0, ROUNDS, SECONDS));
    assert_int_equal(process_count_lines(pair->master, "refused on this connection"), 0);
    assert_int_equal(process_count_lines(pair->slave, "refused on this connection"), 0);
}

static void test_kernel_stamps_are_used_and_said_once(void **state)
{
    const struct pair pair = start(*state, "timestamps = \"kernel\";\n");

    assert_true(process_wait_line(pair.master, USED, SECONDS));
    assert_true(process_wait_line(pair.slave, USED, SECONDS));
    assert_synchronises(*state, &pair);
    assert_int_equal(process_count_lines(pair.master, "timestamps"), 1);
    assert_int_equal(process_count_lines(pair.slave, "timestamps"), 1);
}

static void test_a_group_does_without_kernel_stamps(void **state)
{
    const struct pair pair = start(*state, "timestamps = \"user\";\n");

    assert_synchronises(*state, &pair);
    assert_int_equal(process_count_lines(pair.master, "timestamps"), 0);
    assert_int_equal(process_count_lines(pair.slave, "timestamps"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kernel_stamps_are_used_and_said_once, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_a_group_does_without_kernel_stamps, harness_setup,
                                        harness_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
