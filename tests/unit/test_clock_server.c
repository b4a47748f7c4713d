/* SPDX-License-Identifier: BSD-2-Clause */
#include "clock_server_bench.h"

static int setup(void **state)
{
    return bench_open(state, &usual_limits);
}

static int setup_observing(void **state)
{
    return bench_open(state, &(struct clock_limits){.adjust = false});
}

static void assert_served(struct bench *bench, int fd)
{
    assert_int_equal(bench_call(bench, fd, (struct timex){.modes = 0}), TIME_ERROR);
}

static void calls_are_carried_out(void **state)
{
    struct bench *bench = *state;
    int fd = socket_connect(bench->path);
    struct timex timex = steer_call(80000, true), got;
    struct clock_call call, answer;

    timex.freq = 20 * PPM;
    call = call_of(timex);
    answer = bench_ask(bench, fd, &call);
    assert_int_equal(answer.result, TIME_OK);
    clock_call_get(&answer, &got);
    assert_int_equal(got.freq, 20 * PPM);
    assert_near(got.offset, 80000, 1);
    assert_int_equal(got.status, STA_PLL | STA_FREQHOLD | STA_NANO);
    assert_int_equal(got.tick, 10000);
    assert_int_equal(got.maxerror, bench->kernel.model.maxerror_us);
    assert_int_equal(got.time.tv_sec, REAL0 / NS_PER_S);
    assert_int_equal(got.time.tv_usec, REAL0 % NS_PER_S);
    assert_int_equal(bench->kernel.writes, 1);
    assert_int_equal(lines, 0);
    close(fd);
    bench_run(bench);
}

static void refusals_are_told(void **state)
{
    struct bench *bench = *state;
    int fd = socket_connect(bench->path);

    assert_int_equal(bench_call(bench, fd, (struct timex){.modes = ADJ_TAI}), -EPERM);
    assert_int_equal(lines, 1);
    assert_non_null(strstr(heard, "Refused"));
    assert_int_equal(bench->kernel.writes, 0);
    assert_int_equal(bench_call(bench, fd, adjtime_call(10000000)), TIME_ERROR);
    assert_int_equal(lines, 2);
    assert_non_null(strstr(heard, "Limited"));
    assert_int_equal(bench->kernel.model.singleshot_us, 500000);
    bench->kernel.error = -EIO;
    assert_int_equal(bench_call(bench, fd, (struct timex){.modes = 0}), -EIO);
    bench->kernel.error = 0;
    assert_int_equal(lines, 2);
    close(fd);
    bench_run(bench);
}

static void garbage_ends_the_connection(void **state)
{
    struct bench *bench = *state;
    struct clock_call call = call_of(steer_call(80000, true)), bad;
    char bytes[2 * sizeof call] = {0};
    static const size_t sizes[] = {0, 1, sizeof call - 1, sizeof call + 1, 2 * sizeof call};

    memcpy(bytes, &call, sizeof call);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int fd = socket_connect(bench->path);

        assert_int_equal(send(fd, bytes, sizes[i], 0), sizes[i]);
        bench_gone(bench, fd);
    }
    for (int i = 0; i < 2; i++) {
        int fd = socket_connect(bench->path);

        bad = call;
        bad.version += i == 0;
        bad.result = i == 1;
        assert_true(bench_send(fd, &bad));
        bench_gone(bench, fd);
    }
    assert_int_equal(bench->kernel.writes, 0);
    int fd = socket_connect(bench->path);
    assert_served(bench, fd);
    close(fd);
    bench_run(bench);
}

static void late_calls_are_not_carried_out(void **state)
{
    struct bench *bench = *state;
    int fd = socket_connect(bench->path);
    struct clock_call call = call_of(steer_call(80000, true));

    call.deadline_ns = clock_call_now_ns() - 1;
    assert_int_equal(bench_ask(bench, fd, &call).result, -ETIMEDOUT);
    assert_int_equal(bench->kernel.writes, 0);
    assert_served(bench, fd);
    close(fd);
    bench_run(bench);
}

static void a_second_client_is_refused(void **state)
{
    struct bench *bench = *state;
    struct clock_call call = call_of(steer_call(80000, true));
    int first = socket_connect(bench->path), second;

    assert_served(bench, first);
    second = socket_connect(bench->path);
    assert_true(bench_send(second, &call));
    bench_gone(bench, second);
    assert_int_equal(bench->kernel.writes, 0);
    assert_int_equal(lines, 1);
    assert_non_null(strstr(heard, "second"));
    assert_served(bench, first);

    /* Both are known at the same time: that it went, and that there is another. */
    close(first);
    second = socket_connect(bench->path);
    assert_served(bench, second);
    close(second);
    bench_run(bench);
}

