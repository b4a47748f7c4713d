/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may connect, and how often, at times the test makes up. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "daemon/guard.h"
#include "dice.h"
#include "socket_address.h"

#define SECOND UINT64_C(1000000)

static void add(struct prefix *list, size_t *count, const char *text)
{
    assert_int_equal(prefix_parse(text, &list[(*count)++]), 0);
}

static struct guard *new_guard(const struct guard_rules *rules)
{
    struct guard *guard = guard_new(rules);

    assert_non_null(guard);
    return guard;
}

static enum guard_verdict judge(struct guard *guard, const char *text, uint64_t now_us)
{
    const struct sockaddr_storage address = socket_address_of(text);

    return guard_judge(guard, (const struct sockaddr *)&address, now_us);
}

static bool permits(const struct guard *guard, const char *text)
{
    const struct sockaddr_storage address = socket_address_of(text);

    return guard_permits(guard, (const struct sockaddr *)&address);
}

/* How many of so many attempts at one moment are admitted. */
static unsigned burst(struct guard *guard, const char *text, unsigned attempts, uint64_t now_us)
{
    unsigned admitted = 0;

    while (attempts-- > 0)
        admitted += judge(guard, text, now_us) == GUARD_ADMITTED ? 1 : 0;
    return admitted;
}

static void test_everybody_by_default(void **state)
{
    struct guard_rules rules = {.per_second = 0};
    struct guard *guard = new_guard(&rules);
    const struct sockaddr_un path = {.sun_family = AF_UNIX};

    (void)state;
    assert_true(permits(guard, "192.0.2.1"));
    assert_int_equal(burst(guard, "192.0.2.1", 1000, 5), 1000);
    rules.per_second = 1;
    guard_rule(guard, &rules);
    assert_int_equal(guard_judge(guard, (const struct sockaddr *)&path, 5), GUARD_ADMITTED);
    guard_free(guard);
}

static void test_allow_and_deny(void **state)
{
    struct guard_rules rules = {.per_second = 10};
    struct guard *guard;

    (void)state;
    add(rules.allow, &rules.allowed, "192.0.2.0/24");
    add(rules.allow, &rules.allowed, "2001:db8::/32");
    add(rules.deny, &rules.denied, "192.0.2.128/25");
    guard = new_guard(&rules);
    assert_int_equal(judge(guard, "192.0.2.1", 0), GUARD_ADMITTED);
    assert_int_equal(judge(guard, "::ffff:192.0.2.1", 0), GUARD_ADMITTED);
    assert_int_equal(judge(guard, "192.0.2.129", 0), GUARD_DENIED);
    assert_int_equal(judge(guard, "::ffff:192.0.2.129", 0), GUARD_DENIED);
    assert_int_equal(judge(guard, "198.51.100.1", 0), GUARD_DENIED);
    assert_int_equal(judge(guard, "2001:db8::1", 0), GUARD_ADMITTED);
    assert_int_equal(judge(guard, "2001:db9::1", 0), GUARD_DENIED);
    assert_true(permits(guard, "192.0.2.1"));
    assert_false(permits(guard, "192.0.2.129"));
    assert_false(permits(guard, "198.51.100.1"));
    guard_free(guard);
}

static void test_deny_alone(void **state)
{
    struct guard_rules rules = {.per_second = 10};
    struct guard *guard;

    (void)state;
    add(rules.deny, &rules.denied, "192.0.2.7");
    guard = new_guard(&rules);
    assert_int_equal(judge(guard, "192.0.2.7", 0), GUARD_DENIED);
    assert_int_equal(judge(guard, "192.0.2.8", 0), GUARD_ADMITTED);
    assert_int_equal(judge(guard, "::1", 0), GUARD_ADMITTED);
    guard_free(guard);
}

static void test_other_rules(void **state)
{
    struct guard_rules rules = {.per_second = 1};
    struct guard *guard = new_guard(&rules);

    (void)state;
    assert_int_equal(burst(guard, "192.0.2.1", 5, 0), 2);
    add(rules.deny, &rules.denied, "192.0.2.2");
    guard_rule(guard, &rules);
    assert_false(permits(guard, "192.0.2.2"));
    assert_int_equal(judge(guard, "192.0.2.1", 0), GUARD_TOO_OFTEN);
    rules.per_second = 100;
    guard_rule(guard, &rules);
    assert_int_equal(burst(guard, "192.0.2.1", 200, SECOND / 10), 10);
    assert_int_equal(burst(guard, "192.0.2.1", 500, 5 * SECOND), 200);
    assert_int_equal(burst(guard, "192.0.2.1", 1, 10 * SECOND), 1);
    rules.per_second = 3;
    guard_rule(guard, &rules);
    assert_int_equal(burst(guard, "192.0.2.1", 500, 10 * SECOND), 6);
    guard_free(guard);
}

