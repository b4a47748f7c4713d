/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static int manager; /* the service manager's end */

static int manager_setup(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(address);
    char path[128];

    (void)state;
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* An address of the family alone is bound to a free abstract name. */
    if (manager < 0 || bind(manager, (struct sockaddr *)&address, sizeof(sa_family_t)) < 0 ||
        getsockname(manager, (struct sockaddr *)&address, &size) < 0)
        return -1;
    snprintf(path, sizeof(path), "@%.*s", (int)(size - offsetof(struct sockaddr_un, sun_path) - 1),
             address.sun_path + 1);
    return setenv("NOTIFY_SOCKET", path, 1);
}

static int manager_teardown(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    return close(manager);
}

/* The next message, "" if there is none. */
static const char *told(void)
{
    static char text[1024];
    ssize_t length = recv(manager, text, sizeof(text) - 1, 0);

    text[length < 0 ? 0 : length] = '\0';
    return text;
}

static void test_words(void **state)
{
    (void)state;
    notify_ready();
    assert_string_equal(told(), "READY=1");
    notify_stopping();
    assert_string_equal(told(), "STOPPING=1");
    assert_string_equal(told(), "");
}

static void test_reloading_carries_the_time(void **state)
{
    int64_t usec = -1;
    struct timespec now;

    (void)state;
    notify_reloading();
    assert_int_equal(sscanf(told(), "RELOADING=1\nMONOTONIC_USEC=%" SCNd64, &usec), 1);
    clock_gettime(CLOCK_MONOTONIC, &now);
    assert_in_range(now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000 - usec, 0, 10000000);
}

static void test_status_only_when_changed(void **state)
{
    (void)state;
    notify_status("waiting for time1");
    assert_string_equal(told(), "STATUS=waiting for time1");
    notify_status("waiting for time1");
    assert_string_equal(told(), "");
    notify_status("following time1, offset 3.1 µs");
    assert_string_equal(told(), "STATUS=following time1, offset 3.1 µs");
    notify_status("waiting for time1");
    assert_string_equal(told(), "STATUS=waiting for time1");
}

static void test_status_is_one_assignment(void **state)
{
    char *text = test_malloc(5000);

    (void)state;
    notify_status("following evil\nMAINPID=1");
    assert_string_equal(told(), "STATUS=following evil\\x0aMAINPID=1");
    memset(text, 'x', 4999);
    text[4999] = '\0';
    notify_status(text);
    assert_in_range(strlen(told()), 100, 600);
    test_free(text);
}

static void test_silent_without_a_manager(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    notify_ready();
    notify_status("nobody listens");
    assert_string_equal(told(), "");
}

static void test_watchdog(void **state)
{
    sd_event *loop = NULL;
    const char *text;

    (void)state;
    assert_int_equal(sd_event_new(&loop), 0);
    setenv("WATCHDOG_USEC", "200000", 1);
    assert_int_equal(notify_watchdog(loop), 0);
    for (int fed = 0; fed < 3;) {
        assert_true(sd_event_run(loop, 5000000) >= 0);
        text = told();
        if (text[0] == '\0')
            continue;
        assert_string_equal(text, "WATCHDOG=1");
        fed++;
    }
    sd_event_unref(loop);
}

static void test_watchdog_not_asked_for(void **state)
{
    sd_event *loop = NULL;

    (void)state;
    assert_int_equal(sd_event_new(&loop), 0);
    assert_int_equal(notify_watchdog(loop), 0);
    assert_int_equal(sd_event_run(loop, 0), 0);
    assert_string_equal(told(), "");
    setenv("WATCHDOG_USEC", "nonsense", 1);
    assert_int_equal(notify_watchdog(loop), -EINVAL);
    sd_event_unref(loop);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, manager_setup, manager_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_words),
        TEST(test_reloading_carries_the_time),
        TEST(test_status_only_when_changed),
        TEST(test_status_is_one_assignment),
        TEST(test_silent_without_a_manager),
        TEST(test_watchdog),
        TEST(test_watchdog_not_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
