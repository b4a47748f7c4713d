/* SPDX-License-Identifier: BSD-2-Clause */
/* Which stamps the master takes for observations, and when: the estimator here only
 * writes down what it is told. */
#include "core/estimator.h"
#include "machine_probe.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define AHEAD_NS (7 * NS_PER_S)   /* how much later the slave's RAW clock started */
#define WAY_NS (100 * NS_PER_US)  /* from device to device */
#define HELD_NS (50 * NS_PER_US)  /* from a POLL's arrival to t3 */
#define LAG_NS (9 * NS_PER_US)    /* from t3, or t1, to the device */
#define SEEN_MAX 64

struct estimator {
    int unused;
};

struct seen {
    enum direction direction;
    int64_t master_ns, slave_ns;
};

static struct seen seen[SEEN_MAX];
static unsigned count, resets;

struct estimator *estimator_new(void)
{
    return calloc(1, sizeof(struct estimator));
}

void estimator_free(struct estimator *estimator)
{
    free(estimator);
}

void estimator_reset(struct estimator *estimator)
{
    (void)estimator;
    resets++;
}

void estimator_expect(struct estimator *estimator, const struct estimator_prior *prior)
{
    (void)estimator, (void)prior;
}

bool estimator_observe(struct estimator *estimator, enum direction direction, int64_t master_raw_ns,
                       int64_t slave_raw_ns)
{
    (void)estimator;
    assert_true(count < SEEN_MAX);
    seen[count++] = (struct seen){direction, master_raw_ns, slave_raw_ns};
    return false;
}

int estimator_estimate(const struct estimator *estimator, int64_t master_raw_ns,
                       struct estimate *estimate)
{
    (void)estimator, (void)master_raw_ns, (void)estimate;
    return -ENODATA;
}

struct scene {
    struct probe probe;
    bool stamps;             /* the slave's kernel tells when its REPLYs left */
    uint32_t reply_sequence; /* of the last one */
    int64_t t1_ns, t2_ns, t3_ns, t4_ns; /* of the last exchange, as told in frames */
    int64_t prev_raw_ns;     /* what the next REPLY tells instead of the truth; 0: the truth */
};

static void begin(struct scene *scene, unsigned exchanges)
{
    struct master_config config = probe_master_config();

    *scene = (struct scene){.stamps = true};
    config.exchanges = exchanges;
    probe_master(&scene->probe, &config);
    probe_up(&scene->probe, 0);
    probe_frame(&scene->probe, 0, probe_hello("node1", 1));
    count = 0;
}

static struct wire_frame next_poll(struct scene *scene)
{
    struct wire_frame frame;

    do {
        int64_t wait_ns = master_wake_at(scene->probe.master) - scene->probe.now.raw_ns;

        probe_wait(&scene->probe, wait_ns > 0 ? wait_ns : 0);
        probe_wake(&scene->probe);
    } while (!probe_sent(&scene->probe, 0, WIRE_POLL, &frame));
    scene->t1_ns = scene->probe.now.raw_ns;
    return frame;
}

/* What an honest slave answers. */
static struct wire_frame answer(struct scene *scene, const struct wire_frame *poll)
{
    struct wire_frame frame = {.type = WIRE_REPLY};
    struct wire_departure *departure = &frame.reply.departure;

    if (scene->stamps && scene->reply_sequence) {
        departure->prev_sequence = scene->reply_sequence;
        departure->prev_raw_ns = scene->prev_raw_ns ? scene->prev_raw_ns : scene->t3_ns + LAG_NS;
    }
    scene->t2_ns = scene->t1_ns + LAG_NS + WAY_NS + AHEAD_NS;
    scene->t3_ns = scene->t2_ns + HELD_NS;
    scene->t4_ns = scene->t3_ns + LAG_NS + WAY_NS - AHEAD_NS;
    departure->sent.raw_ns = scene->t3_ns;
    frame.reply.round = poll->poll.round;
    frame.reply.exchange = poll->poll.exchange;
    frame.reply.t1_raw_ns = scene->t1_ns;
    frame.reply.t2_raw_ns = scene->t2_ns;
    probe_wait(&scene->probe, scene->t4_ns - scene->probe.now.raw_ns);
    return frame;
}

