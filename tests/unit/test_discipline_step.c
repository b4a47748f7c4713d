/* SPDX-License-Identifier: BSD-2-Clause */
/* The one step before the first synchronisation: at start, or because a person asks for it. */
#include "core/discipline.h"

#include <errno.h>

#include "discipline_fixture.h"

#define HOURS_NS (10800 * NS_PER_S)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct discipline *stepping(void)
{
    struct discipline_limits allowed = limits;
    struct discipline *discipline;

    allowed.step_threshold_ns = NS_PER_S;
    discipline = discipline_new(&allowed);
    assert_non_null(discipline);
    return discipline;
}

static void the_step_is_made_once_at_the_start(void **state)
{
    (void)state;
    struct discipline_outcome outcome;

    for (int64_t sign = -1; sign <= 1; sign += 2) {
        struct discipline *discipline = stepping();

        follow(discipline, sign * (NS_PER_S + 1), false);
        outcome = tick(discipline, status_at(RAW_NS));
        assert_int_equal(outcome.events, DISCIPLINE_STEP);
        assert_int_equal(outcome.step_ns, sign * (NS_PER_S + 1));
        assert_int_equal(outcome.order.slew_ns, 0);
        assert_int_equal(outcome.order.adjtime_ns, 0);
        assert_int_equal(outcome.outstanding_ns, 0);
        assert_true(outcome.steer && outcome.order.maxerror_ns < MS);
        follow(discipline, sign * (3600 * NS_PER_S), false);
        outcome = rest(discipline, RAW_NS + NS_PER_S);
        assert_false(outcome.events & DISCIPLINE_STEP);
        assert_int_equal(outcome.step_ns, 0);
        assert_int_equal(outcome.order.slew_ns, sign * (400 * MS));
        discipline_free(discipline);
    }
}

/* The clock shows whether it was made; and only then it is said. */
static void a_step_is_told_when_it_is_seen(void **state)
{
    (void)state;
    for (int64_t sign = -1; sign <= 1; sign += 2) {
        struct discipline *discipline = stepping();
        struct clock_status status = {.now = {RAW_NS + NS_PER_S, TOTAL_NS + sign * (2 * NS_PER_S)}};
        struct discipline_outcome outcome;

        follow(discipline, sign * (2 * NS_PER_S), false);
        (void)rest(discipline, RAW_NS);
        outcome = tick(discipline, status);
        assert_int_equal(outcome.events, DISCIPLINE_STEPPED);
        assert_int_equal(outcome.stepped_ns, sign * (2 * NS_PER_S));
        assert_false(outcome.by_hand);
        assert_int_equal(outcome.outstanding_ns, 0);
        status.now.raw_ns += NS_PER_S;
        assert_int_equal(tick(discipline, status).events, 0);
        discipline_free(discipline);
    }
}

/* Then it is not told, nobody is to blame, and what could not be stepped is slewed.  It is
 * tried again when the configuration is read again. */
static void a_refused_step_was_not_made(void **state)
{
    (void)state;
    struct discipline_outcome outcome;

    for (int64_t sign = -1; sign <= 1; sign += 2) {
        struct discipline *discipline = stepping();
        struct discipline_limits again = limits;
        int64_t step_ns = sign * (2 * NS_PER_S);

        again.step_threshold_ns = NS_PER_S;
        follow(discipline, step_ns, false);
        assert_int_equal(rest(discipline, RAW_NS).step_ns, step_ns);
        for (int i = 1; i <= 3; i++) {
            outcome = rest(discipline, RAW_NS + i * NS_PER_S);
            assert_int_equal(outcome.events, i == 1 ? 0 : DISCIPLINE_FOREIGN);
            assert_int_equal(outcome.step_ns, 0);
            assert_int_equal(outcome.outstanding_ns, step_ns);
            assert_int_equal(outcome.order.slew_ns, sign * (400 * MS));
        }
        discipline_limit(discipline, &again);
        assert_int_equal(rest(discipline, RAW_NS + 4 * NS_PER_S).step_ns, step_ns);
        discipline_free(discipline);
    }
}

