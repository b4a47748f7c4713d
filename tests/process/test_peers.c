/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What comes to an open port.  Each scene is a master with one honest slave and
 * somebody who misbehaves; all scenes run at the same time, before the tests look.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "frames.h"
#include "setup.h"

/* Longer than what closes silent peers: 5 s before HELLO, 10 s after it, and a tick. */
#define SIEGE_SECONDS 13
#define TURNS_PER_SECOND 50 /* at most: what harness_wait() lasts */
#define BEAT_TOLERANCE 4    /* rounds, 2 s */
#define CROWD 40

/* Most that a master may have grown by: 200 connections of 25 KiB (buffers of 1.3
 * KiB, an estimator, an event source) and 3 MiB for the journal's and the heap's
 * own.  The address sanitizer keeps what was freed. */
#ifdef __SANITIZE_ADDRESS__
#define RSS_LIMIT_KIB (300L * 1024)
#else
#define RSS_LIMIT_KIB (8L * 1024)
#endif

struct scene {
    const char *name;
    void (*act)(struct scene *scene); /* every turn */
    const char *override;             /* of the master's configuration */
    enum bye_reason bye;              /* is said to the misbehaved; 0: not asked for */
    unsigned closed_least;            /* connections that the master ended */
    const char *lines[3];             /* the master says */

    uint16_t port;
    struct process *master, *slave;
    size_t master_said, slave_said;
    double seconds;
    long rss_kib;
    struct tcp *peers[CROWD];
    struct hearing hearing;
    unsigned turn, opened, closed, answered;
};

static struct harness *harness;

static uint64_t random_next(void)
{
    static uint64_t state;

    if (state == 0) {
        const char *seed = getenv("BERKELEY_TEST_SEED");

        state = seed ? strtoull(seed, NULL, 0) : 1;
        printf("# seed %llu\n", (unsigned long long)state);
        state = state * UINT64_C(2862933555777941757) + UINT64_C(3037000493);
    }
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void random_fill(uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(random_next() >> 24);
}

/* The n-th connection; opened (true) if there was none. */
static bool open_peer(struct scene *scene, size_t n)
{
    if (scene->peers[n])
        return false;
    scene->peers[n] = tcp_connect(harness, scene->port);
    scene->opened += scene->peers[n] != NULL;
    return scene->peers[n] != NULL;
}

static void hear(struct scene *scene, size_t n)
{
    if (!scene->peers[n])
        return;
    frames_hear(scene->peers[n], &scene->hearing);
    if (!scene->hearing.closed)
        return;
    scene->hearing.closed = false;
    scene->peers[n] = NULL;
    scene->closed++;
}

static bool every(const struct scene *scene, unsigned turns)
{
    return scene->turn % turns == 0;
}

static void say_hello(struct scene *scene, size_t n, const char *name)
{
    struct wire_frame hello = frames_hello(name);

    if (open_peer(scene, n))
        frames_send(scene->peers[n], &hello);
}

static void act_half_open(struct scene *scene)
{
    if (scene->turn == 0)
        open_peer(scene, 0);
    hear(scene, 0);
}

/* A byte of HELLO now and then: too slow to be one. */
static void act_trickle(struct scene *scene)
{
    struct wire_frame hello = frames_hello("trickle");
    uint8_t bytes[WIRE_FRAME_MAX];

    frames_encode(&hello, bytes);
    if (scene->turn == 0)
        open_peer(scene, 0);
    if (scene->peers[0] && every(scene, 20))
        tcp_send(scene->peers[0], bytes + scene->turn / 20, 1);
    hear(scene, 0);
}

/* HELLO by single bytes is still one. */
static void act_bytewise(struct scene *scene)
{
    struct wire_frame hello = frames_hello("bytewise");
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length = frames_encode(&hello, bytes);

    if (scene->turn == 0)
        open_peer(scene, 0);
    for (size_t at = 2UL * scene->turn; at <= 2UL * scene->turn + 1; at++)
        if (scene->peers[0] && at < length)
            tcp_send(scene->peers[0], bytes + at, 1);
    hear(scene, 0);
}

static void shout(struct scene *scene, const void *bytes, size_t length)
{
    if (every(scene, 10) && open_peer(scene, 0))
        tcp_send(scene->peers[0], bytes, length);
    hear(scene, 0);
}

static void act_random(struct scene *scene)
{
    uint8_t bytes[700];

    random_fill(bytes, sizeof bytes);
    shout(scene, bytes, 8 + random_next() % (sizeof bytes - 8));
}

static void act_http(struct scene *scene)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost:5525\r\n\r\n";

    shout(scene, request, strlen(request));
}

