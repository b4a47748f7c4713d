/* SPDX-License-Identifier: BSD-2-Clause */
#include "witness.h"

#include "aside.h"
#include "frames.h"
#include "harness_part.h"
#include "sealed.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 4096
#define FIGURES_MAX ((size_t)ROUNDS_MAX * WIRE_EXCHANGES_MAX)
#define PATIENCE_MS 10000

/* 0: has not happened.  Sent: by the master's own stamps.  Else CLOCK_REALTIME, of what came by
 * the kernel, so that it does not matter when this process had its turn. */
struct round {
    uint32_t number;
    int64_t poll_sent_ns[WIRE_EXCHANGES_MAX], correct_sent_ns;
    int64_t replied_ns, corrected_ns;
};

struct witness {
    struct secret_key key;
    uint16_t port;
    struct aside *aside; /* of the starter's */
    size_t marked;       /* likewise */
    int64_t interval_ns;
    _Atomic size_t count; /* of rounds; the last is under way */
    struct round rounds[ROUNDS_MAX];
    uint32_t sequence;
};

/* --- beside the test --- */

static int64_t time_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static bool wait_for(const struct sealed *line)
{
    struct pollfd ready = {.fd = sealed_fd(line), .events = POLLIN};

    return poll(&ready, 1, PATIENCE_MS) > 0;
}

static struct sealed *join(const struct witness *witness)
{
    struct sealed *line = sealed_new(sealed_socket(witness->port), &witness->key);
    struct wire_frame hello = frames_hello("witness");
    int r;

    sealed_ask_arrival(line);
    hello.hello.kind = CLOCK_KIND_OBSERVED;
    do
        r = sealed_step(line);
    while (r == -EAGAIN && wait_for(line));
    return r == 0 && sealed_say(line, &hello) == 0 ? line : NULL;
}

/* A clock that shows the host's RAW. */
static void reply(struct witness *witness, struct sealed *line, const struct wire_poll *poll)
{
    struct wire_frame frame = {.type = WIRE_REPLY, .sequence = ++witness->sequence};

    frame.reply.round = poll->round;
    frame.reply.exchange = poll->exchange;
    frame.reply.t1_raw_ns = poll->departure.sent.raw_ns;
    frame.reply.t2_raw_ns = frame.reply.departure.sent.raw_ns = time_ns(CLOCK_MONOTONIC_RAW);
    frame.reply.bound_ns = frame.reply.offset_sd_ns = INT64_MAX;
    (void)sealed_say(line, &frame);
}

static struct round *round_of(struct witness *witness, uint32_t number)
{
    size_t count = witness->count;

    if (count > 0 && witness->rounds[count - 1].number == number)
        return &witness->rounds[count - 1];
    if (count == ROUNDS_MAX)
        _exit(0);
    witness->rounds[count].number = number;
    witness->count = count + 1;
    return &witness->rounds[count];
}

static void take_poll(struct witness *witness, struct sealed *line, const struct wire_poll *poll)
{
    struct round *round = round_of(witness, poll->round);

    round->poll_sent_ns[poll->exchange] = poll->departure.sent.raw_ns;
    reply(witness, line, poll);
    round->replied_ns = time_ns(CLOCK_REALTIME);
}

static void take(struct witness *witness, struct sealed *line, const struct hearing *hearing)
{
    int64_t now_ns = sealed_arrival(line);

    if (hearing->frames[WIRE_WELCOME] > 0)
        witness->interval_ns = hearing->last[WIRE_WELCOME].welcome.interval_ns;
    if (hearing->frames[WIRE_POLL] > 0)
        take_poll(witness, line, &hearing->last[WIRE_POLL].poll);
    if (hearing->frames[WIRE_CORRECT] > 0) {
        const struct wire_correct *correct = &hearing->last[WIRE_CORRECT].correct;
        struct round *round = round_of(witness, correct->round);

        round->correct_sent_ns = correct->departure.sent.raw_ns;
        round->corrected_ns = now_ns;
    }
}

