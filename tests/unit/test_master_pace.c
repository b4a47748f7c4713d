/* SPDX-License-Identifier: BSD-2-Clause */
/* When the master's rounds come, and how the slaves learn of another interval. */
#include "machine_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define AHEAD_NS (7 * NS_PER_S) /* how much later the slaves' RAW clocks started */
#define SLOW_NS (4 * NS_PER_S)  /* master.interval */
#define FAST_NS (500 * NS_PER_MS)
#define FAST_ROUNDS 8
#define FAST_ROUNDS_MAX 60
#define SUSPENDED_ROUNDS 4
#define SLAVES 4
#define EXCHANGES 2             /* of the probe's master */
#define EXCHANGE_GAP_NS (20 * NS_PER_MS)

/* A master, and what its slaves do: the first `answering` of them reply, the last of
 * these with a clock that is so far ahead. */
struct scene {
    struct probe probe;
    uint32_t slaves, answering;
    int64_t lie_ns;
    int64_t round_ns; /* the last round's start */
};

static void begin(struct scene *scene, int64_t interval_ns, unsigned quorum)
{
    struct master_config config = probe_master_config();

    *scene = (struct scene){0};
    config.interval_ns = interval_ns;
    config.quorum = quorum;
    probe_master(&scene->probe, &config);
}

static void join(struct scene *scene, enum clock_kind kind)
{
    uint32_t peer = scene->slaves++;
    struct wire_frame hello =
        probe_hello((const char[]){'n', (char)('a' + peer), 0}, (uint8_t)(peer + 1));

    hello.hello.kind = (uint8_t)kind;
    probe_up(&scene->probe, peer);
    probe_frame(&scene->probe, peer, hello);
    assert_non_null(probe_note(&scene->probe, NOTE_SLAVE_JOINED));
}

/* Half a millisecond each way. */
static void answer(struct scene *scene)
{
    struct probe *probe = &scene->probe;
    struct wire_frame poll, frame;

    for (uint32_t i = 0; i < scene->answering; i++) {
        if (!probe_sent(probe, i, WIRE_POLL, &poll))
            continue;
        frame = probe_reply(probe, &poll, AHEAD_NS);
        if (i + 1 == scene->answering)
            frame.reply.departure.sent.total_ns += scene->lie_ns;
        probe_frame(probe, i, frame);
        return;
    }
}

static unsigned round_of(const struct scene *scene)
{
    struct summary summary;

    master_summary(scene->probe.master, &scene->probe.now, &summary);
    return summary.round;
}

static void wake(struct scene *scene)
{
    int64_t wait_ns = master_wake_at(scene->probe.master) - scene->probe.now.raw_ns;

    probe_wait(&scene->probe, wait_ns > 0 ? wait_ns : 0);
    probe_wake(&scene->probe);
}

static void next_round(struct scene *scene)
{
    unsigned round = round_of(scene);

    do {
        wake(scene);
        scene->round_ns = scene->probe.now.raw_ns;
        answer(scene);
    } while (round_of(scene) == round);
}

/* How far apart the rounds `first` to `last` and those after them are. */
static void assert_pace(struct scene *scene, unsigned first, unsigned last, int64_t distance_ns)
{
    assert_int_equal(round_of(scene), first);
    for (unsigned i = first; i <= last; i++) {
        int64_t at_ns = scene->round_ns;

        next_round(scene);
        if (scene->round_ns - at_ns != distance_ns)
            fail_msg("%lld ns from round %u to the next", (long long)(scene->round_ns - at_ns), i);
    }
}

static void nobody_is_no_reason_to_hurry(void **state)
{
    (void)state;
    struct scene scene;

    begin(&scene, SLOW_NS, 1);
    next_round(&scene);
    assert_pace(&scene, 1, 2 * FAST_ROUNDS_MAX, SLOW_NS);
    probe_free(&scene.probe);
}

/* Of three wanted two are there: the group is not formed, and nobody gets in. */
static void the_fast_phase_lasts_while_somebody_is_on_the_way(void **state)
{
    (void)state;
    static const struct {
        enum clock_kind kind;
        unsigned quorum, answering, expected;
    } cases[] = {{CLOCK_KIND_KERNEL, 1, 0, FAST_ROUNDS}, /* silent */
                 {CLOCK_KIND_KERNEL, 1, 1, FAST_ROUNDS}, /* in */
                 {CLOCK_KIND_OBSERVED, 3, 1, FAST_ROUNDS},
                 {CLOCK_KIND_KERNEL, 3, 1, FAST_ROUNDS_MAX}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scene scene;

        begin(&scene, SLOW_NS, cases[i].quorum);
        join(&scene, cases[i].kind);
        scene.answering = cases[i].answering;
        next_round(&scene);
        assert_pace(&scene, 1, cases[i].expected, FAST_NS);
        assert_pace(&scene, cases[i].expected + 1, 2 * FAST_ROUNDS_MAX, SLOW_NS);
        probe_free(&scene.probe);
    }
}