static void test_burst_and_rate(void **state)
{
    const struct guard_rules rules = {.per_second = 5};
    struct guard *guard = new_guard(&rules);
    uint64_t now_us = 77;

    (void)state;
    assert_int_equal(burst(guard, "192.0.2.1", 100, now_us), 10);
    assert_int_equal(judge(guard, "192.0.2.1", now_us + SECOND / 5 - 1), GUARD_TOO_OFTEN);
    assert_int_equal(judge(guard, "192.0.2.1", now_us + SECOND / 5), GUARD_ADMITTED);
    now_us += SECOND / 5;
    /* Whoever goes on knocking loses nothing by it, and gains nothing. */
    for (unsigned second = 0; second < 10; second++) {
        unsigned admitted = 0;

        for (unsigned i = 0; i < 100; i++)
            admitted += burst(guard, "192.0.2.1", 1, now_us += SECOND / 100);
        assert_int_equal(admitted, 5);
    }
    assert_int_equal(burst(guard, "192.0.2.1", 100, now_us + 2 * SECOND), 10);
    assert_int_equal(burst(guard, "192.0.2.1", 100, now_us + 1000000 * SECOND), 10);
    guard_free(guard);
}

static void test_time_that_stands_or_ends(void **state)
{
    const struct guard_rules rules = {.per_second = UINT32_MAX};
    struct guard_rules slow = {.per_second = 1};
    struct guard *guard = new_guard(&slow);

    (void)state;
    assert_int_equal(burst(guard, "192.0.2.1", 10, 5 * SECOND), 2);
    assert_int_equal(judge(guard, "192.0.2.1", 0), GUARD_TOO_OFTEN);
    assert_int_equal(judge(guard, "192.0.2.1", 5 * SECOND), GUARD_TOO_OFTEN);
    assert_int_equal(burst(guard, "192.0.2.1", 10, UINT64_MAX), 2);
    slow.per_second = 4;
    guard_rule(guard, &slow);
    assert_int_equal(burst(guard, "192.0.2.3", 10, 0), 8);
    assert_int_equal(burst(guard, "192.0.2.3", 10, UINT64_C(1) << 62), 8);
    guard_rule(guard, &rules);
    assert_int_equal(burst(guard, "192.0.2.2", 100000, UINT64_MAX - 1), 100000);
    assert_int_equal(judge(guard, "192.0.2.2", UINT64_MAX), GUARD_ADMITTED);
    guard_free(guard);
}

static void test_who_counts_as_one(void **state)
{
    const struct guard_rules rules = {.per_second = 1};
    struct guard *guard = new_guard(&rules);

    (void)state;
    assert_int_equal(burst(guard, "2001:db8:1:2::1", 5, 0), 2);
    assert_int_equal(judge(guard, "2001:db8:1:2:ffff::9", 0), GUARD_TOO_OFTEN);
    assert_int_equal(judge(guard, "2001:db8:1:3::1", 0), GUARD_ADMITTED);
    assert_int_equal(burst(guard, "192.0.2.1", 5, 0), 2);
    assert_int_equal(judge(guard, "::ffff:192.0.2.1", 0), GUARD_TOO_OFTEN);
    assert_int_equal(judge(guard, "192.0.2.2", 0), GUARD_ADMITTED);
    /* The same first bytes in the other family. */
    assert_int_equal(judge(guard, "c000:201::1", 0), GUARD_ADMITTED);
    guard_free(guard);
}

static void test_denied_take_no_place(void **state)
{
    struct guard_rules rules = {.per_second = 1};
    struct guard *guard;
    char text[32];

    (void)state;
    add(rules.deny, &rules.denied, "10.0.0.0/8");
    guard = new_guard(&rules);
    assert_int_equal(burst(guard, "192.0.2.1", 5, 0), 2);
    for (unsigned i = 0; i < 2 * GUARD_PLACES; i++) {
        (void)snprintf(text, sizeof text, "10.1.%u.%u", i / 256, i % 256);
        assert_int_equal(judge(guard, text, 0), GUARD_DENIED);
    }
    assert_int_equal(judge(guard, "192.0.2.1", 0), GUARD_TOO_OFTEN);
    guard_free(guard);
}

static void crowd(struct guard *guard, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        char text[32];

        (void)snprintf(text, sizeof text, "10.%u.%u.%u", i / 65536, i / 256 % 256, i % 256);
        assert_int_equal(judge(guard, text, 0), GUARD_ADMITTED);
    }
}

