/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clock_remote.h"

#include "clock_socket.h"
#include "daemon/clock_server.h"
#include "dice.h"
#include "policed_clock.h"

#include <pthread.h>
#include <sys/eventfd.h>

/* A server in a thread of its own; the client waits whenever it works, so that both may use one
 * kernel. */
struct service {
    char path[SOCKET_PATH_SIZE];
    struct virtual_kernel kernel;
    struct kernel_port port;
    pthread_t thread;
    sd_event *loop;
    struct clock_server *server;
    int stop;
};

static int setup(void **state)
{
    struct service *service = calloc(1, sizeof *service);

    assert_non_null(service);
    socket_place(service->path);
    service->port = virtual_port(&service->kernel, NULL);
    *state = service;
    return 0;
}

static int teardown(void **state)
{
    struct service *service = *state;

    socket_remove(service->path);
    free(service);
    return 0;
}

static int on_stop(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct service *service = context;

    (void)source;
    (void)fd;
    (void)events;
    return sd_event_exit(service->loop, 0);
}

static void *serve(void *context)
{
    const struct service *service = context;

    (void)sd_event_loop(service->loop);
    return NULL;
}

static void start(struct service *service)
{
    int listener = clock_server_listen(service->path);

    assert_true(listener >= 0);
    assert_return_code(sd_event_new(&service->loop), 0);
    assert_int_equal(
        clock_server_new(service->loop, listener, &service->port, &usual_limits, &service->server),
        0);
    service->stop = eventfd(0, EFD_CLOEXEC);
    assert_return_code(
        sd_event_add_io(service->loop, NULL, service->stop, EPOLLIN, on_stop, service), 0);
    assert_int_equal(pthread_create(&service->thread, NULL, serve, service), 0);
}

static void stop(struct service *service)
{
    assert_int_equal(eventfd_write(service->stop, 1), 0);
    assert_int_equal(pthread_join(service->thread, NULL), 0);
    clock_server_free(service->server);
    sd_event_unref(service->loop);
    close(service->stop);
}

static struct kernel_port reach(struct service *service)
{
    struct kernel_port port;

    assert_int_equal(clock_remote_port(service->path, &service->port, &port), 0);
    return port;
}

static int read_clock(const struct kernel_port *port)
{
    struct timex timex = {.modes = 0};

    return port->adjust(port->context, &timex);
}

/* The same orders to two clocks, one of them by way of a server, do the same. */
static void it_makes_no_difference(void **state)
{
    struct service *service = *state;
    struct dice dice = dice_new();
    struct virtual_kernel kernel;
    struct clock *direct = virtual_clock(&kernel, NULL), *remote = NULL;
    struct kernel_port port;

    start(service);
    port = reach(service);
    assert_int_equal(clock_kernel_open(&port, true, &remote), 0);
    for (int i = 0; i < 500; i++) {
        int64_t pause_ns = dice_between(&dice, 0, 2 * NS_PER_S);
        const struct order order = {.freq_ppb = (double)dice_between(&dice, -400000, 400000),
                                    .slew_ns = dice_between(&dice, -NS_PER_MS, NS_PER_MS),
                                    .adjtime_ns = dice_between(&dice, -100, 100) * NS_PER_US,
                                    .maxerror_ns = dice_between(&dice, 0, NS_PER_S),
                                    .synchronised = i > 100};
        struct clock_status one, other;

        pass(&kernel, pause_ns);
        pass(&service->kernel, pause_ns);
        one = look(direct);
        other = look(remote);
        assert_memory_equal(&one.now, &other.now, sizeof one.now);
        assert_int_equal(one.slew_left_ns, other.slew_left_ns);
        assert_int_equal(one.underway_ns, other.underway_ns);
        assert_int_equal(clock_steer(direct, &order), 0);
        assert_int_equal(clock_steer(remote, &order), 0);
        assert_memory_equal(&kernel.model, &service->kernel.model, sizeof kernel.model);
    }
    assert_int_equal(lines, 0);
    clock_free(remote);
    clock_free(direct);
    stop(service);
}

