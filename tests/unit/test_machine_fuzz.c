/* SPDX-License-Identifier: BSD-2-Clause */
/* Random sequences of events for both machines.  BERKELEY_TEST_SEQUENCES sets how many;
 * BERKELEY_TEST_SEED the first one's seed, the others' follow: a sequence that fails can
 * be had alone. */
#include "machine_life.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define SEQUENCES 4000
#define SHARED_FROM SEQUENCES /* fewer say little of how often something rare is */

static uint64_t sequences(void)
{
    const char *text = getenv("BERKELEY_TEST_SEQUENCES");

    return text ? strtoull(text, NULL, 10) : SEQUENCES;
}

/* How to have the sequence under way alone; also where an assertion of the machines or
 * a sanitizer (with abort_on_error=1 in its options) ends the program. */
static char recipe[64];
static size_t recipe_length;

static void say_recipe(int signal_number)
{
    (void)signal_number;
    if (write(STDERR_FILENO, recipe, recipe_length) < 0)
        return;
}

static int say_recipe_of_failure(void **state)
{
    (void)state;
    say_recipe(0);
    return 0;
}

static unsigned run(uint64_t seed, uint64_t *events)
{
    unsigned deeds;

    recipe_length = (size_t)snprintf(recipe, sizeof recipe,
                                     "BERKELEY_TEST_SEED=%" PRIu64 " BERKELEY_TEST_SEQUENCES=1\n",
                                     seed);
    deeds = life_run(&(struct dice){.seed = seed, .state = seed}, events);
    recipe_length = 0;
    return deeds;
}

/* What must have happened in how many of a thousand sequences at least: that the deep ones
 * are reached. */
static const struct {
    const char *name;
    enum deed deed;
    unsigned least;
} shares[] = {
    {"steered", DEED_STEERED, 300},
    {"group formed", DEED_FORMED, 60},
    {"clock in", DEED_CLOCK_IN, 20},
    {"clock excluded", DEED_EXCLUDED, 0},
    {"correction followed", DEED_FOLLOWED, 200},
    {"synchronised", DEED_SYNCHRONISED, 200},
    {"held over", DEED_HELD, 20},
    {"resumed", DEED_RESUMED, 80},
    {"stepped", DEED_STEPPED, 40},
    {"panicked", DEED_PANICKED, 20},
    {"foreign step", DEED_FOREIGN, 100},
    {"stepped by hand", DEED_STEPPED_BY_HAND, 4},
};

static void machines_survive_anything(void **state)
{
    (void)state;
    uint64_t first = dice_new().seed, count = sequences(), events = 0;
    uint64_t times[DEED_COUNT] = {0};

    signal(SIGABRT, say_recipe);
    for (uint64_t i = 0; i < count; i++) {
        unsigned deeds = run(first + i, &events);

        for (unsigned deed = 0; deed < DEED_COUNT; deed++)
            times[deed] += deeds >> deed & 1;
    }
    print_message("# %" PRIu64 " sequences from seed %" PRIu64 ", %" PRIu64 " events\n", count,
                  first, events);
    for (size_t i = 0; i < DEED_COUNT; i++)
        print_message("# %6" PRIu64 " %s\n", times[(unsigned)__builtin_ctz(shares[i].deed)],
                      shares[i].name);
    for (size_t i = 0; i < DEED_COUNT && count >= SHARED_FROM; i++) {
        uint64_t of = times[(unsigned)__builtin_ctz(shares[i].deed)];

        assert_true(of > 0 && of * 1000 >= shares[i].least * count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(machines_survive_anything, say_recipe_of_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