/* The chunk under way that a step would have ended goes on. */
static void so_with_a_slew_under_way(void **state)
{
    static const bool made[] = {false, true};

    (void)state;
    for (int i = 0; i < 4; i++) {
        int64_t sign = i % 2 ? 1 : -1;
        struct discipline *discipline = fresh();
        struct clock_status status = {.now = {RAW_NS, TOTAL_NS},
                                      .slew_left_ns = sign * 400 * MS,
                                      .underway_ns = sign * 100 * MS};
        struct discipline_outcome outcome;

        follow(discipline, sign * HOURS_NS, false);
        (void)tick(discipline, status);
        assert_int_equal(discipline_allow_step(discipline, sign * HOURS_NS, &status.now), 0);
        outcome = tick(discipline, status);
        assert_int_equal(outcome.step_ns, sign * HOURS_NS);
        status.now.raw_ns += 250 * MS;
        if (made[i / 2]) {
            status.now.total_ns += sign * HOURS_NS;
            status.slew_left_ns = status.underway_ns = 0;
        } else {
            status.now.total_ns += sign * 25 * MS;
            status.slew_left_ns = status.underway_ns = sign * 75 * MS;
        }
        outcome = tick(discipline, status);
        assert_int_equal(outcome.events, made[i / 2] ? DISCIPLINE_STEPPED : 0);
        assert_int_equal(outcome.by_hand, made[i / 2]);
        discipline_free(discipline);
    }
}

static void half_a_step_is_somebody_elses_doing(void **state)
{
    (void)state;
    for (int64_t sign = -1; sign <= 1; sign += 2) {
        struct discipline *discipline = stepping();
        struct discipline_outcome outcome;

        follow(discipline, sign * (2 * NS_PER_S), false);
        (void)rest(discipline, RAW_NS);
        outcome =
            tick(discipline, (struct clock_status){.now = {RAW_NS, TOTAL_NS + sign * NS_PER_S}});
        assert_int_equal(outcome.events, DISCIPLINE_STEPPED | DISCIPLINE_FOREIGN);
        assert_int_equal(outcome.foreign_ns, -sign * NS_PER_S);
        discipline_free(discipline);
    }
}

static void no_step_below_or_without_threshold_or_after_the_start(void **state)
{
    (void)state;
    struct discipline *never = fresh();
    struct discipline *late = stepping(), *below = stepping();

    follow(never, 900 * NS_PER_S, false);
    assert_int_equal(rest(never, RAW_NS).events, 0);
    follow(below, -NS_PER_S, false);
    assert_int_equal(rest(below, RAW_NS).events, 0);
    follow(late, 0, true);
    assert_int_equal(rest(late, RAW_NS).events, DISCIPLINE_STATE);
    follow(late, 900 * NS_PER_S, false);
    assert_int_equal(rest(late, RAW_NS).events, DISCIPLINE_STATE);
    assert_int_equal(rest(late, RAW_NS).step_ns, 0);
    discipline_free(never);
    discipline_free(below);
    discipline_free(late);
}

/* As if the threshold had allowed it: whatever it is, and beyond panic_threshold too. */
static void a_person_may_ask_for_it(void **state)
{
    (void)state;
    for (int64_t sign = -1; sign <= 1; sign += 2) {
        struct discipline *discipline = fresh();
        struct clock_status status = {.now = {RAW_NS, TOTAL_NS}};
        struct discipline_outcome outcome;
        int64_t correction_ns = 0;

        follow(discipline, sign * HOURS_NS, false);
        assert_int_equal(discipline_may_step(discipline, &status.now, &correction_ns), 0);
        assert_int_equal(correction_ns, sign * HOURS_NS);
        assert_int_equal(discipline_allow_step(discipline, correction_ns, &status.now), 0);
        outcome = tick(discipline, status);
        assert_int_equal(outcome.events, DISCIPLINE_STEP);
        assert_int_equal(outcome.step_ns, sign * HOURS_NS);
        assert_int_equal(outcome.order.slew_ns, 0);
        status.now.total_ns += outcome.step_ns;
        outcome = tick(discipline, status);
        assert_int_equal(outcome.events, DISCIPLINE_STEPPED);
        assert_true(outcome.by_hand);

        follow(discipline, -sign * HOURS_NS, false);
        assert_int_equal(discipline_may_step(discipline, &status.now, &correction_ns), -EEXIST);
        assert_int_equal(discipline_allow_step(discipline, correction_ns, &status.now), -EEXIST);
        assert_int_equal(tick(discipline, status).step_ns, 0);
        discipline_free(discipline);
    }
}