static void a_step_arrives(void **state)
{
    struct service *service = *state;
    int64_t before_ns = service->kernel.model.real_ns;
    struct clock *clock = NULL;
    struct kernel_port port;

    start(service);
    port = reach(service);
    assert_int_equal(clock_kernel_open(&port, true, &clock), 0);
    assert_int_equal(clock_step(clock, 1500000001), 0);
    assert_int_equal(service->kernel.model.real_ns, before_ns + 1500000001);
    assert_int_equal(clock_step(clock, -1), -EPERM);
    clock_free(clock);
    stop(service);
}

static void the_rest_stays_here(void **state)
{
    struct service *service = *state;
    struct kernel_port port;
    struct reading reading;
    int64_t ns;

    start(service);
    port = reach(service);
    assert_int_equal(read_clock(&port), TIME_ERROR);
    stop(service);
    service->kernel.suspended_ns = 123;
    assert_int_equal(port.read(port.context, &reading), 0);
    assert_int_equal(reading.raw_ns, RAW0);
    assert_int_equal(port.convert(port.context, REAL0 - 5, &reading), 0);
    assert_int_equal(reading.raw_ns, RAW0 - 5);
    assert_int_equal(port.suspended(port.context, &ns), 0);
    assert_int_equal(ns, 123);
    assert_int_equal(port.watch_fd(port.context), 42);
    port.acknowledge(port.context);
    assert_int_equal(service->kernel.acknowledged, 1);
    assert_int_equal(port.precision_ns, 37);
    assert_int_equal(service->kernel.released, 1); /* by the server */
    port.release(port.context);
    assert_int_equal(service->kernel.released, 2);
}

static void nobody_there(void **state)
{
    struct service *service = *state;
    struct kernel_port port = {.context = NULL};
    char longer[200] = {0};

    memset(longer, 'x', sizeof longer - 1);
    assert_int_equal(clock_remote_port(service->path, &service->port, &port), -ENOENT);
    assert_int_equal(service->kernel.released, 1);
    assert_int_equal(clock_remote_port(longer, &service->port, &port), -ENAMETOOLONG);
    assert_int_equal(service->kernel.released, 2);
    assert_null(port.context);
}

static void a_server_may_come_back(void **state)
{
    struct service *service = *state;
    struct kernel_port port;

    start(service);
    port = reach(service);
    assert_int_equal(read_clock(&port), TIME_ERROR);
    stop(service);
    assert_int_equal(read_clock(&port), -ECONNRESET);
    assert_int_equal(read_clock(&port), -ECONNREFUSED);
    start(service);
    assert_int_equal(read_clock(&port), TIME_ERROR);
    /* It has to be noticed: the clock was tidied meanwhile. */
    stop(service);
    start(service);
    assert_int_equal(read_clock(&port), -ECONNRESET);
    assert_int_equal(read_clock(&port), TIME_ERROR);
    port.release(port.context);
    stop(service);
}

/* Neither what was found nor what was ordered in vain is compared with what the server did
 * while nobody could see it. */
static void what_a_new_server_tidied_was_changed_by_nobody(void **state)
{
    struct service *service = *state;
    struct timex timex = {.modes = ADJ_FREQUENCY, .freq = 77 * PPM};
    const struct order order = {.slew_ns = 100 * NS_PER_US, .synchronised = true};
    struct clock *clock = NULL;
    struct clock_status status;
    struct kernel_port port;

    start(service);
    port = reach(service);
    assert_int_equal(clock_kernel_open(&port, true, &clock), 0);
    for (int i = 0; i < 2; i++) {
        (void)look(clock);
        assert_int_equal(clock_steer(clock, &order), 0);
        stop(service);
        start(service);
        assert_int_equal(i == 0 ? clock_look(clock, &status) : clock_steer(clock, &order),
                         -ECONNRESET);
        pass(&service->kernel, NS_PER_S);
        (void)look(clock);
        assert_int_equal(lines, 0);
    }
    assert_int_equal(clock_steer(clock, &order), 0);
    (void)timex_model_adjust(&service->kernel.model, service->kernel.model.raw_ns, &timex);
    (void)look(clock);
    assert_int_equal(lines, 1);
    assert_non_null(strstr(heard, "was changed by"));
    clock_free(clock);
    stop(service);
}

static void observes_where_the_server_may_not(void **state)
{
    struct service *service = *state;
    struct clock *clock = NULL;
    struct kernel_port port;

    service->kernel.write_error = -EPERM;
    start(service);
    port = reach(service);
    assert_int_equal(clock_kernel_open(&port, true, &clock), 0);
    assert_false(clock_adjusts(clock));
    clock_free(clock);
    stop(service);
}

