/* SPDX-License-Identifier: BSD-2-Clause */
/* Attacks on a master with a key, one after the other: its slaves notice nothing, its memory stays
 * within limits, and it counts what it turned away.  How long rounds take then is measured by
 * tests/bench/flood: here it only matters that none is left out. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "setup.h"
#include "siege.h"

#define SECONDS 4
#define ROUND_TOLERANCE 3
#define INTERVAL 0.5

/* Most that the master may grow by in all: 64 handshakes of 48 KiB, a few peers, and 2 MiB of the
 * heap's own.  The address sanitizer keeps hundreds of MiB of what was freed. */
#ifdef __SANITIZE_ADDRESS__
#define RSS_LIMIT_KIB (4L * 1024 * 1024)
#else
#define RSS_LIMIT_KIB (64L * 48 + 2048)
#endif

/* What the attack comes to, and what the master counts of it: names of its counters. */
static const struct scene {
    enum attack_kind kind;
    uint64_t connects_least, sent_least, closed_least;
    const char *counters[2];
} scenes[] = {
    {ATTACK_CONNECTS, 200, 0, 10, {"refused_handshakes", "handshakes_failed"}},
    {ATTACK_UNKNOWN, 100, 100, 0, {"unknown_keys", "handshakes_failed"}},
    {ATTACK_REPLAYS, 100, 100, 0, {"handshakes_failed", NULL}},
    {ATTACK_TRICKLE, 100, 100, 10, {"handshakes_late", "refused_handshakes"}},
    {ATTACK_DEAF, 0, 2, 0, {NULL, NULL}},
    {ATTACK_FRAMES, 2, 500, 2, {"floods", "handshakes_done"}},
    {ATTACK_GARBAGE, 2, 2, 2, {"garbled", "handshakes_done"}},
    {ATTACK_RECORDS, 2, 2, 2, {"garbled", NULL}},
    {ATTACK_KEY_UPDATES, 2, 2, 2, {"garbled", NULL}},
};

static struct siege siege;
static long rss_kib;

static int end(void **state)
{
    (void)state;
    return harness_free(siege.harness) ? 0 : -1;
}

static void expect_rounds(const struct siege_result *result)
{
    double due = result->seconds / INTERVAL;

    if (result->missing > 0 || result->rounds + ROUND_TOLERANCE < due)
        fail_msg("%u rounds of %.0f that were due, %u left out", result->rounds, due,
                 result->missing);
}

static void test_attack(void **state)
{
    const struct scene *scene = *state;
    struct siege_result result;
    uint64_t before[2] = {0};

    for (size_t i = 0; i < 2 && scene->counters[i]; i++)
        before[i] = siege_counter(&siege, scene->counters[i]);
    siege_run(&siege, scene->kind, SECONDS, &result);
    assert_true(result.connects >= scene->connects_least);
    assert_true(result.sent >= scene->sent_least);
    assert_true(result.closed >= scene->closed_least);
    assert_true(result.kept);
    expect_rounds(&result);
    assert_in_range(result.rss_most_kib, 1, rss_kib + RSS_LIMIT_KIB);
    for (size_t i = 0; i < 2 && scene->counters[i]; i++) {
        uint64_t after = siege_counter(&siege, scene->counters[i]);

        assert_int_not_equal(after, UINT64_MAX);
        assert_true(after > before[i]);
    }
}

#define SCENES (sizeof scenes / sizeof scenes[0])

int main(void)
{
    struct CMUnitTest tests[SCENES];

    for (size_t i = 0; i < SCENES; i++)
        tests[i] = (struct CMUnitTest){.name = attack_name(scenes[i].kind),
                                       .test_func = test_attack,
                                       .initial_state = (void *)&scenes[i]};
    /* Not a fixture of the group: its state would take the place of the tests' own. */
    if (!siege_begin(&siege, harness_new()))
        return EXIT_FAILURE;
    rss_kib = setup_rss(siege.master);
    return cmocka_run_group_tests(tests, NULL, end);
}