static void witness_run(void *shared)
{
    struct witness *witness = shared;
    struct sealed *line = join(witness);

    witness->sequence = 1;
    while (line && wait_for(line)) {
        struct hearing hearing = {.closed = false};

        sealed_hear(line, &hearing);
        if (hearing.closed)
            break;
        take(witness, line, &hearing);
    }
}

/* --- the test's --- */

struct witness *witness_start(struct harness *harness, uint16_t port, const struct secret_key *key)
{
    struct witness *given = harness_alloc(sizeof(*given)), *witness;
    struct aside *aside;

    given->port = port;
    given->key = *key;
    aside = aside_start(harness, witness_run, given, sizeof(*given));
    free(given);
    witness = aside_shared(aside);
    witness->aside = aside;
    return witness;
}

void witness_mark(struct witness *witness)
{
    witness->marked = witness->count;
}

bool witness_wait(struct harness *harness, struct witness *witness, unsigned rounds, double seconds)
{
    size_t wanted = witness->count + rounds;
    int64_t deadline = harness_deadline(seconds);

    while (witness->count < wanted)
        if (!aside_running(witness->aside) || !harness_wait(harness, deadline))
            return false;
    return true;
}

unsigned witness_rounds(const struct witness *witness, unsigned *missing)
{
    size_t count = witness->count - witness->marked;

    *missing = count == 0 ? 0
                          : (unsigned)(witness->rounds[witness->count - 1].number -
                                       witness->rounds[witness->marked].number + 1 - count);
    return (unsigned)count;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static struct witness_figures judge(double *ms, size_t count)
{
    struct witness_figures figures = {.count = count};

    if (count > 0) {
        qsort(ms, count, sizeof(*ms), compare);
        figures.p50_ms = ms[count / 2];
        figures.p99_ms = ms[count * 99 / 100];
        figures.max_ms = ms[count - 1];
    }
    free(ms);
    return figures;
}

struct witness_figures witness_beat(const struct witness *witness)
{
    double *ms = harness_alloc(FIGURES_MAX * sizeof(*ms));
    size_t count = 0;

    for (size_t i = witness->marked; i + 1 < witness->count; i++) {
        const struct round *round = &witness->rounds[i], *next = round + 1;
        int64_t rounds = (int64_t)(next->number - round->number);

        for (size_t k = 0; k < WIRE_EXCHANGES_MAX; k++)
            if (round->poll_sent_ns[k] && next->poll_sent_ns[k])
                ms[count++] = fabs((double)(next->poll_sent_ns[k] - round->poll_sent_ns[k] -
                                            rounds * witness->interval_ns)) /
                              1e6;
    }
    return judge(ms, count);
}

struct witness_figures witness_length(const struct witness *witness)
{
    double *ms = harness_alloc(FIGURES_MAX * sizeof(*ms));
    size_t count = 0;

    for (size_t i = witness->marked; i < witness->count; i++) {
        const struct round *round = &witness->rounds[i];

        if (round->poll_sent_ns[0] && round->correct_sent_ns)
            ms[count++] = (double)(round->correct_sent_ns - round->poll_sent_ns[0]) / 1e6;
    }
    return judge(ms, count);
}

struct witness_figures witness_answer(const struct witness *witness)
{
    double *ms = harness_alloc(FIGURES_MAX * sizeof(*ms));
    size_t count = 0;

    for (size_t i = witness->marked; i < witness->count; i++)
        if (witness->rounds[i].corrected_ns)
            ms[count++] =
                (double)(witness->rounds[i].corrected_ns - witness->rounds[i].replied_ns) / 1e6;
    return judge(ms, count);
}

pid_t witness_pid(const struct witness *witness)
{
    return aside_pid(witness->aside);
}

void witness_stop(struct witness *witness)
{
    aside_stop(witness->aside);
}
