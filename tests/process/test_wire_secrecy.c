/* SPDX-License-Identifier: BSD-2-Clause */
/* Two machines' networks and what goes over the cable between them, from the first connection to
 * the end of the last: with a key nothing can be read, without one all of it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "frames.h"
#include "netns.h"
#include "setup.h"

#define PORT 5525
#define JOIN_SECONDS 60
#define SECONDS 20
#define SLAVES 2
#define ROUNDS 4
#define GROUP "wiregroup"
#define RECORD_MAX (16384 + 256)

static const char *const names[] = {"wiremaster", "wireslave1", "wireslave2"};

struct party {
    struct harness *harness;
    struct netns *netns;
    const char *configs[SLAVES + 1];
    struct process *processes[SLAVES + 1];
};

/* What is in clear in a stream. */
struct reading_matter {
    unsigned names, headers[WIRE_BYE + 1];
};

/* NULL keys: without any. */
static struct party party_start(struct harness *harness, const struct secret_key *keys,
                                size_t count)
{
    static const char common[] = "group = \"" GROUP "\";\n"
                                 "master: { listen = [\"" NETNS_NEAR "\"]; };\n"
                                 "slave: { master = \"" NETNS_NEAR "\"; };\n";
    struct party party = {.harness = harness, .netns = netns_new(harness)};
    char text[512];

    for (size_t i = 0; i <= SLAVES; i++) {
        /* The master knows all keys, the slaves have the first of them only. */
        party.configs[i] = keys ? setup_keyed(harness, names[i], PORT, keys, i == 0 ? count : 1)
                                : setup_config(harness, names[i], PORT);
        snprintf(text, sizeof text, "%semulated: { offset = \"%zu ms\"; };\n%s", common, 20 * i,
                 keys ? "" : "authentication = \"none\";\n");
        setup_override(harness, party.configs[i], text);
        if (i == 1)
            netns_enter_far(party.netns);
        party.processes[i] = process_start(harness, i == 0 ? "--master" : "--slave", "-v", "-c",
                                           party.configs[i], NULL);
    }
    netns_enter_near(party.netns);
    return party;
}

static void expect_synchronised(struct party *party)
{
    for (size_t i = 0; i <= SLAVES; i++)
        assert_true(process_wait_line(party->processes[i], "Synchronised: ", JOIN_SECONDS));
}

static void reload(struct party *party, size_t n)
{
    process_mark(party->processes[n]);
    process_signal(party->processes[n], SIGHUP);
    assert_true(process_wait_line(party->processes[n], "Configuration reloaded from ", SECONDS));
}

static void expect_rounds(struct party *party)
{
    for (size_t i = 1; i <= SLAVES; i++)
        assert_true(setup_wait_rounds(party->harness, party->processes[i],
                                      setup_said(party->processes[i]), ROUNDS, SECONDS));
}

static void party_stop(struct party *party)
{
    for (size_t i = SLAVES + 1; i-- > 0;)
        assert_int_equal(process_stop(party->processes[i]), 0);
}

static unsigned count_text(const struct netns_stream *stream, const char *text)
{
    const uint8_t *at = stream->bytes, *end = at + stream->length;
    unsigned count = 0;

    while (at && (at = memmem(at, (size_t)(end - at), text, strlen(text)))) {
        count++;
        at++;
    }
    return count;
}

static size_t length_of(uint8_t type)
{
    struct wire_frame frame = {.type = type, .sequence = 1};
    uint8_t bytes[WIRE_FRAME_MAX];

    if (type == WIRE_HELLO)
        frame = frames_hello("name");
    else if (type == WIRE_WELCOME)
        frame = frames_welcome("name");
    else if (type == WIRE_BYE)
        frame.bye.reason = BYE_SHUTDOWN;
    return frames_encode(&frame, bytes);
}

/* What a header would be: version, a type with the length that its frames have, and a sequence
 * number of the first 65,536.  Random bytes are one in 2^45. */