static void act_tls(struct scene *scene)
{
    /* A record of 512 bytes, version 3.1; in it a ClientHello, version 3.3. */
    uint8_t record[517] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};

    random_fill(record + 11, sizeof record - 11);
    shout(scene, record, sizeof record);
}

static void act_version(struct scene *scene)
{
    struct wire_frame hello = frames_hello("future");
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length = frames_encode(&hello, bytes);

    bytes[0] = WIRE_VERSION + 1;
    shout(scene, bytes, length);
}

static void act_scan(struct scene *scene)
{
    for (int i = 0; i < 20 && scene->opened < 200; i++) {
        struct tcp *tcp = tcp_connect(harness, scene->port);

        scene->opened += tcp != NULL;
        if (tcp && i % 2)
            tcp_reset(tcp);
        else if (tcp)
            tcp_close(tcp);
    }
}

static void act_silent(struct scene *scene)
{
    if (scene->turn == 0)
        say_hello(scene, 0, "silent");
    hear(scene, 0);
}

/* Talks, and never reads: nothing of what is told to it may queue up. */
static void act_deaf(struct scene *scene)
{
    struct wire_frame report = frames_report();
    int size = 1;

    if (scene->turn == 0) {
        say_hello(scene, 0, "deaf");
        setsockopt(tcp_fd(scene->peers[0]), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
    if (every(scene, TURNS_PER_SECOND))
        frames_send(scene->peers[0], &report);
}

static void act_flood(struct scene *scene)
{
    struct wire_frame report = frames_report();
    bool took = true;

    say_hello(scene, 0, "flood");
    for (int i = 0; i < 500 && took && scene->peers[0]; i++)
        took = frames_send(scene->peers[0], &report);
    hear(scene, 0);
}

static void act_torrent(struct scene *scene)
{
    uint8_t bytes[16384];

    random_fill(bytes, sizeof bytes);
    open_peer(scene, 0);
    if (scene->peers[0])
        send(tcp_fd(scene->peers[0]), bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    hear(scene, 0);
}

/* The answer to the last POLL, with these stamps. */
static void answer(struct scene *scene, int64_t raw_ns, int64_t total_ns, int64_t freq_fs)
{
    const struct wire_poll *poll = &scene->hearing.last[WIRE_POLL].poll;
    struct wire_frame frame = {.type = WIRE_REPLY, .sequence = scene->turn + 1};
    struct wire_reply *reply = &frame.reply;

    if (!scene->peers[0] || scene->hearing.frames[WIRE_POLL] == scene->answered)
        return;
    scene->answered = scene->hearing.frames[WIRE_POLL];
    reply->round = poll->round;
    reply->exchange = poll->exchange;
    reply->t1_raw_ns = poll->departure.sent.raw_ns;
    reply->t2_raw_ns = reply->departure.sent.raw_ns = raw_ns;
    reply->departure.sent.total_ns = total_ns;
    reply->freq_fs = freq_fs;
    frames_send(scene->peers[0], &frame);
}

static void act_frozen(struct scene *scene)
{
    say_hello(scene, 0, "frozen");
    hear(scene, 0);
    answer(scene, 0, 0, 0);
}

/* Its clock goes backward as fast as real ones go forward, from as far away as can be said. */
static void act_far(struct scene *scene)
{
    int64_t raw_ns = scene->hearing.last[WIRE_POLL].poll.departure.sent.raw_ns;

    say_hello(scene, 0, "far");
    hear(scene, 0);
    answer(scene, -raw_ns, 1 - TIMESTAMP_LIMIT_NS, -WIRE_FREQ_LIMIT_FS);
}

static void act_lottery(struct scene *scene)
{
    say_hello(scene, 0, "lottery");
    hear(scene, 0);
    answer(scene, (int64_t)(random_next() >> (3 + random_next() % 40)),
           (int64_t)(random_next() >> 2) - TIMESTAMP_LIMIT_NS / 2,
           (int64_t)(random_next() % (uint64_t)WIRE_FREQ_LIMIT_FS));
}

/* Two of this name fill the house of three; a fourth comes, then many who only stand there. */
static void act_crowd(struct scene *scene)
{
    struct wire_frame report = frames_report();

    if (scene->turn == 0) {
        say_hello(scene, 0, "crowd-one");
        say_hello(scene, 1, "crowd-two");
    }
    for (size_t i = 0; i < 2 && every(scene, TURNS_PER_SECOND) && scene->peers[i]; i++)
        frames_send(scene->peers[i], &report);
    if (scene->turn == TURNS_PER_SECOND)
        say_hello(scene, 2, "crowd-three");
    for (size_t i = 3; i < CROWD && scene->turn == 2 * TURNS_PER_SECOND; i++)
        open_peer(scene, i);
    for (size_t i = 0; i < CROWD; i++)
        hear(scene, i);
}

#define FROM "127\\.0\\.0\\.1 port [0-9]+"
#define NOT_OURS "No connection with " FROM ": what came is not the berkeley protocol"

static struct scene scenes[] = {
    {.name = "a half-open connection", .act = act_half_open, .bye = BYE_TIMEOUT,
     .closed_least = 1, .lines = {"No connection with " FROM ": nothing was heard for too long"}},
    {.name = "a HELLO that never ends", .act = act_trickle, .bye = BYE_TIMEOUT,
     .closed_least = 1, .lines = {"No connection with " FROM ": nothing was heard for too long"}},
    {.name = "a HELLO byte by byte", .act = act_bytewise,
     .lines = {"Slave bytewise joined from " FROM}},
    {.name = "random bytes", .act = act_random, .closed_least = 10, .lines = {NOT_OURS}},
    {.name = "an HTTP request", .act = act_http, .closed_least = 10, .lines = {NOT_OURS}},
    {.name = "a TLS hello", .act = act_tls, .closed_least = 10,
     .lines = {"No connection with " FROM ": its key was .*is missing on one of the two"}},
    {.name = "another version", .act = act_version, .bye = BYE_VERSION, .closed_least = 10,
     .lines = {"No connection with " FROM ": the two speak different versions"}},
    {.name = "a port scan", .act = act_scan},
    {.name = "HELLO, then silence", .act = act_silent, .bye = BYE_TIMEOUT, .closed_least = 1,
     .lines = {"Slave silent joined from " FROM, "Slave silent left: nothing was heard for too long"}},
    {.name = "HELLO, then never reading", .act = act_deaf,
     .lines = {"Slave deaf joined from " FROM}},
    {.name = "a flood of valid frames", .act = act_flood, .closed_least = 2,
     .lines = {"Slave flood joined from " FROM, "Slave flood left: it sent far more frames"}},
    {.name = "a flood of garbage", .act = act_torrent, .closed_least = 10, .lines = {NOT_OURS}},
    {.name = "a clock that stands still", .act = act_frozen},
    {.name = "a clock that goes backward", .act = act_far},
    {.name = "stamps of all kinds", .act = act_lottery},
    {.name = "a full house", .act = act_crowd,
     .override = "master: { max_slaves = 3; }; limits: { handshakes = 16; };",
     .bye = BYE_FULL, .closed_least = 1,
     .lines = {"No connection with crowd-three \\(" FROM "\\): the master has no room",
               "Refused [0-9]+ connections?, the last from " FROM ": as many as allowed"}},
};

#define SCENES (sizeof scenes / sizeof scenes[0])

static void scene_start(struct scene *scene, size_t n)
{
    char name[16];
    const char *master, *slave;

    scene->port = harness_port();
    snprintf(name, sizeof name, "master%zu", n);
    master = setup_config(harness, name, scene->port);
    snprintf(name, sizeof name, "honest%zu", n);
    slave = setup_config(harness, name, scene->port);
    if (scene->override)
        setup_override(harness, master, scene->override);
    scene->master = process_start(harness, "--master", "-v", "-c", master, NULL);
    scene->slave = process_start(harness, "--slave", "-v", "-c", slave, NULL);
}

static bool scenes_ready(void)
{
    for (size_t i = 0; i < SCENES; i++)
        if (!process_wait_line(scenes[i].slave, "Synchronised: ", 30))
            return false;
    return true;
}

/* Everything that the tests look at happens here. */
static bool siege(void)
{
    double start;
    int64_t deadline;

    for (size_t i = 0; i < SCENES; i++)
        scene_start(&scenes[i], i);
    if (!scenes_ready())
        return false;
    for (size_t i = 0; i < SCENES; i++) {
        scenes[i].rss_kib = setup_rss(scenes[i].master);
        scenes[i].master_said = setup_said(scenes[i].master);
        scenes[i].slave_said = setup_said(scenes[i].slave);
    }
    start = setup_now();
    deadline = harness_deadline(SIEGE_SECONDS);
    do {
        for (size_t i = 0; i < SCENES; i++) {
            scenes[i].act(&scenes[i]);
            scenes[i].turn++;
        }
    } while (harness_wait(harness, deadline));
    for (size_t i = 0; i < SCENES; i++)
        scenes[i].seconds = setup_now() - start;
    return true;
}

static int end(void **state)
{
    (void)state;
    return harness_free(harness) ? 0 : -1;
}

static void expect_beat(struct process *process, size_t from, double seconds)
{
    struct rounds rounds = setup_rounds(process, from);

    if (!rounds.gapless || rounds.count + BEAT_TOLERANCE < seconds / SETUP_INTERVAL ||
        rounds.count > seconds / SETUP_INTERVAL + BEAT_TOLERANCE)
        fail_msg("%u rounds in %.1f s, from %u to %u:\n%s", rounds.count, seconds, rounds.first,
                 rounds.last, process_stderr(process) + from);
}

static void test_scene(void **state)
{
    struct scene *scene = *state;
    long rss_kib;

    assert_true(process_running(scene->master));
    assert_true(process_running(scene->slave));
    rss_kib = setup_rss(scene->master);
    assert_in_range(rss_kib, 1, scene->rss_kib + RSS_LIMIT_KIB);
    expect_beat(scene->master, scene->master_said, scene->seconds);
    expect_beat(scene->slave, scene->slave_said, scene->seconds);
    assert_int_equal(process_count_lines(scene->slave, "Master .* is gone"), 0);
    assert_int_not_equal(scene->opened, 0);
    assert_true(scene->closed >= scene->closed_least);
    if (scene->bye)
        assert_true(scene->hearing.byes[scene->bye] > 0);
    for (size_t i = 0; i < 3 && scene->lines[i]; i++)
        assert_true(process_wait_line(scene->master, scene->lines[i], 0));
}

int main(void)
{
    struct CMUnitTest tests[SCENES];

    for (size_t i = 0; i < SCENES; i++)
        tests[i] = (struct CMUnitTest){
            .name = scenes[i].name, .test_func = test_scene, .initial_state = &scenes[i]};
    /* Not a fixture of the group: its state would take the place of the tests' own. */
    harness = harness_new();
    return siege() ? cmocka_run_group_tests(tests, NULL, end) : EXIT_FAILURE;
}
