/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may connect under which name, by the keys: who has one of its own, and who shares one. */
#include "machine_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void started(struct probe *probe)
{
    const struct master_config config = probe_master_config();

    probe_master(probe, &config);
}

static void hello(struct probe *probe, uint32_t peer, const char *owner, const char *name,
                  uint8_t id)
{
    probe_up_as(probe, peer, owner);
    probe_frame(probe, peer, probe_hello(name, id));
}

static void join(struct probe *probe, uint32_t peer, const char *owner, const char *name,
                 uint8_t id)
{
    hello(probe, peer, owner, name, id);
    assert_non_null(probe_note(probe, NOTE_SLAVE_JOINED));
}

static unsigned slaves_of(const struct probe *probe)
{
    struct summary summary;

    master_summary(probe->master, &probe->now, &summary);
    return summary.slaves;
}

static void a_key_of_its_own_goes_with_one_name_only(void **state)
{
    (void)state;
    struct probe probe;

    started(&probe);
    join(&probe, 0, "node1", "node1", 1);
    hello(&probe, 1, "node1", "node2", 2);
    probe_assert_dismissed(&probe, 1, BYE_KEY);
    assert_int_equal(probe_note(&probe, NOTE_PEER_REFUSED)->reason, BYE_KEY);
    assert_null(probe_note(&probe, NOTE_SLAVE_JOINED));
    hello(&probe, 1, "node1", "node", 2); /* not a beginning of it either */
    probe_assert_dismissed(&probe, 1, BYE_KEY);
    hello(&probe, 1, "time1", "time1", 2); /* nor the master's */
    probe_assert_dismissed(&probe, 1, BYE_NAME);
    assert_true(probe.open[0]);
    probe_free(&probe);
}

static void who_has_a_key_of_its_own_is_displaced_by_nobody_else(void **state)
{
    (void)state;
    const char *const owners[] = {"", "node9"};

    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++) {
        for (uint8_t id = 1; id <= 2; id++) {
            struct probe probe;

            started(&probe);
            join(&probe, 0, "node1", "node1", 1);
            hello(&probe, 1, owners[i], "node1", id);
            probe_assert_dismissed(&probe, 1, owners[i][0] ? BYE_KEY : BYE_NAME);
            assert_true(probe.open[0]);
            assert_int_equal(slaves_of(&probe), 1);
            probe_free(&probe);
        }
    }
}

static void a_key_of_its_own_wins(void **state)
{
    (void)state;

    for (uint8_t id = 1; id <= 2; id++) {
        struct probe probe;
        struct wire_frame frame;

        started(&probe);
        join(&probe, 0, "", "node1", id);
        join(&probe, 1, "node1", "node1", 1);
        assert_true(probe_sent(&probe, 0, WIRE_BYE, &frame));
        assert_int_equal(frame.bye.reason, BYE_KEY);
        assert_true(probe_closed(&probe, 0));
        assert_int_equal(probe_note(&probe, NOTE_SLAVE_LEFT)->reason, BYE_KEY);
        assert_string_equal(probe_note(&probe, NOTE_SLAVE_LEFT)->name, "node1");
        assert_int_equal(slaves_of(&probe), 1);
        probe_free(&probe);
    }
}

/* Else who has a key of its own could keep any other out by being there first with its id. */
static void an_id_says_nothing_where_a_key_does(void **state)
{
    (void)state;
    static const char *const owners[][2] = {{"node1", "node2"}, {"node1", ""}, {"", "node2"}};

    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++) {
        struct probe probe;

        started(&probe);
        join(&probe, 0, owners[i][0], "node1", 1);
        join(&probe, 1, owners[i][1], "node2", 1);
        assert_int_equal(slaves_of(&probe), 2);
        probe_free(&probe);
    }
}

static void its_own_older_connection_gives_way(void **state)
{
    (void)state;
    struct probe probe;
    struct wire_frame frame;

    for (uint8_t id = 1; id <= 2; id++) { /* installed anew, it has another id */
        started(&probe);
        join(&probe, 0, "node1", "node1", 1);
        join(&probe, 1, "node1", "node1", id);
        assert_true(probe_sent(&probe, 0, WIRE_BYE, &frame));
        assert_int_equal(frame.bye.reason, BYE_RESTARTED);
        assert_non_null(probe_note(&probe, NOTE_SLAVE_REPLACED));
        assert_null(probe_note(&probe, NOTE_SLAVE_LEFT));
        assert_int_equal(slaves_of(&probe), 1);
        probe_free(&probe);
    }
}

