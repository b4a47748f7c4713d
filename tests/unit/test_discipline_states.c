/* SPDX-License-Identifier: BSD-2-Clause */
/* Synchronised, held over, disowned, suspended, observed. */
#include "core/discipline.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "discipline_fixture.h"

/* The map, but not what was learned of the crystal. */
static void suspend_forgets_the_map(void **state)
{
    (void)state;
    struct discipline *discipline = fresh();
    struct clock_status status = status_at(RAW_NS + NS_PER_S);
    struct discipline_outcome outcome;

    follow(discipline, 0, true);
    rest(discipline, RAW_NS);
    status.now.total_ns += 3600 * NS_PER_S;
    status.jumped = true;
    outcome = tick(discipline, status);
    assert_int_equal(outcome.events, DISCIPLINE_JUMPED | DISCIPLINE_STATE);
    assert_true(outcome.steer && outcome.order.freq_ppb == 0);
    assert_int_equal(outcome.order.slew_ns, 400);
    assert_int_equal(outcome.order.adjtime_ns, 3000);
    assert_int_equal(outcome.order.maxerror_ns, INT64_MAX);
    assert_int_equal(discipline_bound(discipline, &status.now), INT64_MAX);
    assert_int_equal(discipline_epoch(discipline), 1);
    status.jumped = false;
    status.now.raw_ns += NS_PER_S;
    assert_int_equal(tick(discipline, status).events, 0);
    assert_int_equal(discipline_epoch(discipline), 1);
    follow(discipline, 3600 * NS_PER_S, true);
    assert_int_equal(tick(discipline, status).outstanding_ns, 0);
    assert_int_equal(discipline_state(discipline), SYNC_SYNCHRONISED);
    discipline_free(discipline);
}

static void holdover_ages_and_ends(void **state)
{
    (void)state;
    struct discipline *discipline = fresh();
    struct discipline_outcome outcome;

    follow(discipline, 0, true);
    rest(discipline, RAW_NS);
    discipline_hold(discipline);
    assert_int_equal(discipline_state(discipline), SYNC_HOLDOVER);
    outcome = rest(discipline, RAW_NS + NS_PER_S);
    assert_int_equal(outcome.events, DISCIPLINE_STATE);
    assert_true(outcome.order.synchronised && outcome.steer);
    discipline_hold(discipline);
    outcome = rest(discipline, RAW_NS + NS_PER_S + HOLDOVER_NS);
    assert_int_equal(outcome.events, 0);
    assert_true(outcome.order.synchronised);
    outcome = rest(discipline, RAW_NS + NS_PER_S + HOLDOVER_NS + 1);
    assert_int_equal(outcome.events, DISCIPLINE_STATE);
    assert_false(outcome.order.synchronised);
    discipline_hold(discipline);
    assert_int_equal(discipline_state(discipline), SYNC_UNSYNCHRONISED);
    discipline_free(discipline);
}

static void a_map_ends_holdover_and_its_age(void **state)
{
    (void)state;
    struct discipline *discipline = fresh();

    follow(discipline, 0, true);
    for (int64_t i = 0; i < 10; i++) {
        int64_t raw_ns = RAW_NS + i * HOLDOVER_NS;

        discipline_hold(discipline);
        rest(discipline, raw_ns);
        assert_int_equal(discipline_state(discipline), SYNC_HOLDOVER);
        rest(discipline, raw_ns + HOLDOVER_NS);
        assert_int_equal(discipline_state(discipline), SYNC_HOLDOVER);
        follow(discipline, 0, true);
        assert_int_equal(discipline_state(discipline), SYNC_SYNCHRONISED);
    }
    discipline_free(discipline);
}

static void the_disowned_finish_and_claim_nothing(void **state)
{
    (void)state;
    struct discipline *discipline = fresh();
    struct discipline_outcome outcome;

    discipline_hold(discipline);
    assert_int_equal(discipline_state(discipline), SYNC_UNSYNCHRONISED);
    follow(discipline, 5000, true);
    rest(discipline, RAW_NS);
    discipline_disown(discipline);
    outcome = rest(discipline, RAW_NS);
    assert_int_equal(outcome.events, DISCIPLINE_STATE);
    assert_true(outcome.steer);
    assert_true(slews_towards(&outcome, 500));
    assert_false(outcome.order.synchronised);
    assert_int_equal(outcome.order.maxerror_ns, INT64_MAX);
    discipline_hold(discipline);
    assert_int_equal(discipline_state(discipline), SYNC_UNSYNCHRONISED);
    discipline_free(discipline);
}

/* Neither time nor holdover brings it back, only a map that can be followed. */
static void the_disowned_have_no_bound_until_the_next_map(void **state)
{
    (void)state;
    const struct reading now = {RAW_NS + NS_PER_S, TOTAL_NS};
    struct target impossible = target_ahead(0, true);
    struct discipline *discipline = fresh();

    impossible.offset_sd_ns = -1;
    follow(discipline, 0, true);
    rest(discipline, RAW_NS);
    assert_true(discipline_bound(discipline, &now) < MS);
    discipline_disown(discipline);
    assert_int_equal(discipline_bound(discipline, &now), INT64_MAX);
    discipline_hold(discipline);
    assert_int_equal(rest(discipline, now.raw_ns).order.maxerror_ns, INT64_MAX);
    assert_int_equal(discipline_follow(discipline, &impossible), -ERANGE);
    assert_int_equal(discipline_bound(discipline, &now), INT64_MAX);
    follow(discipline, 0, false);
    assert_true(discipline_bound(discipline, &now) < MS);
    assert_true(rest(discipline, now.raw_ns).order.maxerror_ns < MS);
    discipline_free(discipline);
}