static void whoever_joins_starts_it_again_soon(void **state)
{
    (void)state;
    struct scene scene;
    int64_t joined_ns;

    begin(&scene, SLOW_NS, 1);
    join(&scene, CLOCK_KIND_KERNEL);
    next_round(&scene);
    assert_pace(&scene, 1, FAST_ROUNDS, FAST_NS);
    wake(&scene); /* the second exchange; nobody's answer is waited for */
    joined_ns = scene.probe.now.raw_ns;
    join(&scene, CLOCK_KIND_KERNEL);
    next_round(&scene);
    assert_int_equal(scene.round_ns, joined_ns + FAST_NS);
    assert_pace(&scene, FAST_ROUNDS + 2, 2 * FAST_ROUNDS + 1, FAST_NS);
    assert_pace(&scene, 2 * FAST_ROUNDS + 2, 3 * FAST_ROUNDS, SLOW_NS);
    probe_free(&scene.probe);
}

/* Left alone it takes its time; then it is brought in, as fast as may be. */
static void a_suspended_clock_is_not_on_its_way(void **state)
{
    (void)state;
    const unsigned in = FAST_ROUNDS + 1;        /* the first that finds both in */
    const unsigned back = in + SUSPENDED_ROUNDS; /* the first it is asked to come again */
    struct scene scene;

    begin(&scene, SLOW_NS, 1);
    join(&scene, CLOCK_KIND_KERNEL);
    join(&scene, CLOCK_KIND_KERNEL);
    scene.answering = 2;
    next_round(&scene);
    assert_pace(&scene, 1, in - 1, FAST_NS);
    scene.lie_ns = 10 * NS_PER_MS;
    assert_pace(&scene, in, in, SLOW_NS);
    assert_pace(&scene, in + 1, back, SLOW_NS);
    assert_pace(&scene, back + 1, FAST_ROUNDS_MAX, FAST_NS);
    assert_pace(&scene, FAST_ROUNDS_MAX + 1, 2 * FAST_ROUNDS_MAX, SLOW_NS);
    probe_free(&scene.probe);
}

/* Which of the last actions sends such a frame. */
static size_t place(const struct probe *probe, uint32_t peer, unsigned type)
{
    size_t i = 0;

    for (; i < probe->actions.count; i++) {
        const struct action *action = &probe->actions.items[i];
        struct wire_frame frame;
        unsigned faults;

        if (action->kind == ACTION_SEND && action->peer == peer &&
            wire_decode(action->send.bytes, action->send.length, WIRE_MINOR, &frame, &faults) ==
                0 &&
            frame.type == type)
            break;
    }
    return i;
}

/* Who is polled at the next wake, alone, and when; slaves: nobody. */
static uint32_t turn(struct scene *scene, int64_t *at_ns)
{
    uint32_t polled = scene->slaves;
    struct wire_frame poll;

    wake(scene);
    *at_ns = scene->probe.now.raw_ns;
    for (uint32_t i = 0; i < scene->slaves; i++) {
        if (!probe_sent(&scene->probe, i, WIRE_POLL, &poll))
            continue;
        assert_int_equal(polled, scene->slaves);
        polled = i;
    }
    return polled;
}

static void slaves_take_turns(void **state)
{
    (void)state;
    struct scene scene;
    int64_t at_ns, before_ns = 0;

    begin(&scene, SLOW_NS, 1);
    for (int i = 0; i < SLAVES; i++)
        join(&scene, CLOCK_KIND_KERNEL);
    next_round(&scene);
    next_round(&scene);
    before_ns = scene.probe.now.raw_ns;
    for (uint32_t i = 1; i < EXCHANGES * SLAVES; i++) {
        assert_int_equal(turn(&scene, &at_ns), i % SLAVES);
        assert_int_equal(at_ns - before_ns, EXCHANGE_GAP_NS / SLAVES);
        before_ns = at_ns;
    }
    probe_free(&scene.probe);
}

/* Of an exchange: the next one has a time of its own. */
static void all_whose_turn_has_passed_are_polled(void **state)
{
    (void)state;
    struct scene scene;
    struct wire_frame poll;

    begin(&scene, SLOW_NS, 1);
    for (int i = 0; i < SLAVES; i++)
        join(&scene, CLOCK_KIND_KERNEL);
    next_round(&scene);
    probe_wait(&scene.probe, 2 * EXCHANGE_GAP_NS / SLAVES);
    probe_wake(&scene.probe);
    for (uint32_t i = 0; i < SLAVES; i++)
        assert_true(probe_sent(&scene.probe, i, WIRE_POLL, &poll) == (i == 1 || i == 2));
    probe_free(&scene.probe);
}

static void what_is_decided_goes_out_in_turns(void **state)
{
    (void)state;
    struct scene scene;
    struct wire_frame correct;
    int64_t first_ns;

    begin(&scene, SLOW_NS, 1);
    for (int i = 0; i < SLAVES; i++)
        join(&scene, CLOCK_KIND_KERNEL);
    scene.answering = SLAVES;
    next_round(&scene);
    next_round(&scene);
    while (!probe_sent(&scene.probe, 0, WIRE_CORRECT, &correct)) {
        wake(&scene);
        answer(&scene);
    }
    first_ns = scene.probe.now.raw_ns;
    for (uint32_t i = 1; i < SLAVES; i++) {
        assert_false(probe_sent(&scene.probe, i, WIRE_CORRECT, &correct));
        wake(&scene);
        assert_true(probe_sent(&scene.probe, i, WIRE_CORRECT, &correct));
        assert_int_equal(correct.correct.round, round_of(&scene));
        assert_int_equal(correct.correct.departure.sent.raw_ns, scene.probe.now.raw_ns);
        assert_int_equal(scene.probe.now.raw_ns - first_ns, i * EXCHANGE_GAP_NS / SLAVES);
    }
    probe_free(&scene.probe);
}

