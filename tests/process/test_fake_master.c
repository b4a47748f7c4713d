/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a slave may find where it looks for its master.  Each scene is a slave and
 * a listener that misbehaves; all run at the same time, before the tests look.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "setup.h"

/* Five attempts of slaves that begin with waits of 0.5, 1, 2 and 4 s, +-25 %; two of
 * those that wait 5 s for a word. */
#define SECONDS 12
#define VISITS_MAX 64
/* Clocks without errors of their own that nobody touches: made at different times,
 * each from one look at the host's. */
#define UNMOVED_NS NS_PER_MS

struct scene {
    const char *name;
    void (*greet)(struct scene *scene); /* a new connection */
    void (*act)(struct scene *scene);   /* every turn with one */
    const char *lines[3]; /* the slave says */
    enum bye_reason bye;  /* likewise; 0: not asked for */
    unsigned visits_least;
    bool grows; /* the waits between visits */

    unsigned visited, answered;
    double visits[VISITS_MAX];
    struct tcp *listener, *guest;
    struct process *slave;
    struct hearing hearing;
};

static struct harness *harness;

static void send_frame(struct scene *scene, const struct wire_frame *frame)
{
    frames_send(scene->guest, frame);
}

static void hang_up(struct scene *scene)
{
    tcp_close(scene->guest);
    scene->guest = NULL;
}

static void greet_garbage(struct scene *scene)
{
    static const char page[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

    tcp_send(scene->guest, page, strlen(page));
}

static void greet_stranger(struct scene *scene)
{
    struct wire_frame welcome = frames_welcome("stranger");

    strncpy(welcome.welcome.group, "elsewhere", sizeof welcome.welcome.group - 1);
    send_frame(scene, &welcome);
}

/* A map that leads far away and that a slave could follow. */
static struct wire_frame correct(int64_t raw_ns, uint32_t epoch, double freq_ppb)
{
    static uint32_t round;
    struct wire_frame frame = {.type = WIRE_CORRECT, .sequence = 3};

    frame.correct.round = ++round;
    frame.correct.epoch = epoch;
    frame.correct.state = SYNC_SYNCHRONISED;
    frame.correct.verdict = VERDICT_COUNTED;
    frame.correct.has_map = 1;
    frame.correct.counted = frame.correct.present = 2;
    frame.correct.map.raw_ns = raw_ns;
    frame.correct.map.total_ns = INT64_C(1500000000) * NS_PER_S;
    frame.correct.map.freq_ppb = freq_ppb;
    return frame;
}

static void greet_early(struct scene *scene)
{
    struct wire_frame frame = correct(NS_PER_S, 0, 0);

    send_frame(scene, &frame);
}

static struct wire_frame poll_frame(uint32_t round)
{
    struct wire_frame frame = {.type = WIRE_POLL, .sequence = 2};

    frame.poll.round = round;
    frame.poll.departure.sent.raw_ns = NS_PER_S;
    return frame;
}

/* Talking on is not what the slave waits for. */
static void act_talk(struct scene *scene)
{
    static double said;
    struct wire_frame poll = poll_frame(1);

    if (setup_now() - said < 0.3)
        return;
    said = setup_now();
    (void)frames_send(scene->guest, &poll);
}

/* The answer to POLL tells what a map has to look like. */
static void greet_impossible(struct scene *scene)
{
    struct wire_frame welcome = frames_welcome("impossible"), poll = poll_frame(1);

    send_frame(scene, &welcome);
    send_frame(scene, &poll);
}

static void act_impossible(struct scene *scene)
{
    const struct wire_reply *reply = &scene->hearing.last[WIRE_REPLY].reply;
    int64_t raw_ns = reply->departure.sent.raw_ns;
    struct wire_frame frames[] = {
        correct(raw_ns, reply->epoch, 2e7),                     /* 2 %: no clock is so wrong */
        correct(raw_ns - 600 * NS_PER_S, reply->epoch, 0),      /* ten minutes old */
        correct(raw_ns + 600 * NS_PER_S, reply->epoch, 0),      /* of the future */
        correct(raw_ns, reply->epoch + 1, 0),                   /* of samples of another clock */
    };

    if (scene->hearing.frames[WIRE_REPLY] == scene->answered)
        return;
    scene->answered = scene->hearing.frames[WIRE_REPLY];
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++)
        send_frame(scene, &frames[i]);
}

/* A frame that is right in all but what it says. */
static void greet_insane(struct scene *scene)
{
    struct wire_frame welcome = frames_welcome("insane"), frame = correct(NS_PER_S, 0, 0);
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length = frames_encode(&frame, bytes);

    send_frame(scene, &welcome);
    memset(bytes + WIRE_HEADER_SIZE, 0xff, length - WIRE_HEADER_SIZE);
    tcp_send(scene->guest, bytes, length);
}

static void greet_flood(struct scene *scene)
{
    struct wire_frame welcome = frames_welcome("flood");

    send_frame(scene, &welcome);
}

static void act_flood(struct scene *scene)
{
    struct wire_frame poll = poll_frame(1);
    bool took = true;

    for (int i = 0; i < 500 && took; i++)
        took = frames_send(scene->guest, &poll);
}

#define FROM "127\\.0\\.0\\.1 port [0-9]+"

