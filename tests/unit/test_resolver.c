/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/resolver.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static atomic_bool held; /* lookups wait for the gate */
static sem_t entered, gate, answered, freed;

/* Stands before the C library's: a lookup that takes as long as the test wants. */
int getaddrinfo(const char *restrict host, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict addresses)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    bool wait = atomic_load(&held);
    int verdict;

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (wait) {
        (void)sem_post(&entered);
        (void)sem_wait(&gate);
    }
    verdict = real(host, service, hints, addresses);
    if (wait)
        (void)sem_post(&answered);
    return verdict;
}

void freeaddrinfo(struct addrinfo *addresses)
{
    void (*real)(struct addrinfo *);

    *(void **)&real = dlsym(RTLD_NEXT, "freeaddrinfo");
    real(addresses);
    (void)sem_post(&freed);
}

struct outcome {
    unsigned calls;
    struct addrinfo *addresses;
    char why[256];
};

static void on_done(void *context, struct addrinfo *addresses, const char *why)
{
    struct outcome *outcome = context;

    outcome->calls++;
    outcome->addresses = addresses;
    if (!addresses)
        strncpy(outcome->why, why, sizeof(outcome->why) - 1);
}

static sd_event *loop;
static struct resolver *resolver;

static int setup(void **state)
{
    (void)state;
    atomic_store(&held, false);
    resolver = NULL;
    return sd_event_new(&loop) < 0 || sem_init(&entered, 0, 0) < 0 || sem_init(&gate, 0, 0) < 0 ||
           sem_init(&answered, 0, 0) < 0 || sem_init(&freed, 0, 0) < 0;
}

static int teardown(void **state)
{
    (void)state;
    sd_event_unref(loop);
    return 0;
}

static void resolve(const char *host, struct outcome *outcome)
{
    assert_int_equal(resolver_start(loop, host, 5525, on_done, outcome, &resolver), 0);
    while (outcome->calls == 0)
        assert_true(sd_event_run(loop, UINT64_C(20000000)) > 0);
    assert_int_equal(outcome->calls, 1);
}

static void test_localhost(void **state)
{
    struct outcome outcome = {0};

    (void)state;
    resolve("localhost", &outcome);
    assert_non_null(outcome.addresses);
    for (const struct addrinfo *at = outcome.addresses; at; at = at->ai_next) {
        assert_int_equal(at->ai_socktype, SOCK_STREAM);
        assert_true(at->ai_family == AF_INET || at->ai_family == AF_INET6);
        /* The port lies at the same place in both families. */
        assert_int_equal(ntohs(((const struct sockaddr_in *)(const void *)at->ai_addr)->sin_port),
                         5525);
    }
    freeaddrinfo(outcome.addresses);
}

static void test_numeric(void **state)
{
    struct outcome outcome = {0};

    (void)state;
    resolve("::1", &outcome);
    assert_non_null(outcome.addresses);
    assert_int_equal(outcome.addresses->ai_family, AF_INET6);
    assert_null(outcome.addresses->ai_next);
    freeaddrinfo(outcome.addresses);
}

static void test_no_such_host(void **state)
{
    struct outcome outcome = {0};

    (void)state;
    resolve("no-such-host.invalid", &outcome);
    assert_null(outcome.addresses);
    assert_string_not_equal(outcome.why, "");
}

static void test_does_not_block(void **state)
{
    struct outcome outcome = {0};

    (void)state;
    atomic_store(&held, true);
    assert_int_equal(resolver_start(loop, "127.0.0.1", 1, on_done, &outcome, &resolver), 0);
    assert_int_equal(sem_wait(&entered), 0);
    assert_int_equal(sd_event_run(loop, 0), 0);
    assert_int_equal(outcome.calls, 0);
    assert_int_equal(sem_post(&gate), 0);
    assert_true(sd_event_run(loop, UINT64_C(20000000)) > 0);
    assert_int_equal(outcome.calls, 1);
    freeaddrinfo(outcome.addresses);
}

/* The owner is gone before the answer: the thread discards it. */
static void test_cancel_before_answer(void **state)
{
    struct outcome outcome = {0};

    (void)state;
    atomic_store(&held, true);
    assert_int_equal(resolver_start(loop, "127.0.0.1", 1, on_done, &outcome, &resolver), 0);
    assert_int_equal(sem_wait(&entered), 0);
    resolver_cancel(resolver);
    assert_int_equal(sem_post(&gate), 0);
    assert_int_equal(sem_wait(&freed), 0);
    assert_int_equal(sd_event_run(loop, 0), 0);
    assert_int_equal(outcome.calls, 0);
}

/* The answer lies there, the loop has not looked yet. */
static void test_cancel_after_answer(void **state)
{
    struct outcome outcome = {0};

    (void)state;
    atomic_store(&held, true);
    assert_int_equal(resolver_start(loop, "127.0.0.1", 1, on_done, &outcome, &resolver), 0);
    assert_int_equal(sem_post(&gate), 0);
    assert_int_equal(sd_event_prepare(loop), 0);
    assert_true(sd_event_wait(loop, UINT64_C(20000000)) > 0);
    resolver_cancel(resolver);
    assert_int_equal(sem_wait(&freed), 0);
    (void)sd_event_dispatch(loop);
    assert_int_equal(outcome.calls, 0);
}

/* Cancelled while the thread is about to hand its answer over, in whatever order. */
static void test_cancel_race(void **state)
{
    struct outcome outcome = {0};

    (void)state;
    atomic_store(&held, true);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(resolver_start(loop, "127.0.0.1", 1, on_done, &outcome, &resolver), 0);
        assert_int_equal(sem_post(&gate), 0);
        assert_int_equal(sem_wait(&answered), 0);
        resolver_cancel(resolver);
        assert_int_equal(sem_wait(&freed), 0);
    }
    assert_int_equal(outcome.calls, 0);
}

static void test_cancel_nothing(void **state)
{
    (void)state;
    resolver_cancel(NULL);
    assert_int_equal(sd_event_run(loop, 0), 0);
}

/* A signal to the process must find the loop's thread, not a lookup's. */
static void test_thread_blocks_signals(void **state)
{
    struct outcome outcome = {0};
    sigset_t usr1, before, pending;

    (void)state;
    atomic_store(&held, true);
    assert_int_equal(resolver_start(loop, "127.0.0.1", 1, on_done, &outcome, &resolver), 0);
    assert_int_equal(sem_wait(&entered), 0);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &usr1, &before), 0);
    assert_false(sigismember(&before, SIGUSR1));
    /* Its default action would end the test if the thread took it. */
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(sigpending(&pending), 0);
    assert_true(sigismember(&pending, SIGUSR1));
    assert_int_equal(sigwaitinfo(&usr1, NULL), SIGUSR1);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    resolver_cancel(resolver);
    assert_int_equal(sem_post(&gate), 0);
    assert_int_equal(sem_wait(&freed), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_localhost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_numeric, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_such_host, setup, teardown),
        cmocka_unit_test_setup_teardown(test_does_not_block, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_before_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_after_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_race, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_thread_blocks_signals, setup, teardown),
    };

    alarm(90);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