/* A fast start, as clock_kernel orders it. */
static void order_opposed(struct bench *bench, int fd)
{
    assert_int_equal(bench_call(bench, fd, steer_call(400 * NS_PER_MS, false)), TIME_ERROR);
    assert_int_equal(bench_call(bench, fd, adjtime_call(-300000)), TIME_ERROR);
    assert_int_equal(bench->kernel.model.singleshot_us, -300000);
}

static void assert_tidy(const struct bench *bench)
{
    assert_int_equal(bench->kernel.model.status & (STA_PLL | STA_FREQHOLD), 0);
    assert_int_equal(bench->kernel.model.singleshot_us, 0);
    assert_int_equal(bench->kernel.model.offset_scaled, 0);
}

static void a_client_that_is_gone_leaves_a_tidy_clock(void **state)
{
    struct bench *bench = *state;
    int fd = socket_connect(bench->path);

    order_opposed(bench, fd);
    close(fd);
    bench_run(bench);
    assert_tidy(bench);
    assert_int_equal(lines, 0);

    fd = socket_connect(bench->path);
    order_opposed(bench, fd);
    assert_int_equal(send(fd, "garbage", 7, 0), 7);
    bench_gone(bench, fd);
    assert_tidy(bench);
}

static void so_does_a_server_that_ends(void **state)
{
    struct bench *bench = *state;
    int fd = socket_connect(bench->path);

    order_opposed(bench, fd);
    clock_server_free(bench->server);
    bench->server = NULL;
    assert_tidy(bench);
    close(fd);
}

static void what_was_left_behind_is_tidied(void **state)
{
    struct bench *bench = *state;
    struct clock_server *server;
    struct kernel_port port = virtual_port(&bench->kernel, NULL);
    struct timex timex = steer_call(400 * NS_PER_MS, false);
    char path[SOCKET_PATH_SIZE];

    (void)timex_model_adjust(&bench->kernel.model, RAW0, &timex);
    timex = adjtime_call(-300000);
    (void)timex_model_adjust(&bench->kernel.model, RAW0, &timex);
    socket_place(path);
    assert_int_equal(
        clock_server_new(bench->loop, clock_server_listen(path), &port, &usual_limits, &server), 0);
    assert_tidy(bench);
    clock_server_free(server);
    bench->kernel.released = 0;
    socket_remove(path);
}

static void a_clock_of_others_is_left_alone(void **state)
{
    struct bench *bench = *state;
    int fd;

    bench->kernel.model.status = STA_PLL | STA_FREQHOLD | STA_NANO;
    fd = socket_connect(bench->path);
    assert_int_equal(bench_call(bench, fd, (struct timex){.modes = 0}), TIME_OK);
    assert_int_equal(bench_call(bench, fd, steer_call(1, true)), -EPERM);
    close(fd);
    bench_run(bench);
    assert_int_equal(bench->kernel.writes, 0);
}

static void what_is_allowed_once_is_so_for_all_clients(void **state)
{
    struct bench *bench = *state;
    int fd = socket_connect(bench->path);

    assert_int_equal(bench_call(bench, fd, step_call(NS_PER_S)), TIME_ERROR);
    close(fd);
    fd = socket_connect(bench->path);
    assert_int_equal(bench_call(bench, fd, step_call(NS_PER_S)), -EPERM);
    assert_int_equal(bench_call(bench, fd, steer_call(0, true)), TIME_OK);
    close(fd);
    fd = socket_connect(bench->path);
    assert_int_equal(bench_call(bench, fd, steer_call(400 * NS_PER_MS, false)), TIME_ERROR);
    assert_near(bench->kernel.model.offset_scaled * TIMEX_MODEL_HZ >> 32, 2 * NS_PER_MS, 1);
    close(fd);
    bench_run(bench);
}