static void a_clock_not_in_is_steered_but_not_synchronised(void **state)
{
    (void)state;
    struct discipline *discipline = fresh();
    struct discipline_outcome outcome;

    follow(discipline, 5000, false);
    outcome = rest(discipline, RAW_NS);
    assert_true(outcome.steer);
    assert_false(outcome.order.synchronised);
    assert_true(slews_towards(&outcome, 100000));
    assert_int_equal(outcome.order.maxerror_ns, 5000 + 50000 + SD_PART_NS);
    follow(discipline, 5000, true);
    assert_int_equal(rest(discipline, RAW_NS).events, DISCIPLINE_STATE);
    follow(discipline, 5000, false);
    assert_int_equal(discipline_state(discipline), SYNC_UNSYNCHRONISED);
    discipline_free(discipline);
}

static void observed_clocks_are_left_alone(void **state)
{
    (void)state;
    struct discipline_limits stepping = limits;
    struct clock_status status = status_at(RAW_NS);
    struct discipline_outcome outcome;
    struct discipline *discipline;

    stepping.step_threshold_ns = MS;
    status.observed = true;
    discipline = discipline_new(&stepping);
    for (int64_t ahead_ns = 1; ahead_ns <= 10 * PANIC_NS; ahead_ns *= 10) {
        follow(discipline, ahead_ns, ahead_ns > PANIC_NS);
        status.now.raw_ns = RAW_NS;
        outcome = tick(discipline, status);
        assert_false(outcome.steer);
        assert_int_equal(outcome.events & ~(unsigned)DISCIPLINE_STATE, 0);
        assert_true(sets_nothing_else(&outcome));
        assert_int_equal(outcome.outstanding_ns, ahead_ns);
        assert_int_equal(outcome.order.maxerror_ns, ahead_ns + 50000 + SD_PART_NS);
        status.now.total_ns += NS_PER_S;
        assert_false(tick(discipline, status).events & DISCIPLINE_FOREIGN);
        status.now.total_ns -= NS_PER_S;
    }
    discipline_free(discipline);
}

static bool forbids(struct discipline *discipline, int64_t ahead_ns, bool hands_off)
{
    const struct reading now = {.raw_ns = RAW_NS, .total_ns = TOTAL_NS};
    struct target target = target_ahead(ahead_ns, true);

    target.hands_off = hands_off;
    return discipline_forbids(discipline, &target, &now);
}

static void what_is_forbidden_is_told_at_the_next_tick_once(void **state)
{
    (void)state;
    struct discipline *discipline = fresh();
    struct discipline_outcome outcome;

    assert_false(forbids(discipline, 2 * PANIC_NS, false)); /* before the first synchronisation */
    follow(discipline, 5000, true);
    (void)tick(discipline, status_at(RAW_NS));
    assert_false(forbids(discipline, PANIC_NS, false));
    assert_false(forbids(discipline, 2 * PANIC_NS, true));
    (void)rest(discipline, RAW_NS);
    for (int sign = -1; sign <= 1; sign += 2) {
        assert_true(forbids(discipline, sign * (PANIC_NS + 1), false));
        outcome = tick(discipline, status_at(RAW_NS));
        assert_int_equal(outcome.events & DISCIPLINE_PANIC, DISCIPLINE_PANIC);
        assert_int_equal(outcome.outstanding_ns, sign * (PANIC_NS + 1));
        assert_true(outcome.order.slew_ns == 0 && outcome.order.adjtime_ns == 0);
        assert_false(outcome.order.synchronised);
        outcome = tick(discipline, status_at(RAW_NS));
        assert_false(outcome.events & DISCIPLINE_PANIC);
        assert_int_equal(outcome.outstanding_ns, 5000);
    }
    discipline_free(discipline);
}

/* The clock was suspended, or is only observed, or may be corrected by more meanwhile. */
static void what_is_forbidden_may_be_explained(void **state)
{
    (void)state;
    struct discipline_limits wider = limits;
    struct clock_status jumped = status_at(RAW_NS), observed = status_at(RAW_NS);
    struct discipline *discipline = fresh();

    jumped.jumped = observed.observed = true;
    wider.panic_threshold_ns = 3 * PANIC_NS;
    follow(discipline, 5000, true);
    assert_true(forbids(discipline, 2 * PANIC_NS, false));
    assert_false(tick(discipline, observed).events & DISCIPLINE_PANIC);
    assert_false(forbids(discipline, 2 * PANIC_NS, false)); /* nothing is carried out anyway */
    (void)tick(discipline, status_at(RAW_NS));
    assert_true(forbids(discipline, 2 * PANIC_NS, false));
    discipline_limit(discipline, &wider);
    assert_false(tick(discipline, status_at(RAW_NS)).events & DISCIPLINE_PANIC);
    discipline_limit(discipline, &limits);
    assert_true(forbids(discipline, 2 * PANIC_NS, false));
    assert_false(tick(discipline, jumped).events & DISCIPLINE_PANIC);
    discipline_free(discipline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suspend_forgets_the_map),
        cmocka_unit_test(holdover_ages_and_ends),
        cmocka_unit_test(a_map_ends_holdover_and_its_age),
        cmocka_unit_test(the_disowned_finish_and_claim_nothing),
        cmocka_unit_test(the_disowned_have_no_bound_until_the_next_map),
        cmocka_unit_test(a_clock_not_in_is_steered_but_not_synchronised),
        cmocka_unit_test(observed_clocks_are_left_alone),
        cmocka_unit_test(what_is_forbidden_is_told_at_the_next_tick_once),
        cmocka_unit_test(what_is_forbidden_may_be_explained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