static struct scene scenes[] = {
    {.name = "nobody", .visits_least = 0, .lines = {"Cannot reach the master " FROM}},
    {.name = "one who accepts and closes", .greet = hang_up, .visits_least = 4, .grows = true,
     .lines = {"No connection with " FROM ": the connection broke"}},
    {.name = "garbage", .greet = greet_garbage, .visits_least = 4, .grows = true,
     .lines = {"No connection with " FROM ": what came is not the berkeley protocol"}},
    {.name = "one who says nothing", .visits_least = 2, .bye = BYE_TIMEOUT,
     .lines = {"No connection with " FROM ": nothing was heard for too long"}},
    {.name = "WELCOME of another group", .greet = greet_stranger, .visits_least = 4,
     .grows = true, .bye = BYE_GROUP,
     .lines = {"No connection with stranger \\(" FROM "\\): it belongs to another group"}},
    {.name = "CORRECT before WELCOME", .greet = greet_early, .visits_least = 2,
     .bye = BYE_TIMEOUT, .lines = {"Refused a frame of " FROM ".*: out-of-turn"}},
    {.name = "POLL without end before WELCOME", .act = act_talk, .visits_least = 2,
     .bye = BYE_TIMEOUT, .lines = {"Refused a frame of " FROM ".*: out-of-turn"}},
    {.name = "impossible maps", .greet = greet_impossible, .act = act_impossible,
     .visits_least = 1,
     .lines = {"Refused a frame of impossible .*: impossible-map",
               "Refused a frame of impossible .*: late",
               "Refused a frame of impossible .*: stale-samples"}},
    {.name = "a CORRECT out of all ranges", .greet = greet_insane, .visits_least = 4,
     .grows = true, .bye = BYE_PROTOCOL, .lines = {"Refused a frame of insane .*: range"}},
    {.name = "a flood of POLL", .greet = greet_flood, .act = act_flood, .visits_least = 4,
     .grows = true, .lines = {"Following master flood", "Master flood is gone: it sent far more frames"}},
};

#define SCENES (sizeof scenes / sizeof scenes[0])

static struct clocks *clocks;

static void scene_start(struct scene *scene, size_t n)
{
    uint16_t port = harness_port();
    char name[16];
    const char *config;

    snprintf(name, sizeof name, "slave%zu", n);
    config = setup_config(harness, name, port);
    setup_override(harness, config, "slave: { retry_min = \"500 ms\"; retry_max = \"1 min\"; };");
    if (n > 0)
        scene->listener = tcp_listen(harness, port);
    scene->slave = process_start(harness, "--slave", "-v", "-c", config, NULL);
}

static void scene_turn(struct scene *scene)
{
    struct tcp *guest = scene->listener ? tcp_accept(scene->listener, 0) : NULL;

    if (guest) {
        scene->guest = guest;
        if (scene->visited < VISITS_MAX)
            scene->visits[scene->visited++] = setup_now();
        if (scene->greet)
            scene->greet(scene);
    }
    if (scene->guest && scene->act)
        scene->act(scene);
    if (scene->guest)
        frames_hear(scene->guest, &scene->hearing);
    if (scene->hearing.closed) {
        scene->hearing.closed = false;
        scene->guest = NULL;
    }
}

/* Everything that the tests look at happens here. */
static bool play(void)
{
    const char *paths[SCENES];
    int64_t deadline;

    for (size_t i = 0; i < SCENES; i++) {
        scene_start(&scenes[i], i);
        paths[i] = harness_path(harness, "slave%zu.clock", i);
    }
    clocks = clocks_open(harness, paths, SCENES, 10);
    if (!clocks)
        return false;
    deadline = harness_deadline(SECONDS);
    do
        for (size_t i = 0; i < SCENES; i++)
            scene_turn(&scenes[i]);
    while (harness_wait(harness, deadline));
    return true;
}

static int end(void **state)
{
    (void)state;
    return harness_free(harness) ? 0 : -1;
}

/* Each wait is twice the one before, +-25 % each: 2.4 times the last but one at least. */
static void expect_growing(const struct scene *scene)
{
    for (unsigned i = 3; i < scene->visited; i++) {
        double wait = scene->visits[i] - scene->visits[i - 1];
        double earlier = scene->visits[i - 2] - scene->visits[i - 3];

        if (wait <= earlier)
            fail_msg("it waited %.2f s before visit %u, %.2f s before visit %u", earlier, i - 2,
                     wait, i);
    }
}

static void test_scene(void **state)
{
    struct scene *scene = *state;
    size_t n = (size_t)(scene - scenes);

    assert_true(process_running(scene->slave));
    assert_true(scene->visited >= scene->visits_least);
    assert_true(scene->visited < VISITS_MAX / 4);
    if (scene->grows)
        expect_growing(scene);
    if (scene->bye)
        assert_true(scene->hearing.byes[scene->bye] > 0);
    for (size_t i = 0; i < 3 && scene->lines[i]; i++)
        assert_true(process_wait_line(scene->slave, scene->lines[i], 0));
    assert_int_equal(process_count_lines(scene->slave, "Synchronised|Panic|Stepped"), 0);
    /* The first has never heard anybody. */
    assert_in_range(clocks_spread(clocks, UINT64_C(1) | UINT64_C(1) << n), 0, UNMOVED_NS);
    assert_int_equal(clocks_backward(clocks, n), 0);
    assert_int_equal(process_stop(scene->slave), 0);
}

int main(void)
{
    struct CMUnitTest tests[SCENES];

    for (size_t i = SCENES; i-- > 0;)
        tests[i] = (struct CMUnitTest){
            .name = scenes[i].name, .test_func = test_scene, .initial_state = &scenes[i]};
    /* Not a fixture of the group: its state would take the place of the tests' own. */
    harness = harness_new();
    return play() ? cmocka_run_group_tests(tests, NULL, end) : EXIT_FAILURE;
}
