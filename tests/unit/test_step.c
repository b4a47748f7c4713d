/* SPDX-License-Identifier: BSD-2-Clause */
/* Root's permit for a step, from the asking to the clock. */
#include "daemon/step.h"

#include "clock_server_bench.h"

#include <pthread.h>
#include <sys/stat.h>

#define NOBODY 65534
#define BACK_NS (-10800 * NS_PER_S)

static int setup(void **state)
{
    return bench_open(state, &usual_limits);
}

struct asking {
    const char *path;
    int64_t step_ns;
    int result;
    bool done;
};

static void *ask(void *context)
{
    struct asking *asking = context;
    int result = step_permit(asking->path, asking->step_ns);

    asking->result = result;
    __atomic_store_n(&asking->done, true, __ATOMIC_RELEASE);
    return NULL;
}

/* As berkeleyctl does, while the server serves. */
static int permit(struct bench *bench, int64_t step_ns)
{
    struct asking asking = {.path = bench->path, .step_ns = step_ns};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
    while (!__atomic_load_n(&asking.done, __ATOMIC_ACQUIRE))
        assert_return_code(sd_event_run(bench->loop, 1000), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    bench_run(bench);
    return asking.result;
}

/* Connects as another user, who could get at the socket, would. */
static int connect_as(struct bench *bench, uid_t uid)
{
    char directory[SOCKET_PATH_SIZE];
    int fd;

    (void)snprintf(directory, sizeof directory, "%s", bench->path);
    *strrchr(directory, '/') = '\0';
    assert_return_code(chmod(directory, 0755), errno);
    assert_return_code(chmod(bench->path, 0666), errno);
    assert_return_code(seteuid(uid), errno);
    fd = socket_connect(bench->path);
    assert_return_code(seteuid(0), errno);
    return fd;
}

static int32_t permit_over(struct bench *bench, int fd, struct step_permit packet)
{
    assert_int_equal(send(fd, &packet, sizeof packet, MSG_NOSIGNAL), sizeof packet);
    bench_run(bench);
    assert_int_equal(recv(fd, &packet, sizeof packet, MSG_DONTWAIT), sizeof packet);
    assert_int_equal(packet.version, STEP_PERMIT_VERSION);
    return packet.result;
}

static struct step_permit permit_of(int64_t step_ns)
{
    return (struct step_permit){.version = STEP_PERMIT_VERSION,
                                .deadline_ns = clock_call_now_ns() + 3600 * NS_PER_S,
                                .step_ns = step_ns};
}

static void skip_unless_root(void)
{
    if (geteuid() != 0)
        skip();
}

/* Beside the daemon, which stays connected and cannot step without it. */
static void root_permits_one_step(void **state)
{
    struct bench *bench = *state;
    int daemon = socket_connect(bench->path);
    int64_t before_ns;

    skip_unless_root();
    assert_int_equal(bench_call(bench, daemon, steer_call(0, false)), TIME_ERROR);
    assert_int_equal(bench_call(bench, daemon, step_call(BACK_NS)), -EPERM);
    lines = 0;
    assert_int_equal(permit(bench, BACK_NS), 0);
    assert_int_equal(lines, 1);
    assert_non_null(strstr(heard, "Root permits one step"));
    before_ns = bench->kernel.model.real_ns;
    assert_int_equal(bench_call(bench, daemon, step_call(BACK_NS)), TIME_ERROR);
    assert_int_equal(bench->kernel.model.real_ns, before_ns + BACK_NS);
    assert_int_equal(bench_call(bench, daemon, step_call(BACK_NS)), -EPERM);
    assert_int_equal(permit(bench, BACK_NS), -EEXIST);
    assert_int_equal(bench_call(bench, daemon, step_call(BACK_NS)), -EPERM);
    close(daemon);
    bench_run(bench);
}

static void without_a_daemon_too(void **state)
{
    struct bench *bench = *state;
    int daemon;

    skip_unless_root();
    assert_int_equal(permit(bench, BACK_NS), 0);
    daemon = socket_connect(bench->path);
    assert_int_equal(bench_call(bench, daemon, step_call(BACK_NS)), TIME_ERROR);
    close(daemon);
    bench_run(bench);
}

static void not_once_synchronised(void **state)
{
    struct bench *bench = *state;
    int daemon = socket_connect(bench->path);

    skip_unless_root();
    assert_int_equal(permit(bench, BACK_NS), 0);
    assert_int_equal(bench_call(bench, daemon, steer_call(0, true)), TIME_OK);
    assert_int_equal(bench_call(bench, daemon, step_call(BACK_NS)), -EPERM);
    assert_int_equal(permit(bench, BACK_NS), -EALREADY);
    assert_non_null(strstr(heard, "refused"));
    close(daemon);
    bench_run(bench);
}

/* The daemon's own user may talk to the clock, but this is not his. */
static void nobody_else_permits(void **state)
{
    struct bench *bench = *state;
    int daemon, second;

    skip_unless_root();
    daemon = connect_as(bench, NOBODY);
    assert_int_equal(bench_call(bench, daemon, steer_call(0, false)), TIME_ERROR);
    assert_int_equal(permit_over(bench, daemon, permit_of(BACK_NS)), -EPERM);
    assert_non_null(strstr(heard, "not root"));
    assert_int_equal(bench_call(bench, daemon, step_call(BACK_NS)), -EPERM);
    second = connect_as(bench, NOBODY);
    bench_gone(bench, second);
    assert_non_null(strstr(heard, "second"));
    assert_int_equal(bench_call(bench, daemon, (struct timex){.modes = 0}), TIME_ERROR);
    close(daemon);
    bench_run(bench);
}

static void late_permits_and_garbage_permit_nothing(void **state)
{
    struct bench *bench = *state;
    struct step_permit late = permit_of(BACK_NS), bad = late;
    int daemon = socket_connect(bench->path), fd;

    skip_unless_root();
    assert_int_equal(bench_call(bench, daemon, steer_call(0, false)), TIME_ERROR);
    late.deadline_ns = clock_call_now_ns() - 1;
    fd = socket_connect(bench->path);
    assert_int_equal(permit_over(bench, fd, late), -ETIMEDOUT);
    bench_gone(bench, fd);
    for (int i = 0; i < 4; i++) {
        size_t size = sizeof bad - (i == 2) + (i == 3 ? sizeof(struct clock_call) : 0);
        char packet[sizeof bad + sizeof(struct clock_call)] = {0};

        bad = permit_of(BACK_NS);
        bad.version += i == 0;
        bad.result = i == 1;
        memcpy(packet, &bad, sizeof bad);
        fd = socket_connect(bench->path);
        assert_int_equal(send(fd, packet, size, 0), size);
        bench_gone(bench, fd);
    }
    assert_int_equal(bench_call(bench, daemon, step_call(BACK_NS)), -EPERM);
    close(daemon);
    bench_run(bench);
}

/* Nobody who connects and says nothing keeps others away. */
static void a_silent_visitor_makes_room(void **state)
{
    struct bench *bench = *state;
    int daemon = socket_connect(bench->path), silent;

    skip_unless_root();
    assert_int_equal(bench_call(bench, daemon, (struct timex){.modes = 0}), TIME_ERROR);
    silent = socket_connect(bench->path);
    bench_run(bench);
    assert_int_equal(permit(bench, BACK_NS), 0);
    bench_gone(bench, silent);
    silent = socket_connect(bench->path);
    bench_run(bench);
    assert_int_equal(bench_call(bench, daemon, step_call(BACK_NS)), TIME_ERROR);
    close(daemon);
    bench_run(bench);
    close(silent);
}

static void it_is_told_when_nobody_answers(void **state)
{
    struct bench *bench = *state;
    char path[200];

    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(step_permit(path, BACK_NS), -ENAMETOOLONG);
    assert_int_equal(step_permit("/nonexistent/socket", BACK_NS), -ENOENT);
    clock_server_free(bench->server);
    bench->server = NULL;
    assert_int_equal(step_permit(bench->path, BACK_NS), -ECONNREFUSED);
}

static void every_error_has_words(void **state)
{
    static const int errors[] = {-EROFS, -EALREADY, -EEXIST, -ENODATA, -EBUSY,
                                 -ESTALE, -ECANCELED, -EPERM, -EIO};
    const size_t count = sizeof errors / sizeof errors[0];

    (void)state;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(step_error(errors[i]), step_error(errors[j]));
    assert_string_equal(step_error(-EIO), strerror(EIO));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, bench_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(root_permits_one_step),
        TEST(without_a_daemon_too),
        TEST(not_once_synchronised),
        TEST(nobody_else_permits),
        TEST(late_permits_and_garbage_permit_nothing),
        TEST(a_silent_visitor_makes_room),
        TEST(it_is_told_when_nobody_answers),
        cmocka_unit_test(every_error_has_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
