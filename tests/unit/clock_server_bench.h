/* SPDX-License-Identifier: BSD-2-Clause */
/* A clock_server over a virtual kernel, with its loop, and one that asks it. */
#ifndef BERKELEY_TESTS_CLOCK_SERVER_BENCH_H
#define BERKELEY_TESTS_CLOCK_SERVER_BENCH_H

#include "daemon/clock_server.h"

#include "clock_socket.h"
#include "policed_clock.h"

struct bench {
    char path[SOCKET_PATH_SIZE];
    struct virtual_kernel kernel;
    sd_event *loop;
    struct clock_server *server;
};

static inline int bench_open(void **state, const struct clock_limits *limits)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct kernel_port port;
    int listener;

    assert_non_null(bench);
    socket_place(bench->path);
    assert_return_code(sd_event_new(&bench->loop), 0);
    port = virtual_port(&bench->kernel, NULL);
    listener = clock_server_listen(bench->path);
    assert_true(listener >= 0);
    assert_int_equal(clock_server_new(bench->loop, listener, &port, limits, &bench->server), 0);
    *state = bench;
    return 0;
}

static inline int bench_close(void **state)
{
    struct bench *bench = *state;

    clock_server_free(bench->server);
    sd_event_unref(bench->loop);
    socket_remove(bench->path);
    assert_int_equal(bench->kernel.released, 1);
    free(bench);
    return 0;
}

/* All that is pending. */
static inline void bench_run(struct bench *bench)
{
    int r;

    do
        r = sd_event_run(bench->loop, 0);
    while (r > 0);
    assert_return_code(r, -r);
}

static inline int bench_send(int fd, const struct clock_call *call)
{
    return send(fd, call, sizeof *call, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof *call;
}

static inline struct clock_call bench_ask(struct bench *bench, int fd,
                                          const struct clock_call *call)
{
    struct clock_call answer;

    assert_true(bench_send(fd, call));
    bench_run(bench);
    assert_int_equal(recv(fd, &answer, sizeof answer, MSG_DONTWAIT), sizeof answer);
    assert_int_equal(answer.version, CLOCK_CALL_VERSION);
    assert_int_equal(answer.sequence, call->sequence);
    return answer;
}

static inline int bench_call(struct bench *bench, int fd, struct timex timex)
{
    struct clock_call call = call_of(timex);

    return bench_ask(bench, fd, &call).result;
}

static inline void bench_gone(struct bench *bench, int fd)
{
    char byte;

    bench_run(bench);
    assert_true(recv(fd, &byte, 1, MSG_DONTWAIT) <= 0 && errno != EAGAIN);
    assert_int_equal(close(fd), 0);
}

#endif