static void configure(struct scene *scene, int64_t interval_ns)
{
    struct master_config config = probe_master_config();

    config.interval_ns = interval_ns;
    master_configure(scene->probe.master, &config);
}

static void assert_welcomes_nobody(struct scene *scene, unsigned wakes)
{
    struct wire_frame frame;

    for (unsigned i = 0; i < wakes; i++) {
        wake(scene);
        for (uint32_t peer = 0; peer < scene->slaves; peer++)
            assert_false(probe_sent(&scene->probe, peer, WIRE_WELCOME, &frame));
    }
}

static void another_interval_is_told_once_before_the_next_poll(void **state)
{
    (void)state;
    struct wire_frame frame;
    struct scene scene;

    begin(&scene, SLOW_NS, 1);
    for (int i = 0; i < 3; i++)
        join(&scene, CLOCK_KIND_KERNEL);
    next_round(&scene);
    configure(&scene, SLOW_NS);
    assert_welcomes_nobody(&scene, 10);
    next_round(&scene);
    configure(&scene, 3 * SLOW_NS);
    wake(&scene);
    for (uint32_t i = 0; i < scene.slaves; i++) {
        assert_true(probe_sent(&scene.probe, i, WIRE_WELCOME, &frame));
        assert_int_equal(frame.welcome.interval_ns, 3 * SLOW_NS);
        assert_string_equal(frame.welcome.name, "time1");
        assert_true(place(&scene.probe, i, WIRE_WELCOME) < place(&scene.probe, i, WIRE_POLL));
    }
    assert_null(probe_note(&scene.probe, NOTE_SLAVE_JOINED));
    assert_welcomes_nobody(&scene, 10);
    next_round(&scene); /* the first of them is polled */
    configure(&scene, SLOW_NS);
    wake(&scene);
    for (uint32_t i = 0; i < scene.slaves; i++)
        assert_true(probe_sent(&scene.probe, i, WIRE_WELCOME, &frame));
    assert_welcomes_nobody(&scene, 10);
    probe_free(&scene.probe);
}

static void a_shorter_interval_counts_from_now_on(void **state)
{
    (void)state;
    struct scene scene;
    int64_t now_ns;

    begin(&scene, 60 * NS_PER_S, 1);
    join(&scene, CLOCK_KIND_KERNEL);
    while (round_of(&scene) <= FAST_ROUNDS)
        next_round(&scene);
    probe_frame(&scene.probe, 0, (struct wire_frame){.type = WIRE_REPORT});
    probe_wait(&scene.probe, 50 * NS_PER_S);
    probe_tick(&scene.probe);
    now_ns = scene.probe.now.raw_ns;
    configure(&scene, NS_PER_S);
    next_round(&scene);
    assert_int_equal(scene.round_ns, now_ns + NS_PER_S);
    probe_tick(&scene.probe);
    assert_false(probe_closed(&scene.probe, 0));
    next_round(&scene);
    assert_int_equal(scene.round_ns, now_ns + 2 * NS_PER_S);
    probe_wait(&scene.probe, 9 * NS_PER_S);
    probe_tick(&scene.probe);
    probe_assert_dismissed(&scene.probe, 0, BYE_TIMEOUT);
    probe_free(&scene.probe);
}

/* One who was let in, and one who has not said HELLO yet. */
static void stopping_says_good_bye_and_no_more(void **state)
{
    (void)state;
    struct scene scene;

    begin(&scene, SLOW_NS, 1);
    join(&scene, CLOCK_KIND_KERNEL);
    probe_up(&scene.probe, 1);
    probe_stop(&scene.probe);
    for (uint32_t i = 0; i < 2; i++)
        probe_assert_dismissed(&scene.probe, i, BYE_SHUTDOWN);
    assert_int_equal(probe_count(&scene.probe, ACTION_NOTE), 0);
    probe_free(&scene.probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_no_reason_to_hurry),
        cmocka_unit_test(the_fast_phase_lasts_while_somebody_is_on_the_way),
        cmocka_unit_test(whoever_joins_starts_it_again_soon),
        cmocka_unit_test(a_suspended_clock_is_not_on_its_way),
        cmocka_unit_test(slaves_take_turns),
        cmocka_unit_test(what_is_decided_goes_out_in_turns),
        cmocka_unit_test(all_whose_turn_has_passed_are_polled),
        cmocka_unit_test(another_interval_is_told_once_before_the_next_poll),
        cmocka_unit_test(a_shorter_interval_counts_from_now_on),
        cmocka_unit_test(stopping_says_good_bye_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