static void test_least_recent_gives_way(void **state)
{
    const struct guard_rules rules = {.per_second = 1};
    struct guard *guard = new_guard(&rules);

    (void)state;
    assert_int_equal(burst(guard, "192.0.2.1", 5, 0), 2);
    assert_int_equal(burst(guard, "192.0.2.2", 5, 0), 2);
    crowd(guard, 0, GUARD_PLACES - 2);
    assert_int_equal(judge(guard, "192.0.2.1", 0), GUARD_TOO_OFTEN);
    crowd(guard, GUARD_PLACES, 1);
    /* 192.0.2.2 gave way; 192.0.2.1 had been seen since. */
    assert_int_equal(judge(guard, "192.0.2.1", 0), GUARD_TOO_OFTEN);
    assert_int_equal(judge(guard, "192.0.2.2", 0), GUARD_ADMITTED);
    crowd(guard, 2 * GUARD_PLACES, GUARD_PLACES - 2);
    assert_int_equal(judge(guard, "192.0.2.1", 0), GUARD_TOO_OFTEN);
    crowd(guard, 4 * GUARD_PLACES, GUARD_PLACES);
    assert_int_equal(judge(guard, "192.0.2.1", 0), GUARD_ADMITTED);
    guard_free(guard);
}

/* Against a table that holds all addresses and looks at each: never more than it holds knock. */
#define ADDRESSES 200

static void test_like_a_plain_table(void **state)
{
    struct dice dice = dice_new();
    struct {
        double level;
        uint64_t since_us;
    } model[ADDRESSES];
    const struct guard_rules rules = {.per_second = 4};
    struct guard *guard = new_guard(&rules);
    uint64_t now_us = 1000;
    unsigned refused = 0;

    (void)state;
    for (size_t i = 0; i < ADDRESSES; i++) {
        model[i].level = 8;
        model[i].since_us = 0;
    }
    for (unsigned n = 0; n < 200000; n++) {
        const size_t i = dice_below(&dice, 2) ? dice_below(&dice, ADDRESSES) : dice_below(&dice, 5);
        /* Quarters of a connection are exact in a double. */
        const uint64_t quarters = (now_us - model[i].since_us) / 62500;
        const double level = model[i].level + (double)quarters / 4;
        const bool admitted = level >= 1;
        char text[64];

        (void)snprintf(text, sizeof text, i % 2 ? "192.0.2.%u" : "2001:db8:0:%x::1", (unsigned)i);
        assert_dice(&dice,
                    judge(guard, text, now_us) == (admitted ? GUARD_ADMITTED : GUARD_TOO_OFTEN));
        model[i].level = (level > 8 ? 8 : level) - (admitted ? 1 : 0);
        model[i].since_us = now_us;
        refused += admitted ? 0 : 1;
        if (dice_below(&dice, 20) == 0)
            now_us += 62500 * dice_below(&dice, 8);
    }
    assert_in_range(refused, 1000, 199000);
    guard_free(guard);
}

/* Random addresses, many more than places: of three attempts in a row at least one is refused,
 * however often others gave way. */
static void test_crowds(void **state)
{
    struct dice dice = dice_new();
    const struct guard_rules rules = {.per_second = 1};
    struct guard *guard = new_guard(&rules);

    (void)state;
    for (unsigned n = 0; n < 300000; n++) {
        uint8_t bytes[16] = {10};
        struct sockaddr_storage address;
        const uint64_t number = dice_below(&dice, UINT64_C(3) * GUARD_PLACES);

        bytes[1] = (uint8_t)(number >> 8);
        bytes[2] = (uint8_t)number;
        address = socket_address_make(bytes, dice_below(&dice, 2) == 0);
        (void)guard_judge(guard, (const struct sockaddr *)&address, n);
        assert_dice(
            &dice, guard_judge(guard, (const struct sockaddr *)&address, n) == GUARD_TOO_OFTEN ||
                       guard_judge(guard, (const struct sockaddr *)&address, n) == GUARD_TOO_OFTEN);
    }
    guard_free(guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everybody_by_default),
        cmocka_unit_test(test_allow_and_deny),
        cmocka_unit_test(test_deny_alone),
        cmocka_unit_test(test_other_rules),
        cmocka_unit_test(test_burst_and_rate),
        cmocka_unit_test(test_time_that_stands_or_ends),
        cmocka_unit_test(test_who_counts_as_one),
        cmocka_unit_test(test_denied_take_no_place),
        cmocka_unit_test(test_least_recent_gives_way),
        cmocka_unit_test(test_like_a_plain_table),
        cmocka_unit_test(test_crowds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
