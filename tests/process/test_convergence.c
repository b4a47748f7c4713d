/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups come together, tell the truth about it, and leave alone what they must. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/timestamp.h"
#include "group.h"

#define US NS_PER_US
#define MS NS_PER_MS

/* User-space stamps on a machine that does other things too are good to some
 * 10 us; what does not get below this does not converge. */
#define SPREAD_NS (100 * US)
#define MOVED_NS MS
/* At 100 ms a second 400 ms take 4 s, and the group needs as long to get its time. */
#define FAR_SECONDS 90
#define NEAR_SECONDS 60

static const struct group_options far_options = {
    .name = "far",
    .nodes = {{.offset_ns = 10 * MS, .frequency_ppm = 10},
              {.offset_ns = 400 * MS, .frequency_ppm = 80},
              {.offset_ns = -400 * MS, .frequency_ppm = -80},
              {.offset_ns = 120 * MS, .frequency_ppm = 30},
              {.offset_ns = -200 * MS, .frequency_ppm = -20}},
    .count = 5,
    .wander_ppm = 0.01,
};

static const struct group_options pair_options = {
    .name = "pair",
    .nodes = {{.offset_ns = 2 * MS, .frequency_ppm = 30},
              {.offset_ns = -2 * MS, .frequency_ppm = -50}},
    .count = 2,
};

static struct group_options ways_options = {
    .name = "ways",
    .nodes = {{.offset_ns = MS},
              {.offset_ns = -MS, .frequency_ppm = 20, .master = "127.0.0.1"},
              {.frequency_ppm = -40, .master = "127.0.0.2"},
              {.offset_ns = 2 * MS, .frequency_ppm = 40, .master = "::1"}},
    .count = 4,
    .listen = "\"127.0.0.1\", \"127.0.0.2\", \"::1\"",
};

static const struct group_options seen_options = {
    .name = "seen",
    .nodes = {{.offset_ns = -MS, .frequency_ppm = -15},
              {.offset_ns = MS, .frequency_ppm = 25},
              {.offset_ns = 2 * MS, .frequency_ppm = 50, .observes = true}},
    .count = 3,
};

/* All run at the same time; each test looks at one. */
static struct harness *harness;
static struct group *far, *pair, *ways, *seen;
static int64_t far_spread_ns;

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool works = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;

    if (fd >= 0)
        close(fd);
    return works;
}

static int setup(void **state)
{
    harness_setup(state);
    harness = *state;
    far = group_start(harness, &far_options);
    far_spread_ns = clocks_spread(group_clocks(far), CLOCKS_ALL);
    pair = group_start(harness, &pair_options);
    if (!has_ipv6())
        ways_options.nodes[3].master = "127.0.0.2";
    ways = group_start(harness, &ways_options);
    seen = group_start(harness, &seen_options);
    return 0;
}

/* Both go half of the way. */
static void test_two_nodes(void **state)
{
    struct course course = group_course_made(pair, NODES(0, 1));

    (void)state;
    assert_true(group_wait_line(pair, NODES(0, 1), "Synchronised: ", NEAR_SECONDS));
    assert_true(group_wait_synchronised(pair, NODES(0, 1), NEAR_SECONDS));
    assert_true(group_wait_spread(pair, NODES(0, 1), SPREAD_NS, NEAR_SECONDS));
    assert_in_range(group_moved(pair, &course), 0, MOVED_NS);
    assert_true(group_never_back(pair, NODES(0, 1)));
}

static void test_every_address_is_listened_to(void **state)
{
    (void)state;
    assert_true(process_wait_line(group_process(ways, 0), "Slave ways1 joined from 127\\.0\\.0\\.1",
                                  NEAR_SECONDS));
    assert_true(process_wait_line(group_process(ways, 0), "Slave ways2 joined from 127\\.0\\.0\\.",
                                  NEAR_SECONDS));
    assert_true(process_wait_line(
        group_process(ways, 0), has_ipv6() ? "Slave ways3 joined from .*::1" : "Slave ways3 joined",
        NEAR_SECONDS));
    assert_true(group_wait_line(ways, NODES(0, 3), "Synchronised: ", NEAR_SECONDS));
    assert_true(group_wait_synchronised(ways, NODES(0, 3), NEAR_SECONDS));
    assert_true(group_wait_spread(ways, NODES(0, 3), SPREAD_NS, NEAR_SECONDS));
}

static void test_an_observer_is_not_touched(void **state)
{
    struct course course = group_course_made(seen, NODES(0, 1));
    struct timex timex;

    (void)state;
    assert_true(process_wait_line(group_process(seen, 2), "[Oo]bserving only", NEAR_SECONDS));
    assert_true(
        process_wait_line(group_process(seen, 0), "average of 2 of 2 clocks", NEAR_SECONDS));
    assert_true(group_wait_line(seen, NODES(0, 1), "Synchronised: ", NEAR_SECONDS));
    assert_true(group_wait_synchronised(seen, NODES(0, 1), NEAR_SECONDS));
    assert_true(group_wait_spread(seen, NODES(0, 1), SPREAD_NS, NEAR_SECONDS));
    assert_in_range(group_moved(seen, &course), 0, MOVED_NS);
    /* Not even by what rounding leaves. */
    assert_in_range(llabs(group_course(seen, NODE(2), NODE(2)).lead_ns), 0, US);
    timex = group_timex(seen, 2);
    assert_int_equal(timex.freq, 0);
    assert_int_equal(timex.offset, 0);
    assert_true(timex.status & STA_UNSYNC);
}

static void test_clocks_far_apart(void **state)
{
    struct course course = group_course_made(far, NODES(0, 4));
    int64_t bound_ns;

    (void)state;
    assert_in_range(far_spread_ns, 790 * MS, 810 * MS);
    assert_true(group_wait_spread(far, NODES(0, 4), SPREAD_NS, FAR_SECONDS));
    assert_true(group_wait_line(far, NODES(0, 4), "Synchronised: ", NEAR_SECONDS));
    assert_true(group_wait_synchronised(far, NODES(0, 4), NEAR_SECONDS));
    assert_in_range(group_moved(far, &course), 0, MOVED_NS);
    assert_true(group_bounds_hold(far, NODES(0, 4), 5, &bound_ns));
    /* The kernel adds 500 us in each second; a bound beyond the delay of a
     * loopback under load and that would be no use. */
    assert_in_range(bound_ns, US, 10 * MS);
    assert_true(group_never_back(far, NODES(0, 4)));
}

static int teardown(void **state)
{
    return harness_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_nodes),
        cmocka_unit_test(test_every_address_is_listened_to),
        cmocka_unit_test(test_an_observer_is_not_touched),
        cmocka_unit_test(test_clocks_far_apart),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
