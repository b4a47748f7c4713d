/* SPDX-License-Identifier: BSD-2-Clause */
/* What a master's view keeps of what a slave says, a frame at a time. */
#include "core/view.h"

#include "machine_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define AHEAD_NS (7 * NS_PER_S)
#define SLOT 2 /* of the slave; view number 3 */

static void started(struct probe *probe)
{
    const struct master_config config = probe_master_config();

    probe_master(probe, &config);
    probe_up(probe, SLOT);
}

static bool view_at(const struct probe *probe, size_t i, struct clock_view *view)
{
    return master_view(probe->master, i, &probe->now, view);
}

static struct clock_view view_of(const struct probe *probe)
{
    struct clock_view view;

    assert_true(view_at(probe, SLOT + 1, &view));
    return view;
}

static struct wire_frame next_poll(struct probe *probe)
{
    struct wire_frame frame;

    do {
        int64_t wait_ns = master_wake_at(probe->master) - probe->now.raw_ns;

        probe_wait(probe, wait_ns > 0 ? wait_ns : 0);
        probe_wake(probe);
    } while (!probe_sent(probe, SLOT, WIRE_POLL, &frame));
    return frame;
}

static void a_slave_is_shown_from_its_hello_on(void **state)
{
    (void)state;
    struct clock_view view;
    struct wire_frame hello = probe_hello("node1", 1);
    struct probe probe;

    started(&probe);
    assert_int_equal(master_views(probe.master), SLOT + 2);
    for (size_t i = 1; i <= SLOT + 1; i++)
        assert_false(view_at(&probe, i, &view));
    hello.hello.state = SYNC_HOLDOVER;
    hello.hello.freq_fs = wire_fs_from_ppb(250);
    probe_frame(&probe, SLOT, hello);
    view = view_of(&probe);
    assert_string_equal(view.name, "node1");
    assert_int_equal(view.state, SYNC_HOLDOVER);
    assert_int_equal(view.verdict, VERDICT_NONE);
    assert_int_equal(view.bound_ns, INT64_MAX);
    assert_true(view.freq_ppb == 250);
    assert_false(view.measured);
    probe_down(&probe, SLOT, 0);
    assert_false(view_at(&probe, SLOT + 1, &view));
    assert_true(view_at(&probe, 0, &view));
    assert_int_equal(view.kind, 0); /* probe_master_config() does not tell */
    probe_free(&probe);
}

static void what_it_said_last_holds(void **state)
{
    (void)state;
    struct wire_frame poll, reply, report = {.type = WIRE_REPORT};
    struct probe probe;

    started(&probe);
    probe_frame(&probe, SLOT, probe_hello("node1", 1));
    poll = next_poll(&probe);
    reply = probe_reply(&probe, &poll, AHEAD_NS);
    reply.reply.bound_ns = 5000;
    reply.reply.state = SYNC_SYNCHRONISED;
    probe_frame(&probe, SLOT, reply);
    assert_int_equal(view_of(&probe).bound_ns, 5000);
    assert_int_equal(view_of(&probe).state, SYNC_SYNCHRONISED);
    report.report.bound_ns = 7000;
    report.report.state = SYNC_HOLDOVER;
    report.report.freq_fs = wire_fs_from_ppb(-300);
    probe_frame(&probe, SLOT, report);
    assert_int_equal(view_of(&probe).bound_ns, 7000);
    assert_int_equal(view_of(&probe).state, SYNC_HOLDOVER);
    assert_true(view_of(&probe).freq_ppb == -300);
    probe_wait(&probe, 3 * NS_PER_S);
    assert_int_equal(view_of(&probe).heard_ns, 3 * NS_PER_S);
    probe_free(&probe);
}

/* A REPLY that is refused says nothing, but that somebody is there. */
static void refused_frames_are_counted(void **state)
{
    (void)state;
    struct wire_frame poll, reply;
    struct probe probe;

    started(&probe);
    probe_frame(&probe, SLOT, probe_hello("node1", 1));
    assert_int_equal(view_of(&probe).refused, 0);
    poll = next_poll(&probe);
    reply = probe_reply(&probe, &poll, AHEAD_NS);
    reply.reply.t1_raw_ns++;
    reply.reply.bound_ns = 5000;
    probe_frame(&probe, SLOT, reply);
    assert_int_equal(view_of(&probe).refused, 1);
    assert_int_equal(view_of(&probe).bound_ns, INT64_MAX);
    assert_int_equal(view_of(&probe).heard_ns, 0);
    probe_free(&probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slave_is_shown_from_its_hello_on),
        cmocka_unit_test(what_it_said_last_holds),
        cmocka_unit_test(refused_frames_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