/* What no second delivered, since the clock was tidied, is nothing to be taken back. */
static void connecting_anew_allows_no_more(void **state)
{
    struct bench *bench = *state;
    const struct timex_model *model = &bench->kernel.model;
    int64_t ns, raw_ns = model->raw_ns;

    for (int i = 0; i < 20; i++) {
        int fd = socket_connect(bench->path);

        (void)bench_call(bench, fd, steer_call(500 * NS_PER_MS, true));
        (void)bench_call(bench, fd, adjtime_call(-1));
        close(fd);
        fd = socket_connect(bench->path);
        (void)bench_call(bench, fd, steer_call(-500 * NS_PER_MS, true));
        (void)bench_call(bench, fd, adjtime_call(-500000));
        pass_boundary(&bench->kernel, 10 * NS_PER_MS);
        close(fd);
    }
    bench_run(bench);
    raw_ns = model->raw_ns - raw_ns;
    ns = model->real_ns - REAL0 - raw_ns;
    /* Two slews. */
    assert_in_range(-ns, 0, (uintmax_t)(2 * usual_limits.max_slew_ppm * 1.02e-6 * (double)raw_ns));
}

/* The same kernel anew, as after a restart of the server. */
static void serve_again(struct bench *bench, const char *marker)
{
    struct kernel_port port;

    clock_server_free(bench->server);
    port = virtual_port(&bench->kernel, NULL);
    assert_int_equal(clock_server_new(bench->loop, clock_server_listen(bench->path), &port,
                                      &usual_limits, &bench->server),
                     0);
    clock_server_remember(bench->server, marker);
}

static void once_synchronised_no_clock_is_set_forward(void **state)
{
    static const bool synchronised[] = {false, true};
    struct bench *bench = *state;
    char marker[SOCKET_PATH_SIZE + 16];

    (void)snprintf(marker, sizeof marker, "%s.synchronised", bench->path);
    for (int i = 0; i < 2; i++) {
        serve_again(bench, marker);
        int fd = socket_connect(bench->path);
        assert_int_equal(bench_call(bench, fd, step_call(NS_PER_S)), TIME_ERROR);
        (void)bench_call(bench, fd, steer_call(0, synchronised[i]));
        assert_int_equal(access(marker, F_OK) == 0, synchronised[i]);
        close(fd);
    }
    serve_again(bench, marker);
    int fd = socket_connect(bench->path);
    assert_int_equal(bench_call(bench, fd, step_call(NS_PER_S)), -EPERM);
    assert_served(bench, fd);
    close(fd);
    assert_int_equal(unlink(marker), 0);
}

static void limits_can_be_changed(void **state)
{
    struct bench *bench = *state;
    struct clock_limits limits = usual_limits;
    int fd = socket_connect(bench->path);

    assert_int_equal(bench_call(bench, fd, steer_call(0, true)), TIME_OK);
    limits.max_slew_ppm = 1000;
    clock_server_limit(bench->server, &limits);
    assert_int_equal(bench_call(bench, fd, steer_call(4 * NS_PER_MS, true)), TIME_OK);
    assert_int_equal(lines, 0);
    assert_int_equal(bench_call(bench, fd, steer_call(5 * NS_PER_MS, true)), TIME_OK);
    assert_int_equal(lines, 1);
    close(fd);
    bench_run(bench);
}

/* Its own answers would wait for ever. */
static void a_client_that_does_not_read_is_dropped(void **state)
{
    struct bench *bench = *state;
    struct clock_call call = call_of((struct timex){.modes = 0});
    int fd = socket_connect(bench->path);
    int sent = 0;

    while (sent < 100000 && bench_send(fd, &call)) {
        sent++;
        bench_run(bench);
    }
    assert_true(sent < 100000);
    close(fd);
    bench_run(bench);
    fd = socket_connect(bench->path);
    assert_served(bench, fd);
    close(fd);
    bench_run(bench);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, bench_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_are_carried_out),
        TEST(refusals_are_told),
        TEST(garbage_ends_the_connection),
        TEST(late_calls_are_not_carried_out),
        TEST(a_second_client_is_refused),
        TEST(a_client_that_is_gone_leaves_a_tidy_clock),
        TEST(so_does_a_server_that_ends),
        TEST(what_was_left_behind_is_tidied),
        cmocka_unit_test_setup_teardown(a_clock_of_others_is_left_alone, setup_observing,
                                        bench_close),
        TEST(what_is_allowed_once_is_so_for_all_clients),
        TEST(connecting_anew_allows_no_more),
        TEST(once_synchronised_no_clock_is_set_forward),
        TEST(limits_can_be_changed),
        TEST(a_client_that_does_not_read_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
