/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "daemon/chronicle.h"

#define START_RAW_NS (7 * NS_PER_S)
#define TOTAL_NS (INT64_C(1600000000) * NS_PER_S)

static struct chronicle *chronicle;
static struct reading now;

static int setup(void **state)
{
    (void)state;
    now = (struct reading){.raw_ns = START_RAW_NS, .total_ns = TOTAL_NS};
    chronicle = chronicle_new(&now);
    return chronicle ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    chronicle_free(chronicle);
    return 0;
}

static void take(const struct note *note)
{
    now.raw_ns += NS_PER_S;
    chronicle_take(chronicle, note, &now);
}

#define TAKE(...) take(&(const struct note){__VA_ARGS__})

static void test_nothing_happened(void **state)
{
    static const struct chronicle_tally none;
    struct chronicle_round rounds[CHRONICLE_ROUNDS];
    int64_t correction_ns = 1, raw_ns = 2;

    (void)state;
    assert_int_equal(chronicle_started(chronicle), START_RAW_NS);
    assert_int_equal(chronicle_since(chronicle, SYNC_UNSYNCHRONISED, &now), START_RAW_NS);
    assert_int_equal(chronicle_rounds(chronicle, rounds, CHRONICLE_ROUNDS), 0);
    assert_false(chronicle_correction(chronicle, &correction_ns, &raw_ns));
    assert_int_equal(correction_ns, 1);
    assert_int_equal(raw_ns, 2);
    assert_memory_equal(chronicle_tally(chronicle), &none, sizeof none);
}

static void test_a_round(void **state)
{
    struct chronicle_round round;

    (void)state;
    TAKE(.kind = NOTE_ROUND, .round = 9, .verdict = VERDICT_COUNTED, .correction_ns = -40,
         .bound_ns = 500, .counted = 4, .present = 6, .count = 2, .offset_ns = 80,
         .duration_ns = 1200);
    assert_int_equal(chronicle_rounds(chronicle, &round, 1), 1);
    assert_int_equal(round.round, 9);
    assert_int_equal(round.verdict, VERDICT_COUNTED);
    assert_int_equal(round.real_ns, START_RAW_NS + NS_PER_S + TOTAL_NS);
    assert_int_equal(round.correction_ns, -40);
    assert_int_equal(round.bound_ns, 500);
    assert_int_equal(round.counted, 4);
    assert_int_equal(round.present, 6);
    assert_int_equal(round.excluded, 2);
    assert_int_equal(round.spread_ns, 80);
    assert_int_equal(round.duration_ns, 1200);
}

/* The newest ones, oldest first, and never more than there were. */
static void test_the_ring(void **state)
{
    struct chronicle_round rounds[CHRONICLE_ROUNDS + 1];

    (void)state;
    for (uint32_t n = 1; n <= 2 * CHRONICLE_ROUNDS + 3; n++) {
        size_t kept = n < CHRONICLE_ROUNDS ? n : CHRONICLE_ROUNDS;

        TAKE(.kind = n % 2 ? NOTE_ROUND : NOTE_CORRECTION, .round = n);
        assert_int_equal(chronicle_rounds(chronicle, rounds, CHRONICLE_ROUNDS + 1), kept);
        assert_int_equal(rounds[0].round, n + 1 - kept);
        assert_int_equal(rounds[kept - 1].round, n);
        assert_int_equal(chronicle_rounds(chronicle, rounds, 2), n < 2 ? 1 : 2);
        assert_int_equal(rounds[0].round, n < 2 ? 1 : n - 1);
        assert_int_equal(chronicle_rounds(chronicle, rounds, 0), 0);
    }
    assert_int_equal(chronicle_tally(chronicle)->rounds, 2 * CHRONICLE_ROUNDS + 3);
}

