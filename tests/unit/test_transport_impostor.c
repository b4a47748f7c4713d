/* SPDX-License-Identifier: BSD-2-Clause */
/* What somebody who only pretends to be the master does to a slave's choice among its keys. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sys/epoll.h>

#include "transport_keys.h"

#define CALLS 2 /* that it answers: an alert to the first, to the other nothing at all */

/* "I do not accept your key": fatal, decrypt_error. */
static const uint8_t refusal[] = {21, 3, 3, 0, 2, 2, 51};

struct impostor {
    int listener, calls[CALLS];
    unsigned called, heard;
    sd_event_source *sources[1 + CALLS];
};

static int answer(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct impostor *impostor = context;
    uint8_t hello[4096];

    (void)events;
    assert_true(recv(fd, hello, sizeof(hello), 0) > 0);
    if (impostor->heard++ == 0)
        write_all(fd, refusal, sizeof(refusal));
    assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
    assert_true(sd_event_source_set_enabled(source, SD_EVENT_OFF) >= 0);
    return 0;
}

static int take_call(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct impostor *impostor = context;
    unsigned n = impostor->called++;

    (void)events;
    assert_true(n < CALLS);
    impostor->calls[n] = accept(fd, NULL, NULL);
    assert_true(impostor->calls[n] >= 0);
    assert_true(sd_event_add_io(sd_event_source_get_event(source), &impostor->sources[1 + n],
                                impostor->calls[n], EPOLLIN, answer, impostor) >= 0);
    return 0;
}

static uint16_t impostor_open(struct impostor *impostor, sd_event *loop)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    const int yes = 1;

    *impostor = (struct impostor){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(setsockopt(impostor->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)),
                     0);
    assert_int_equal(bind(impostor->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(impostor->listener, CALLS), 0);
    assert_int_equal(getsockname(impostor->listener, (struct sockaddr *)&address, &size), 0);
    assert_true(sd_event_add_io(loop, &impostor->sources[0], impostor->listener, EPOLLIN,
                                take_call, impostor) >= 0);
    return ntohs(address.sin_port);
}

static void impostor_close(struct impostor *impostor)
{
    for (size_t i = 0; i <= CALLS; i++)
        sd_event_source_disable_unref(impostor->sources[i]);
    for (size_t i = 0; i < CALLS; i++)
        assert_int_equal(close(impostor->calls[i]), 0);
    assert_int_equal(close(impostor->listener), 0);
}

/* The slave has had its first key refused, and the other left without an answer; the true master,
 * which knows the first one only, is where the impostor was. */
static void meet_impostor(struct side *master, struct side *slave)
{
    struct impostor impostor;
    uint16_t port;

    side_open(master, NULL, &roomy);
    side_open(slave, master->loop, &roomy);
    port = impostor_open(&impostor, slave->loop);
    assert_int_equal(transport_secure(slave->transport,
                                      ring("first " SECRET_A "\nsecond " SECRET_B), "node1"),
                     0);
    assert_int_equal(transport_connect(slave->transport, "127.0.0.1", port, WAIT_NS, WAIT_NS), 0);
    side_wait(slave, &slave->unreachables, 1);
    assert_int_equal(impostor.heard, CALLS);
    impostor_close(&impostor);
    assert_int_equal(transport_secure(master->transport, ring("first " SECRET_A), "time1"), 0);
    assert_int_equal(transport_listen(master->transport, "127.0.0.1", port), 0);
}

static void each_address_is_offered_the_first_key_first(void **state)
{
    struct side master, slave;

    (void)state;
    meet_impostor(&master, &slave);
    side_wait(&slave, &slave.ups, 1);
    assert_int_equal(slave.unreachables, 1);
    assert_int_equal(count(&master).unknown_keys, 0);
    close_both(&master, &slave);
}

/* There are fewer keys than before when the answer comes. */
static void keys_change_during_a_look_up(void **state)
{
    struct side master, slave;

    (void)state;
    meet_impostor(&master, &slave);
    assert_true(sd_event_run(slave.loop, SIDE_STEP_US) > 0); /* the wait is over */
    assert_int_equal(transport_secure(slave.transport, ring("first " SECRET_A), "node1"), 0);
    side_wait(&slave, &slave.ups, 1);
    assert_int_equal(slave.unreachables, 1);
    close_both(&master, &slave);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_address_is_offered_the_first_key_first),
        cmocka_unit_test(keys_change_during_a_look_up),
    };

    alarm(SIDE_TEST_S);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
