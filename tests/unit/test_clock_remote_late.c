/* SPDX-License-Identifier: BSD-2-Clause */
/* How long a clock_remote waits for a server that does not answer, or late. */
#include "daemon/clock_remote.h"

#include "clock_socket.h"
#include "daemon/clock_server.h"

/* A server of which every answer is there before its question, or never. */
struct mute {
    char path[SOCKET_PATH_SIZE];
    struct virtual_kernel kernel;
    struct kernel_port port;
    int listener, fd;
    uint32_t asked;
};

static int setup(void **state)
{
    struct mute *mute = calloc(1, sizeof *mute);
    struct kernel_port local;

    assert_non_null(mute);
    socket_place(mute->path);
    local = virtual_port(&mute->kernel, NULL);
    mute->listener = clock_server_listen(mute->path);
    assert_true(mute->listener >= 0);
    assert_int_equal(clock_remote_port(mute->path, &local, &mute->port), 0);
    mute->fd = accept(mute->listener, NULL, NULL);
    assert_true(mute->fd >= 0);
    *state = mute;
    return 0;
}

static int teardown(void **state)
{
    struct mute *mute = *state;

    mute->port.release(mute->port.context);
    close(mute->fd);
    close(mute->listener);
    socket_remove(mute->path);
    free(mute);
    return 0;
}

static void answer(const struct mute *mute, uint32_t sequence)
{
    const struct clock_call call = {.version = CLOCK_CALL_VERSION, .sequence = sequence};

    assert_int_equal(send(mute->fd, &call, sizeof call, MSG_NOSIGNAL), sizeof call);
}

/* How long the client was ready to wait. */
static int64_t ask(struct mute *mute, int result)
{
    int64_t begun_ns = clock_call_now_ns();
    struct timex timex = {.modes = 0};
    struct clock_call call;

    assert_int_equal(mute->port.adjust(mute->port.context, &timex), result);
    assert_int_equal(recv(mute->fd, &call, sizeof call, MSG_DONTWAIT), sizeof call);
    mute->asked = call.sequence;
    return call.deadline_ns - begun_ns;
}

static void who_hangs_is_waited_for_once(void **state)
{
    struct mute *mute = *state;
    int64_t begun_ns;

    answer(mute, 1);
    assert_true(ask(mute, 0) >= CLOCK_REMOTE_FIRST_WAIT_NS);
    begun_ns = clock_call_now_ns();
    assert_true(ask(mute, -ETIMEDOUT) >= CLOCK_REMOTE_WAIT_NS);
    for (int i = 0; i < 20; i++)
        assert_true(ask(mute, -ETIMEDOUT) >= CLOCK_REMOTE_LATE_WAIT_NS);
    assert_true(clock_call_now_ns() - begun_ns < 10 * CLOCK_REMOTE_WAIT_NS);

    /* Well again. */
    answer(mute, mute->asked + 1);
    (void)ask(mute, 0);
    assert_true(ask(mute, -ETIMEDOUT) >= CLOCK_REMOTE_WAIT_NS);
}

/* Slower than the short wait, it would else be taken to hang for ever. */
static void who_is_slow_is_waited_for_again(void **state)
{
    struct mute *mute = *state;

    answer(mute, 1);
    (void)ask(mute, 0);
    (void)ask(mute, -ETIMEDOUT);
    (void)ask(mute, -ETIMEDOUT);
    answer(mute, mute->asked);
    answer(mute, mute->asked + 1);
    assert_true(ask(mute, 0) >= CLOCK_REMOTE_WAIT_NS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_hangs_is_waited_for_once),
        TEST(who_is_slow_is_waited_for_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
