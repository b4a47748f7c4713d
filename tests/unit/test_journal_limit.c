/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/journal_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000000)

static int limit_setup(void **state)
{
    *state = calloc(1, sizeof(struct journal_limit));
    return *state ? 0 : -1;
}

static int limit_teardown(void **state)
{
    free(*state);
    return 0;
}

/* How many of `count` lines in a row, a millisecond apart, are said. */
static unsigned said_of(struct journal_limit *limit, unsigned count, const char *id,
                        const char *peer, const char *text, int64_t from_ns)
{
    uint32_t left_out;
    unsigned said = 0;

    for (unsigned i = 0; i < count; i++)
        said += journal_limit_pass(limit, id, peer, text, from_ns + i * SECOND / 1000, &left_out);
    return said;
}

static void test_five_are_said(void **state)
{
    assert_int_equal(said_of(*state, 100, "id", "peer", "text", 0), JOURNAL_LIMIT_LINES);
}

static void test_count_is_told_with_the_next(void **state)
{
    uint32_t left_out = 99;

    said_of(*state, 12, "id", "peer", "text", SECOND);
    assert_true(journal_limit_pass(*state, "id", "peer", "text", 62 * SECOND, &left_out));
    assert_int_equal(left_out, 7);
    assert_true(journal_limit_pass(*state, "id", "peer", "text", 63 * SECOND, &left_out));
    assert_int_equal(left_out, 0);
}

static void test_window_is_a_minute(void **state)
{
    uint32_t left_out;

    said_of(*state, JOURNAL_LIMIT_LINES, "id", NULL, "text", 0);
    assert_false(journal_limit_pass(*state, "id", NULL, "text", 60 * SECOND - 1, &left_out));
    assert_true(journal_limit_pass(*state, "id", NULL, "text", 60 * SECOND, &left_out));
    assert_int_equal(left_out, 1);
}

static void test_rare_lines_are_all_said(void **state)
{
    uint32_t left_out;

    for (int64_t i = 0; i < 100; i++) {
        assert_true(journal_limit_pass(*state, "id", "peer", "text", i * 13 * SECOND, &left_out));
        assert_int_equal(left_out, 0);
    }
}

static void test_what_is_alike(void **state)
{
    said_of(*state, 9, "id", "peer", "text", 0);
    assert_int_equal(said_of(*state, 1, "id", "peer", "another text", SECOND), 0);
    assert_int_equal(said_of(*state, 1, "id", "peer2", "text", SECOND), 1);
    assert_int_equal(said_of(*state, 1, "id", NULL, "text", SECOND), 1);
    assert_int_equal(said_of(*state, 1, "id2", "peer", "text", SECOND), 1);
    said_of(*state, 9, NULL, NULL, "text", 0);
    assert_int_equal(said_of(*state, 1, NULL, NULL, "text", SECOND), 0);
    assert_int_equal(said_of(*state, 1, NULL, NULL, "another text", SECOND), 1);
    assert_int_equal(said_of(*state, 1, "ab", "c", "", SECOND), 1);
    said_of(*state, 9, "ab", "c", "", SECOND);
    assert_int_equal(said_of(*state, 1, "a", "bc", "", SECOND), 1);
}

static unsigned said_of_strangers(struct journal_limit *limit, unsigned strangers, int64_t now_ns)
{
    unsigned said = 0;
    char peer[32];

    for (unsigned i = 0; i < strangers; i++) {
        snprintf(peer, sizeof(peer), "stranger%u", i);
        said += said_of(limit, 1, "refused", peer, "", now_ns);
    }
    return said;
}

static void test_a_large_group_is_not_merged(void **state)
{
    assert_int_equal(said_of_strangers(*state, 1000, 0), 1000);
}

static void test_endless_names_do_not_flood(void **state)
{
    unsigned slots = JOURNAL_LIMIT_SETS * JOURNAL_LIMIT_WAYS;

    assert_in_range(said_of_strangers(*state, 1000000, 0), slots, slots + JOURNAL_LIMIT_LINES);
    /* and do not silence another kind */
    assert_int_equal(said_of(*state, 9, "panic", NULL, "", SECOND), JOURNAL_LIMIT_LINES);
    /* and are forgotten */
    assert_int_equal(said_of_strangers(*state, 1000, 61 * SECOND), 1000);
}

static void test_counts_are_forgotten_last(void **state)
{
    uint32_t left_out = 0;

    said_of(*state, 12, "id", "peer", "", 0);
    assert_int_equal(said_of_strangers(*state, 2000, 61 * SECOND), 2000);
    assert_true(journal_limit_pass(*state, "id", "peer", "", 62 * SECOND, &left_out));
    assert_int_equal(left_out, 7);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, limit_setup, limit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_five_are_said),
        TEST(test_count_is_told_with_the_next),
        TEST(test_window_is_a_minute),
        TEST(test_rare_lines_are_all_said),
        TEST(test_what_is_alike),
        TEST(test_a_large_group_is_not_merged),
        TEST(test_endless_names_do_not_flood),
        TEST(test_counts_are_forgotten_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