static void reply(struct scene *scene, struct wire_frame frame)
{
    scene->reply_sequence = scene->probe.sequence + 1;
    probe_frame(&scene->probe, 0, frame);
}

/* One exchange; the kernel tells when the POLL left. */
static void exchange(struct scene *scene)
{
    struct wire_frame poll = next_poll(scene);

    probe_stamped(&scene->probe, 0, poll.sequence, WIRE_POLL, scene->t1_ns + LAG_NS);
    reply(scene, answer(scene, &poll));
}

static void assert_seen(unsigned i, enum direction direction, int64_t master_ns, int64_t slave_ns)
{
    assert_true(i < count);
    assert_int_equal(seen[i].direction, direction);
    assert_int_equal(seen[i].master_ns, master_ns);
    assert_int_equal(seen[i].slave_ns, slave_ns);
}

static void without_stamps_all_is_used_at_once(void **state)
{
    struct scene scene;
    struct wire_frame poll;

    (void)state;
    begin(&scene, 3);
    scene.stamps = false;
    for (unsigned i = 0; i < 6; i++) {
        unsigned before = count;

        poll = next_poll(&scene);
        reply(&scene, answer(&scene, &poll));
        assert_int_equal(count, before + 2);
        assert_seen(before, FORWARD, scene.t1_ns, scene.t2_ns);
        assert_seen(before + 1, BACKWARD, scene.t4_ns, scene.t3_ns);
    }
    probe_free(&scene.probe);
}

static void a_poll_left_when_the_kernel_says(void **state)
{
    struct scene scene;
    struct wire_frame poll;

    (void)state;
    begin(&scene, 1);
    exchange(&scene);
    assert_seen(0, FORWARD, scene.t1_ns + LAG_NS, scene.t2_ns);
    poll = next_poll(&scene);
    assert_int_not_equal(poll.poll.departure.prev_sequence, 0);
    assert_true(poll.poll.departure.prev_raw_ns < scene.t1_ns);
    probe_free(&scene.probe);
}

/* Before it was written, long after, of no POLL or of another connection. */
static void what_the_kernel_cannot_mean_is_not_taken(void **state)
{
    static const int64_t lags_ns[] = {-1, NS_PER_S + 1, INT64_MAX / 2, INT64_MIN / 2};

    (void)state;
    for (size_t i = 0; i < sizeof lags_ns / sizeof lags_ns[0]; i++) {
        struct scene scene;
        struct wire_frame poll;

        begin(&scene, 1);
        poll = next_poll(&scene);
        probe_stamped(&scene.probe, 0, poll.sequence + 5, WIRE_POLL, scene.t1_ns + LAG_NS);
        probe_stamped(&scene.probe, 0, poll.sequence, WIRE_REPLY, scene.t1_ns + LAG_NS);
        probe_stamped(&scene.probe, 0, poll.sequence, WIRE_POLL, scene.t1_ns + lags_ns[i]);
        reply(&scene, answer(&scene, &poll));
        assert_seen(0, FORWARD, scene.t1_ns, scene.t2_ns);
        probe_free(&scene.probe);
    }
}

/* The answer that tells it comes with the next exchange, in this round or the next. */
static void a_reply_waits_for_its_departure(void **state)
{
    (void)state;
    for (unsigned exchanges = 1; exchanges <= 2; exchanges++) {
        struct scene scene, before;

        begin(&scene, exchanges);
        exchange(&scene); /* nothing is known of this slave's stamps */
        assert_int_equal(count, 2);
        for (unsigned i = 1; i < 9; i++) {
            before = scene;
            exchange(&scene);
            if (i > 1)
                assert_seen(2 * i - 1, BACKWARD, before.t4_ns, before.t3_ns + LAG_NS);
            assert_seen(2 * i, FORWARD, scene.t1_ns + LAG_NS, scene.t2_ns);
            assert_int_equal(count, 2 * i + 1);
        }
        probe_free(&scene.probe);
    }
}

