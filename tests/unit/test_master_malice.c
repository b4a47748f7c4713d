/* SPDX-License-Identifier: BSD-2-Clause */
/* A slave that holds the key and lies in every field it may fill in.  The four good clocks go
 * where they would without it, within the gates.  BERKELEY_TEST_SEED is the first run's seed. */
#include "group_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define RUNS 200
#define LIAR 4
#define GOOD 0xFU
#define SETTLE_NS (150 * NS_PER_S)
#define SPAN_NS (75 * NS_PER_S)
#define COLD_GATE_NS (10 * NS_PER_S) /* what a group forms within, and how fast clocks may run */
#define COLD_GATE_PPM 500

enum lie {
    LIE_ARRIVAL = 1 << 0,   /* t2 */
    LIE_DEPARTURE = 1 << 1, /* t3 */
    LIE_BOTH = 1 << 2,      /* its RAW clock */
    LIE_CLOCK = 1 << 3,     /* A */
    LIE_RATE = 1 << 4,      /* its frequency in force */
    LIE_CLAIM = 1 << 5,     /* synchronised, and knows it to the nanosecond */
    LIE_EPOCH = 1 << 6,     /* another one in each round */
    LIE_ECHO = 1 << 7,      /* when the last CORRECT came */
    LIE_TOLD = 1 << 8,      /* when the last REPLY left */
    LIE_IDENTITY = 1 << 9,  /* another id and name each time */
    LIE_COUNT = 10
};

/* One liar; group_model's forge() has no context. */
static struct malice {
    struct dice dice;
    unsigned lies;
    int64_t size_ns;
    bool steady; /* the same lie each time, or growing, or at random */
    bool growing;
    uint64_t frames;
} malice;

static int64_t lie(enum lie kind)
{
    if (!(malice.lies & kind))
        return 0;
    if (malice.steady)
        return malice.size_ns;
    if (malice.growing)
        return malice.size_ns / 1000 * (int64_t)(malice.frames % 4000);
    return dice_between(&malice.dice, -malice.size_ns, malice.size_ns);
}

static void forge_reply(struct wire_reply *reply)
{
    int64_t raw_ns = lie(LIE_BOTH);

    reply->t2_raw_ns += raw_ns + lie(LIE_ARRIVAL);
    reply->departure.sent.raw_ns += raw_ns + lie(LIE_DEPARTURE);
    reply->departure.sent.total_ns += lie(LIE_CLOCK);
    reply->correct_raw_ns += lie(LIE_ECHO);
    reply->freq_fs += lie(LIE_RATE) * 100;
    if (reply->freq_fs > WIRE_FREQ_LIMIT_FS || reply->freq_fs < -WIRE_FREQ_LIMIT_FS)
        reply->freq_fs = 0;
    if (malice.lies & LIE_TOLD && reply->departure.prev_sequence == 0)
        reply->departure.prev_sequence = (uint32_t)dice_below(&malice.dice, 50);
    if (malice.lies & LIE_TOLD)
        reply->departure.prev_raw_ns = reply->departure.sent.raw_ns - lie(LIE_TOLD);
    if (malice.lies & LIE_EPOCH && dice_below(&malice.dice, 2))
        reply->epoch += (uint32_t)dice_u64(&malice.dice);
    if (malice.lies & LIE_CLAIM) {
        reply->state = SYNC_SYNCHRONISED;
        reply->offset_sd_ns = reply->bound_ns = 0;
    }
}

static void forge_hello(struct wire_hello *hello)
{
    if (malice.lies & LIE_CLAIM)
        hello->state = SYNC_SYNCHRONISED;
    if (!(malice.lies & LIE_IDENTITY))
        return;
    memset(hello->id, (int)dice_below(&malice.dice, 8), sizeof hello->id);
    (void)snprintf(hello->name, sizeof hello->name, "node-%c",
                   'a' + (char)dice_below(&malice.dice, 8));
}

static void forge(struct group *group, unsigned node, struct wire_frame *frame)
{
    (void)group;
    if (node != LIAR)
        return;
    malice.frames++;
    if (frame->type == WIRE_HELLO)
        forge_hello(&frame->hello);
    else if (frame->type == WIRE_REPLY)
        forge_reply(&frame->reply);
}

static void corrupt(uint64_t seed)
{
    struct dice *dice = &malice.dice;

    malice = (struct malice){.dice = {.seed = seed, .state = seed}};
    for (unsigned i = 0; i < 3; i++)
        malice.lies |= 1U << dice_below(dice, LIE_COUNT);
    malice.size_ns = timestamp_round(pow(10, (double)dice_between(dice, 20, 100) / 10));
    malice.steady = dice_below(dice, 3) == 0;
    malice.growing = dice_below(dice, 2);
}

struct worst {
    int64_t shift_ns, slope_ppb; /* against what the good clocks would do left to themselves */
    int64_t bend_ns;             /* off a straight line */
    int64_t spread_ns;
};

static void keep_worst(int64_t *worst, int64_t value)
{
    if (timestamp_abs(value) > *worst)
        *worst = timestamp_abs(value);
}

static void run(uint64_t seed, struct worst *worst)
{
    int64_t means_ns[3], free_ns[3];
    struct group group;

    corrupt(seed);
    group_five(&group);
    group.dice = malice.dice;
    group.forge = forge;
    group.own_keys = true;
    group_start_all(&group);
    group_run(&group, SETTLE_NS);
    for (unsigned i = 0; i < 3; i++, group_run(&group, SPAN_NS)) {
        means_ns[i] = group_mean(&group, GOOD);
        free_ns[i] = group_free_mean(&group, GOOD);
    }
    keep_worst(&worst->shift_ns, means_ns[0] - free_ns[0]);
    keep_worst(&worst->slope_ppb,
               (means_ns[2] - free_ns[2] - means_ns[0] + free_ns[0]) * 500 / (SPAN_NS / 1000000));
    keep_worst(&worst->bend_ns, means_ns[2] - 2 * means_ns[1] + means_ns[0]);
    keep_worst(&worst->spread_ns, group_spread(&group, GOOD));
    for (unsigned node = 0; node < LIAR; node++) {
        assert_dice(&malice.dice, group.nodes[node].steps == 0);
        assert_dice(&malice.dice, group.nodes[node].panics == 0);
    }
    assert_dice(&malice.dice, worst->shift_ns < COLD_GATE_NS / 5);
    assert_dice(&malice.dice, worst->slope_ppb < COLD_GATE_PPM * 1000 / 5);
    assert_dice(&malice.dice, worst->bend_ns < 100 * NS_PER_US);
    assert_dice(&malice.dice, worst->spread_ns < NS_PER_US);
    group_free(&group);
}

/* It has its share of a cold start's average; after that nothing it says moves them. */
static void good_clocks_stay_within_the_gates(void **state)
{
    (void)state;
    uint64_t first = dice_new().seed;
    struct worst worst = {0};

    for (unsigned i = 0; i < RUNS; i++)
        run(first + i, &worst);
    print_message("# at worst shifted by %" PRId64 " ns, tilted by %" PRId64 " ppb, bent by %" PRId64
                  " ns, %" PRId64 " ns apart\n",
                  worst.shift_ns, worst.slope_ppb, worst.bend_ns, worst.spread_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_clocks_stay_within_the_gates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