static void what_was_refused_may_be_asked_for_again(void **state)
{
    (void)state;
    struct discipline *discipline = stepping();
    struct reading now = {RAW_NS, TOTAL_NS};

    follow(discipline, HOURS_NS, false);
    assert_int_equal(rest(discipline, RAW_NS).step_ns, HOURS_NS);
    assert_int_equal(discipline_allow_step(discipline, HOURS_NS, &now), -EEXIST);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rest(discipline, RAW_NS).step_ns, 0);
        assert_int_equal(discipline_allow_step(discipline, HOURS_NS, &now), 0);
        assert_int_equal(rest(discipline, RAW_NS).step_ns, HOURS_NS);
    }
    discipline_free(discipline);
}

static void asked_for_is_the_next_tick(void **state)
{
    (void)state;
    const struct discipline_limits *const never = &limits;
    struct reading now = {RAW_NS, TOTAL_NS};
    struct discipline *discipline = fresh();

    /* Meanwhile it is a different correction; or none of this clock any more; or it is in. */
    for (int i = 0; i < 3; i++) {
        follow(discipline, HOURS_NS, false);
        assert_int_equal(discipline_allow_step(discipline, HOURS_NS, &now), 0);
        if (i == 0)
            follow(discipline, 2 * HOURS_NS, false);
        else if (i == 1)
            discipline_disown(discipline);
        else
            follow(discipline, HOURS_NS / 36, true);
        assert_int_equal(rest(discipline, RAW_NS).step_ns, 0);
        if (i < 2)
            follow(discipline, HOURS_NS, false);
        discipline_limit(discipline, never);
        assert_int_equal(rest(discipline, RAW_NS).step_ns, 0);
    }
    discipline_free(discipline);
}

static int ask(struct discipline *discipline, int64_t confirmed_ns)
{
    struct reading now = {RAW_NS, TOTAL_NS};

    return discipline_allow_step(discipline, confirmed_ns, &now);
}

static void nothing_is_stepped_once_synchronised(void **state)
{
    (void)state;
    struct discipline *discipline = fresh(), *saved = fresh(), *other = fresh();
    struct discipline_memory memory;

    follow(discipline, 0, true);
    (void)rest(discipline, RAW_NS);
    assert_int_equal(ask(discipline, HOURS_NS), -EALREADY);
    follow(discipline, HOURS_NS, false);
    assert_int_equal(ask(discipline, HOURS_NS), -EALREADY);
    discipline_disown(discipline);
    assert_int_equal(ask(discipline, HOURS_NS), -EALREADY);

    follow(saved, 0, true);
    discipline_recall(saved, &memory);
    assert_int_equal(discipline_resume(other, &memory, true), 0);
    assert_int_equal(ask(other, HOURS_NS), -EALREADY);
    (void)rest(other, RAW_NS);
    follow(other, HOURS_NS, false);
    assert_int_equal(ask(other, HOURS_NS), -EALREADY);
    discipline_free(discipline);
    discipline_free(saved);
    discipline_free(other);
}

static void nothing_is_stepped_that_is_not_known(void **state)
{
    (void)state;
    struct clock_status status = {.now = {RAW_NS, TOTAL_NS}, .jumped = true};
    struct discipline *discipline = fresh();

    assert_int_equal(ask(discipline, HOURS_NS), -ENODATA);
    (void)rest(discipline, RAW_NS);
    assert_int_equal(ask(discipline, HOURS_NS), -ENODATA);
    follow(discipline, HOURS_NS, false);
    discipline_disown(discipline);
    assert_int_equal(ask(discipline, HOURS_NS), -ENODATA);
    follow(discipline, HOURS_NS, false);
    assert_int_equal(ask(discipline, HOURS_NS), 0);
    assert_int_equal(tick(discipline, status).step_ns, 0);
    assert_int_equal(ask(discipline, HOURS_NS), -ENODATA);
    discipline_free(discipline);
}