static bool is_header(const uint8_t *bytes, uint8_t *type)
{
    static size_t lengths[WIRE_BYE + 1];

    for (uint8_t i = WIRE_HELLO; i <= WIRE_BYE && lengths[WIRE_BYE] == 0; i++)
        lengths[i] = length_of(i);
    *type = bytes[1];
    return bytes[0] == WIRE_VERSION && *type >= WIRE_HELLO && *type <= WIRE_BYE &&
           lengths[*type] == ((size_t)bytes[2] << 8 | bytes[3]) && bytes[4] == 0 && bytes[5] == 0;
}

static void read_stream(const struct netns_stream *stream, struct reading_matter *matter)
{
    uint8_t type;

    matter->names += count_text(stream, GROUP);
    for (size_t i = 0; i <= SLAVES; i++)
        matter->names += count_text(stream, names[i]);
    for (size_t at = 0; at + WIRE_HEADER_SIZE <= stream->length; at++)
        if (is_header(stream->bytes + at, &type))
            matter->headers[type]++;
}

/* From the first byte to the last: hellos, then what only the two can read.  Nothing at all where
 * nobody listened yet. */
static void expect_records(const struct netns_stream *stream)
{
    unsigned count = 0, sealed = stream->length == 0;
    size_t at = 0;

    while (at < stream->length) {
        const uint8_t *record = stream->bytes + at;
        size_t length;

        assert_true(stream->length - at >= 5);
        length = (size_t)record[3] << 8 | record[4];
        assert_in_range(record[0], 20, 23);
        assert_int_equal(record[1], 3);
        assert_true(record[2] == 3 || (record[2] == 1 && count == 0));
        assert_in_range(length, 1, RECORD_MAX);
        /* The hello, and perhaps a change_cipher_spec that means nothing. */
        if (record[0] == 22)
            assert_int_equal(count, 0);
        else if (record[0] != 23)
            assert_int_equal(record[0], 20);
        sealed += record[0] == 23;
        count++;
        at += 5 + length;
    }
    assert_int_equal(at, stream->length);
    assert_true(sealed > 0);
}

static void test_with_a_key(void **state)
{
    const struct secret_key keys[] = {key_make("autumn", NULL), key_make("winter", NULL)};
    struct party party = party_start(*state, keys, 2);
    struct reading_matter matter = {.names = 0};
    const struct netns_stream *stream;
    size_t count = 0;

    expect_synchronised(&party);
    reload(&party, 0);
    for (size_t i = 1; i <= SLAVES; i++) {
        setup_keys(*state, party.configs[i], &keys[1], 1);
        reload(&party, i);
        assert_true(process_wait_line(party.processes[i], "Following master", SECONDS));
    }
    expect_rounds(&party);
    party_stop(&party);
    for (; (stream = netns_stream(party.netns, count)); count++) {
        expect_records(stream);
        read_stream(stream, &matter);
    }
    /* Each slave twice, both ways. */
    assert_in_range(count, 4 * SLAVES, 64);
    assert_int_equal(matter.names, 0);
    for (unsigned type = WIRE_HELLO; type <= WIRE_BYE; type++)
        assert_int_equal(matter.headers[type], 0);
}

/* The same eyes see everything where nothing is hidden. */
static void test_without(void **state)
{
    struct party party = party_start(*state, NULL, 0);
    struct reading_matter matter = {.names = 0};
    const struct netns_stream *stream;

    for (size_t i = 0; i <= SLAVES; i++)
        assert_true(process_wait_line(party.processes[i], "whoever reaches this machine's network",
                                      SECONDS));
    expect_synchronised(&party);
    expect_rounds(&party);
    party_stop(&party);
    for (size_t n = 0; (stream = netns_stream(party.netns, n)); n++)
        read_stream(stream, &matter);
    /* HELLO and WELCOME: name and group each. */
    assert_true(matter.names >= 4 * SLAVES);
    for (unsigned type = WIRE_HELLO; type <= WIRE_BYE; type++)
        if (matter.headers[type] == 0)
            fail_msg("no %s frame was seen", wire_type_name(type));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_with_a_key), TEST(test_without)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
