/* SPDX-License-Identifier: BSD-2-Clause */
/* berkeleyctl now: by the file that berkeleyd publishes its bound in. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "berkeley.h"
#include "ctl.h"
#include "fake.h"

#define BOUND_NS 6580

static int64_t read_clock(clockid_t id)
{
    struct timespec now;

    (void)clock_gettime(id, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static const char *publish(struct harness *harness, const char *name, enum berkeley_status status)
{
    struct berkeley_segment segment = {
        .magic = {0x414D5A4E, 0x43420200},
        .size = sizeof segment,
        .version = 2,
        .generation = 2,
        .bound_ns = BOUND_NS,
        .drift_ppb = 1,
        .status = (int32_t)status,
    };
    const char *path = harness_write(harness, name, "%s", "");
    FILE *file = fopen(path, "we");

    segment.as_of[0] = read_clock(CLOCK_MONOTONIC_COARSE) / 1000000000;
    segment.void_after[0] = segment.as_of[0] + 1000;
    assert_non_null(file);
    assert_int_equal(fwrite(&segment, sizeof segment, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    return path;
}

static int64_t number(struct json_object *object, const char *key)
{
    struct json_object *value;

    assert_true(json_object_object_get_ex(object, key, &value));
    assert_true(json_object_is_type(value, json_type_int));
    return json_object_get_int64(value);
}

static void test_published(void **state)
{
    const char *path = publish(*state, "clockbound", BERKELEY_SYNCHRONISED);
    struct fake *fake = fake_open(*state, "slave.sock");
    int64_t before_ns = read_clock(CLOCK_REALTIME);
    struct json_object *object = json_tokener_parse(
        ctl_output(*state, CTL_WORDS("-s", harness_directory(*state), "now", "--json")));
    int64_t after_ns = read_clock(CLOCK_REALTIME), bound_ns = number(object, "bound_ns");
    char expected[512];

    assert_in_range(number(object, "time_ns"), before_ns, after_ns);
    assert_in_range(bound_ns, BOUND_NS, BOUND_NS + 1000);
    assert_int_equal(number(object, "earliest_ns"), number(object, "time_ns") - bound_ns);
    assert_int_equal(number(object, "latest_ns"), number(object, "time_ns") + bound_ns);
    json_object_put(object);
    (void)snprintf(expected, sizeof expected,
                   "^By %s\n"
                   "       State: synchronised\n"
                   "    Earliest: [-0-9]{10} [:0-9]{8}[.][0-9]{7} UTC\n"
                   "      Latest: [-0-9]{10} [:0-9]{8}[.][0-9]{7} UTC\n"
                   "       Bound: 6.5[89] µs to either side\n$",
                   path);
    assert_true(ctl_matches(ctl_output(*state, CTL_WORDS("-s", harness_directory(*state), "now")),
                            expected));
    assert_true(ctl_matches(ctl_output(*state, CTL_WORDS("now", "--file", path)), expected));
    assert_int_equal(fake_asked(fake, "now"), 0);
}

/* As much as is known, and no more. */
static void test_not_synchronised(void **state)
{
    const char *path = publish(*state, "holdover", BERKELEY_HOLDOVER), *text;

    text = ctl_output(*state, CTL_WORDS("now", "--file", path));
    assert_non_null(strstr(text, "       State: holdover\n    Earliest: "));
    path = publish(*state, "disrupted", BERKELEY_DISRUPTED);
    text = ctl_output(*state, CTL_WORDS("now", "--file", path));
    assert_non_null(strstr(text, "\n       State: unsynchronised\n"
                                 "       Bound: unknown: this can be any time\n"));
    text = ctl_output(*state, CTL_WORDS("now", "--json", "--file", path));
    assert_non_null(strstr(text, "\"state\":\"unsynchronised\",\"time_ns\":null,"
                                 "\"earliest_ns\":null,\"latest_ns\":null,\"bound_ns\":null}"));
}

/* What is beside the sockets may be something else, what is named may not. */
static void test_no_segment(void **state)
{
    struct fake *fake = fake_open(*state, "slave.sock");
    const char *path = harness_write(*state, "clockbound", "nothing of the kind");

    fake_answer(fake, "{\"name\":\"node1\"}");
    (void)ctl_output(*state, CTL_WORDS("-s", harness_directory(*state), "now"));
    assert_int_equal(fake_asked(fake, "now"), 1);
    ctl_refuses(*state, 1, "^berkeleyctl: .*/clockbound: no time is published in this file$",
                CTL_WORDS("now", "--file", path));
    ctl_refuses(*state, 1, "^berkeleyctl: /nowhere/file: No such file or directory$",
                CTL_WORDS("now", "--file", "/nowhere/file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_published, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_not_synchronised, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_no_segment, harness_setup, harness_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