static void nothing_is_stepped_that_is_only_observed(void **state)
{
    (void)state;
    struct clock_status status = {.now = {RAW_NS, TOTAL_NS}, .observed = true};
    struct target target = target_ahead(HOURS_NS, false);
    struct discipline *discipline = fresh();

    follow(discipline, HOURS_NS, false);
    (void)tick(discipline, status);
    assert_int_equal(ask(discipline, HOURS_NS), -EROFS);
    (void)rest(discipline, RAW_NS);
    assert_int_equal(ask(discipline, HOURS_NS), 0);
    assert_int_equal(tick(discipline, status).step_ns, 0);
    (void)rest(discipline, RAW_NS);
    target.hands_off = true;
    assert_int_equal(discipline_follow(discipline, &target), 0);
    assert_int_equal(ask(discipline, HOURS_NS), -EROFS);
    assert_int_equal(rest(discipline, RAW_NS).step_ns, 0);
    discipline_free(discipline);
}

static void nothing_is_stepped_that_is_not_worth_it(void **state)
{
    (void)state;
    struct discipline *discipline = fresh();

    for (int64_t sign = -1; sign <= 1; sign += 2) {
        follow(discipline, sign * (500 * MS - 1), false);
        assert_int_equal(ask(discipline, sign * (500 * MS - 1)), -EBUSY);
        follow(discipline, sign * 500 * MS, false);
        assert_int_equal(ask(discipline, sign * 500 * MS), 0);
        assert_int_equal(ask(discipline, sign * 1500 * MS), 0);
    }
    discipline_free(discipline);
}

static void only_what_was_confirmed_is_stepped(void **state)
{
    (void)state;
    static const struct {
        int64_t outstanding_ns, confirmed_ns;
        bool same;
    } cases[] = {
        {100 * NS_PER_S, 100 * NS_PER_S, true},    {111 * NS_PER_S, 100 * NS_PER_S, true},
        {111 * NS_PER_S + 1, 100 * NS_PER_S, false}, {89 * NS_PER_S, 100 * NS_PER_S, true},
        {89 * NS_PER_S - 1, 100 * NS_PER_S, false}, {100 * NS_PER_S, -100 * NS_PER_S, false},
        {500 * MS, -400 * MS, false},              {500 * MS, 0, false},
        {HOURS_NS, INT64_MAX, false},              {HOURS_NS, INT64_MIN, false},
    };
    struct discipline *discipline = fresh();

    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        int64_t sign = i % 2 ? -1 : 1;
        int64_t confirmed_ns = cases[i / 2].confirmed_ns;

        if (confirmed_ns != INT64_MIN)
            confirmed_ns *= sign;
        follow(discipline, sign * cases[i / 2].outstanding_ns, false);
        assert_int_equal(ask(discipline, confirmed_ns), cases[i / 2].same ? 0 : -ESTALE);
    }
    discipline_free(discipline);
}

static void what_was_confirmed_can_be_taken_back(void **state)
{
    (void)state;
    struct discipline *discipline = fresh();
    struct clock_status status = {.now = {.raw_ns = NS_PER_S}};
    struct discipline_outcome outcome;

    follow(discipline, HOURS_NS, false);
    assert_int_equal(ask(discipline, HOURS_NS), 0);
    assert_int_equal(ask(discipline, 0), -ESTALE);
    discipline_tick(discipline, &status, &outcome);
    assert_false(outcome.events & DISCIPLINE_STEP);
    discipline_free(discipline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_step_is_made_once_at_the_start),
        cmocka_unit_test(a_step_is_told_when_it_is_seen),
        cmocka_unit_test(a_refused_step_was_not_made),
        cmocka_unit_test(so_with_a_slew_under_way),
        cmocka_unit_test(half_a_step_is_somebody_elses_doing),
        cmocka_unit_test(no_step_below_or_without_threshold_or_after_the_start),
        cmocka_unit_test(a_person_may_ask_for_it),
        cmocka_unit_test(what_was_refused_may_be_asked_for_again),
        cmocka_unit_test(asked_for_is_the_next_tick),
        cmocka_unit_test(nothing_is_stepped_once_synchronised),
        cmocka_unit_test(nothing_is_stepped_that_is_not_known),
        cmocka_unit_test(nothing_is_stepped_that_is_only_observed),
        cmocka_unit_test(nothing_is_stepped_that_is_not_worth_it),
        cmocka_unit_test(only_what_was_confirmed_is_stepped),
        cmocka_unit_test(what_was_confirmed_can_be_taken_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