/* node1's id under node2's name: neither of them goes for it. */
static void nobody_goes_for_one_who_is_turned_away(void **state)
{
    (void)state;
    struct probe probe;

    started(&probe);
    join(&probe, 0, "", "node1", 1);
    join(&probe, 1, "", "node2", 2);
    join(&probe, 2, "node3", "node3", 3);
    hello(&probe, 3, "", "node2", 1);
    probe_assert_dismissed(&probe, 3, BYE_NAME);
    hello(&probe, 3, "", "node3", 1);
    probe_assert_dismissed(&probe, 3, BYE_NAME);
    assert_int_equal(slaves_of(&probe), 3);
    probe_free(&probe);
}

/* What the transport tells when a key is gone. */
static void a_withdrawn_key_is_named(void **state)
{
    (void)state;
    struct probe probe;

    started(&probe);
    join(&probe, 0, "node1", "node1", 1);
    probe_down(&probe, 0, BYE_KEY);
    assert_int_equal(probe_note(&probe, NOTE_SLAVE_LEFT)->reason, BYE_KEY);
    join(&probe, 0, "", "node1", 1); /* the slot's next tenant owns nothing */
    join(&probe, 1, "", "node1", 1);
    assert_non_null(probe_note(&probe, NOTE_SLAVE_REPLACED));
    probe_free(&probe);
}

static void one_silent_connection_to_an_owner(void **state)
{
    (void)state;
    static const char *const owners[] = {"node1", "node2", "", ""};
    struct probe probe;

    started(&probe);
    join(&probe, 4, "node1", "node1", 1);
    for (uint32_t i = 0; i < 4; i++)
        probe_up_as(&probe, i, owners[i]);
    for (uint32_t i = 0; i < 5; i++)
        assert_true(probe.open[i]);

    probe_up_as(&probe, 5, "node1");
    probe_assert_dismissed(&probe, 0, BYE_RESTARTED);
    assert_int_equal(probe_count(&probe, ACTION_CLOSE), 1);
    assert_int_equal(probe_count(&probe, ACTION_NOTE), 0);
    assert_int_equal(slaves_of(&probe), 1);
    probe_frame(&probe, 5, probe_hello("node1", 1));
    assert_non_null(probe_note(&probe, NOTE_SLAVE_REPLACED));
    assert_false(probe.open[4]);
    probe_free(&probe);
}

static bool is_bound(void *context, const char *name)
{
    return strcmp(name, context) == 0;
}

static void a_bound_name_is_nobody_elses(void **state)
{
    (void)state;
    char bound[] = "node1";
    struct probe probe;

    started(&probe);
    hello(&probe, 0, "", bound, 1); /* no key is for it yet */
    assert_non_null(probe_note(&probe, NOTE_SLAVE_JOINED));
    probe_down(&probe, 0, 0);
    master_bind(probe.master, is_bound, bound);
    for (int i = 0; i < 2; i++) { /* before its owner was there, and after that */
        hello(&probe, 0, "", bound, 1);
        probe_assert_dismissed(&probe, 0, BYE_KEY);
        assert_int_equal(probe_note(&probe, NOTE_PEER_REFUSED)->reason, BYE_KEY);
        assert_int_equal(slaves_of(&probe), 0);
        join(&probe, 1, bound, bound, 1);
        probe_down(&probe, 1, 0);
    }
    join(&probe, 0, "", "node2", 1);
    probe_free(&probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_of_its_own_goes_with_one_name_only),
        cmocka_unit_test(who_has_a_key_of_its_own_is_displaced_by_nobody_else),
        cmocka_unit_test(a_key_of_its_own_wins),
        cmocka_unit_test(an_id_says_nothing_where_a_key_does),
        cmocka_unit_test(its_own_older_connection_gives_way),
        cmocka_unit_test(nobody_goes_for_one_who_is_turned_away),
        cmocka_unit_test(a_withdrawn_key_is_named),
        cmocka_unit_test(one_silent_connection_to_an_owner),
        cmocka_unit_test(a_bound_name_is_nobody_elses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