/* A clock that is not moved has no correction, however far it is. */
static void test_the_last_correction(void **state)
{
    static const uint8_t corrected[] = {VERDICT_COUNTED, VERDICT_NEWCOMER, VERDICT_NOISY};
    int64_t correction_ns, raw_ns;

    (void)state;
    for (unsigned verdict = 0; verdict < VERDICT_COUNT_; verdict++)
        if (!memchr(corrected, (int)verdict, sizeof corrected))
            TAKE(.kind = NOTE_CORRECTION, .verdict = (uint8_t)verdict, .correction_ns = 1000);
    assert_false(chronicle_correction(chronicle, &correction_ns, &raw_ns));
    for (size_t i = 0; i < sizeof corrected; i++) {
        TAKE(.kind = NOTE_CORRECTION, .verdict = corrected[i], .correction_ns = -(int64_t)i);
        assert_true(chronicle_correction(chronicle, &correction_ns, &raw_ns));
        assert_int_equal(correction_ns, -(int64_t)i);
        assert_int_equal(raw_ns, now.raw_ns);
    }
    assert_int_equal(chronicle_tally(chronicle)->corrections, sizeof corrected);
    assert_int_equal(chronicle_tally(chronicle)->rounds, VERDICT_COUNT_);
    TAKE(.kind = NOTE_CORRECTION, .verdict = VERDICT_SUSPENDED, .correction_ns = 1000);
    assert_true(chronicle_correction(chronicle, &correction_ns, &raw_ns));
    assert_int_equal(raw_ns, now.raw_ns - NS_PER_S);
}

static void test_since_when(void **state)
{
    (void)state;
    TAKE(.kind = NOTE_STATE, .state = SYNC_SYNCHRONISED);
    assert_int_equal(chronicle_since(chronicle, SYNC_SYNCHRONISED, &now),
                     START_RAW_NS + NS_PER_S);
    TAKE(.kind = NOTE_VERDICT);
    assert_int_equal(chronicle_since(chronicle, SYNC_SYNCHRONISED, &now),
                     START_RAW_NS + NS_PER_S);
    TAKE(.kind = NOTE_STATE, .state = SYNC_HOLDOVER);
    TAKE(.kind = NOTE_STATE, .state = SYNC_UNSYNCHRONISED);
    assert_int_equal(chronicle_since(chronicle, SYNC_UNSYNCHRONISED, &now),
                     START_RAW_NS + 4 * NS_PER_S);
    now.raw_ns += NS_PER_S;
    assert_int_equal(chronicle_since(chronicle, SYNC_HOLDOVER, &now), now.raw_ns);
    assert_int_equal(chronicle_tally(chronicle)->holdovers, 1);
    assert_int_equal(chronicle_started(chronicle), START_RAW_NS);
}

/* Each kind once more than its number is. */
static void test_the_tally(void **state)
{
    struct chronicle_tally expected = {.steps = 1 + NOTE_STEPPED,
                                       .foreign_steps = 1 + NOTE_FOREIGN_STEP,
                                       .suspensions = 1 + NOTE_SUSPENDED,
                                       .panics = 1 + NOTE_PANIC,
                                       .quorums_lost = 1 + NOTE_QUORUM_LOST,
                                       .exclusions = 1 + NOTE_CLOCK_EXCLUDED,
                                       .jumps = UINT64_C(3) * (1 + NOTE_CLOCK_JUMPED),
                                       .slaves_joined = 1 + NOTE_SLAVE_JOINED,
                                       .slaves_left = 2 + NOTE_SLAVE_LEFT + NOTE_SLAVE_REPLACED,
                                       .masters_found = 1 + NOTE_MASTER_FOUND,
                                       .masters_lost = 1 + NOTE_MASTER_LOST};

    (void)state;
    for (unsigned kind = 0; kind < NOTE_COUNT_; kind++)
        for (unsigned i = 0; i <= kind && kind != NOTE_ROUND && kind != NOTE_CORRECTION; i++)
            TAKE(.kind = kind, .count = 3);
    assert_memory_equal(chronicle_tally(chronicle), &expected, sizeof expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_happened, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_round, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_ring, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_last_correction, setup, teardown),
        cmocka_unit_test_setup_teardown(test_since_when, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_tally, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