static void a_departure_that_is_not_told_is_as_in_the_frame(void **state)
{
    struct scene scene, before;

    (void)state;
    begin(&scene, 2);
    exchange(&scene);
    exchange(&scene);
    before = scene;
    scene.stamps = false;
    exchange(&scene);
    assert_seen(3, BACKWARD, before.t4_ns, before.t3_ns + LAG_NS); /* the least lag so far */
    probe_free(&scene.probe);
}

/* It grows by a share at a time, and falls at once. */
static void the_least_lag_is_learned(void **state)
{
    struct scene scene, before;

    (void)state;
    begin(&scene, 1);
    exchange(&scene);
    exchange(&scene);
    scene.prev_raw_ns = scene.t3_ns + LAG_NS + 3200;
    exchange(&scene);
    before = scene;
    scene.stamps = false;
    exchange(&scene);
    assert_seen(5, BACKWARD, before.t4_ns, before.t3_ns + LAG_NS + 100);
    scene.stamps = true;
    scene.prev_raw_ns = scene.t3_ns + 1;
    exchange(&scene);
    before = scene;
    scene.stamps = false;
    exchange(&scene);
    assert_seen(9, BACKWARD, before.t4_ns, before.t3_ns + 1);
    probe_free(&scene.probe);
}

static void an_impossible_departure_is_refused_and_counted(void **state)
{
    /* Before t3; so late that it came before it left. */
    static const int64_t lags_ns[] = {-1, LAG_NS + 2 * WAY_NS + 1, 2 * NS_PER_S};

    (void)state;
    for (size_t i = 0; i < sizeof lags_ns / sizeof lags_ns[0]; i++) {
        struct scene scene, before;

        begin(&scene, 2);
        exchange(&scene);
        exchange(&scene);
        before = scene;
        scene.prev_raw_ns = scene.t3_ns + lags_ns[i];
        exchange(&scene);
        assert_int_equal(probe_note(&scene.probe, NOTE_FRAME_REFUSED)->reason, REFUSAL_IMPOSSIBLE);
        assert_int_equal(probe_note(&scene.probe, NOTE_FRAME_REFUSED)->count, 1);
        assert_seen(3, BACKWARD, before.t4_ns, before.t3_ns + LAG_NS);
        assert_seen(4, FORWARD, scene.t1_ns + LAG_NS, scene.t2_ns);
        probe_free(&scene.probe);
    }
}

static void nothing_is_kept_over_a_jump(void **state)
{
    struct scene scene;
    struct wire_frame poll, frame;

    (void)state;
    begin(&scene, 2);
    exchange(&scene);
    exchange(&scene);
    resets = 0;
    poll = next_poll(&scene);
    probe_stamped(&scene.probe, 0, poll.sequence, WIRE_POLL, scene.t1_ns + LAG_NS);
    frame = answer(&scene, &poll);
    frame.reply.epoch = 1;
    count = 0;
    reply(&scene, frame);
    assert_int_equal(resets, 1);
    assert_int_equal(count, 1);
    assert_seen(0, FORWARD, scene.t1_ns + LAG_NS, scene.t2_ns);
    probe_tick_status(&scene.probe,
                      &(struct clock_status){.now = scene.probe.now, .jumped = true});
    count = 0;
    exchange(&scene);
    assert_seen(0, FORWARD, scene.t1_ns + LAG_NS, scene.t2_ns);
    probe_free(&scene.probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_stamps_all_is_used_at_once),
        cmocka_unit_test(a_poll_left_when_the_kernel_says),
        cmocka_unit_test(what_the_kernel_cannot_mean_is_not_taken),
        cmocka_unit_test(a_reply_waits_for_its_departure),
        cmocka_unit_test(a_departure_that_is_not_told_is_as_in_the_frame),
        cmocka_unit_test(the_least_lag_is_learned),
        cmocka_unit_test(an_impossible_departure_is_refused_and_counted),
        cmocka_unit_test(nothing_is_kept_over_a_jump),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