/* Servers that misbehave: one connection, then it is over. */
struct script {
    int listener;
    pthread_t thread;
    void (*play)(int fd);
};

static bool hear(int fd, struct clock_call *call)
{
    return recv(fd, call, sizeof *call, 0) == (ssize_t)sizeof *call;
}

static void answer(int fd, const struct clock_call *call, size_t length)
{
    (void)!send(fd, call, length, MSG_NOSIGNAL);
}

static void *perform(void *context)
{
    const struct script *script = context;
    int fd = accept(script->listener, NULL, NULL);

    if (fd >= 0)
        script->play(fd);
    (void)close(fd);
    return NULL;
}

static struct kernel_port reach_script(struct service *service, struct script *script,
                                       void (*play)(int fd))
{
    struct sockaddr_un address = socket_address(service->path);

    script->play = play;
    script->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_true(script->listener >= 0);
    assert_return_code(bind(script->listener, (struct sockaddr *)&address, sizeof address), errno);
    assert_return_code(listen(script->listener, 1), errno);
    assert_int_equal(pthread_create(&script->thread, NULL, perform, script), 0);
    return reach(service);
}

static void end_script(struct script *script, const struct kernel_port *port)
{
    port->release(port->context);
    assert_int_equal(pthread_join(script->thread, NULL), 0);
    close(script->listener);
}

static void play_death(int fd)
{
    struct clock_call call;

    (void)hear(fd, &call);
}

static void play_short(int fd)
{
    struct clock_call call;

    if (hear(fd, &call))
        answer(fd, &call, sizeof call - 1);
    (void)hear(fd, &call);
}

static void play_long(int fd)
{
    struct clock_call calls[2];

    if (hear(fd, calls))
        answer(fd, calls, sizeof calls[0] + 1);
    (void)hear(fd, calls);
}

static void play_version(int fd)
{
    struct clock_call call;

    if (hear(fd, &call)) {
        call.version++;
        answer(fd, &call, sizeof call);
    }
    (void)hear(fd, &call);
}

/* The answer to the first is there; that to the second comes only after the third was asked. */
static void play_late(int fd)
{
    struct clock_call first, second, third;

    if (!hear(fd, &first))
        return;
    answer(fd, &first, sizeof first);
    if (!hear(fd, &second) || !hear(fd, &third))
        return;
    second.result = -EIO;
    answer(fd, &second, sizeof second);
    third.result = TIME_OK;
    third.freq = 7 * PPM;
    answer(fd, &third, sizeof third);
    (void)hear(fd, &first);
}

static void bad_answers_are_refused(void **state)
{
    static const struct {
        void (*play)(int fd);
        int error;
    } cases[] = {{play_death, -ECONNRESET},
                 {play_short, -EPROTO},
                 {play_long, -EPROTO},
                 {play_version, -EPROTO}};
    struct service *service = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct script script;
        struct kernel_port port = reach_script(service, &script, cases[i].play);
        struct timex timex = {.modes = 0, .freq = 4711};

        assert_int_equal(port.adjust(port.context, &timex), cases[i].error);
        assert_int_equal(timex.freq, 4711);
        end_script(&script, &port);
        (void)unlink(service->path);
    }
}

static void no_answer_is_not_waited_for_long(void **state)
{
    struct service *service = *state;
    struct script script;
    struct kernel_port port = reach_script(service, &script, play_late);
    struct timex timex = {.modes = 0};
    int64_t begun_ns;

    assert_int_equal(read_clock(&port), 0);
    begun_ns = clock_call_now_ns();
    assert_int_equal(read_clock(&port), -ETIMEDOUT);
    assert_true(clock_call_now_ns() - begun_ns >= CLOCK_REMOTE_WAIT_NS);
    assert_int_equal(port.adjust(port.context, &timex), TIME_OK);
    assert_int_equal(timex.freq, 7 * PPM);
    end_script(&script, &port);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_makes_no_difference),
        TEST(a_step_arrives),
        TEST(the_rest_stays_here),
        TEST(nobody_there),
        TEST(a_server_may_come_back),
        TEST(observes_where_the_server_may_not),
        TEST(bad_answers_are_refused),
        TEST(no_answer_is_not_waited_for_long),
        TEST(what_a_new_server_tidied_was_changed_by_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
