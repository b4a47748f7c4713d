/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dice.h"
#include "tls_pair.h"

#define FRAMES 10000
#define HEADER_SIZE 5
#define OVERHEAD (HEADER_SIZE + 1 + 16)

static void fill(struct dice *dice, uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)dice_below(dice, 256);
}

/* Takes what this end has to say; how many bytes. */
static size_t take(struct tls *tls, uint8_t *bytes)
{
    size_t length;
    const uint8_t *output = tls_output(tls, &length);

    memcpy(bytes, output, length);
    tls_sent(tls, length);
    return length;
}

static size_t sealed(struct tls *tls, uint8_t value, size_t length, uint8_t *record)
{
    uint8_t plain[TLS_PLAIN_MAX];

    memset(plain, value, sizeof(plain));
    assert_int_equal(tls_seal(tls, plain, length), 0);
    return take(tls, record);
}

static ssize_t open_more(struct tls *tls)
{
    uint8_t plain[TLS_PLAIN_MAX];

    return tls_open(tls, plain, sizeof(plain));
}

static ssize_t open_from(struct tls *tls, const uint8_t *record, size_t length)
{
    assert_int_equal(tls_feed(tls, record, length), 0);
    return open_more(tls);
}

static void ten_thousand_frames_arrive_in_order_both_ways(void **state)
{
    struct dice dice = dice_new();
    struct pair pair = pair_open();
    uint8_t sent[TLS_PLAIN_MAX], plain[TLS_PLAIN_MAX];

    (void)state;
    for (int frame = 0; frame < FRAMES; frame++) {
        bool down = dice_below(&dice, 2);
        struct tls *from = down ? pair.server : pair.client, *to = down ? pair.client : pair.server;
        size_t length = 1 + dice_below(&dice, TLS_PLAIN_MAX), output;

        fill(&dice, sent, length);
        assert_int_equal(tls_seal(from, sent, length), 0);
        (void)tls_output(from, &output);
        assert_dice(&dice, output == length + OVERHEAD);
        while (pair_carry(from, to, 1 + dice_below(&dice, 100)) > 0)
            if (tls_output(from, &output) && output > 0)
                assert_dice(&dice, tls_open(to, plain, sizeof(plain)) == -EAGAIN);
        assert_dice(&dice, tls_open(to, plain, sizeof(plain)) == (ssize_t)length);
        assert_dice(&dice, memcmp(plain, sent, length) == 0);
        assert_dice(&dice, tls_open(to, plain, sizeof(plain)) == -EAGAIN);
    }
    pair_free(&pair);
}

static void a_frame_is_opened_piece_by_piece(void **state)
{
    struct pair pair = pair_open();
    uint8_t plain[TLS_PLAIN_MAX];

    (void)state;
    assert_int_equal(tls_seal(pair.client, (const uint8_t *)"abcdef", 6), 0);
    pair_carry(pair.client, pair.server, TLS_OUTPUT_MAX);
    assert_int_equal(tls_open(pair.server, plain, 4), 4);
    assert_int_equal(tls_open(pair.server, plain + 4, 4), 2);
    assert_memory_equal(plain, "abcdef", 6);
    assert_int_equal(tls_open(pair.server, plain, 4), -EAGAIN);
    pair_free(&pair);
}

static void no_plain_byte_leaves(void **state)
{
    static const char MARKER[] = "Berkeley's marker";
    struct pair pair = pair_open();

    (void)state;
    for (int frame = 0; frame < 10; frame++)
        assert_int_equal(tls_seal(pair.client, (const uint8_t *)MARKER, sizeof(MARKER)), 0);
    size_t length;
    const uint8_t *output = tls_output(pair.client, &length);
    assert_int_equal(length, 10 * (sizeof(MARKER) + OVERHEAD));
    for (size_t size = 4; size <= sizeof(MARKER); size++)
        assert_null(memmem(output, length, MARKER, size));
    pair_free(&pair);
}

static void nothing_and_more_than_a_frame_are_not_sealed(void **state)
{
    static const uint8_t PLAIN[TLS_PLAIN_MAX + 1];
    struct pair pair = pair_open();
    size_t length;

    (void)state;
    assert_int_equal(tls_seal(pair.client, PLAIN, sizeof(PLAIN)), -EMSGSIZE);
    assert_int_equal(tls_seal(pair.client, PLAIN, 0), -EMSGSIZE);
    (void)tls_output(pair.client, &length);
    assert_int_equal(length, 0);
    assert_int_equal(tls_seal(pair.client, PLAIN, TLS_PLAIN_MAX), 0);
    pair_free(&pair);
}

static void a_full_output_takes_whole_records_only(void **state)
{
    struct pair pair = pair_open();
    uint8_t plain[TLS_PLAIN_MAX] = {0};
    size_t before, after, frames = 0;

    (void)state;
    for (;; frames++) {
        plain[0] = (uint8_t)frames;
        (void)tls_output(pair.client, &before);
        int error = tls_seal(pair.client, plain, sizeof(plain));
        (void)tls_output(pair.client, &after);
        if (error == -ENOBUFS)
            break;
        assert_int_equal(error, 0);
        assert_int_equal(after - before, sizeof(plain) + OVERHEAD);
    }
    assert_int_equal(after, before);
    assert_true(frames > 8);

    pair_carry(pair.client, pair.server, TLS_OUTPUT_MAX);
    assert_int_equal(tls_seal(pair.client, plain, sizeof(plain)), 0);
    for (size_t frame = 0; frame < frames; frame++) {
        assert_int_equal(tls_open(pair.server, plain, sizeof(plain)), sizeof(plain));
        assert_int_equal(plain[0], frame);
    }
    pair_carry(pair.client, pair.server, TLS_OUTPUT_MAX);
    assert_int_equal(tls_open(pair.server, plain, sizeof(plain)), sizeof(plain));
    assert_int_equal(plain[0], frames);
    pair_free(&pair);
}

static void a_full_input_takes_nothing(void **state)
{
    struct pair pair = pair_open();
    uint8_t record[TLS_OUTPUT_MAX];
    size_t length = sealed(pair.client, 7, TLS_PLAIN_MAX, record);
    uint8_t filling[TLS_INPUT_MAX] = {0};

    (void)state;
    assert_int_equal(tls_feed(pair.server, record, length), 0);
    assert_int_equal(tls_feed(pair.server, filling, TLS_INPUT_MAX - length + 1), -ENOBUFS);
    assert_int_equal(open_more(pair.server), TLS_PLAIN_MAX);
    assert_int_equal(open_more(pair.server), -EAGAIN);
    assert_int_equal(tls_feed(pair.server, filling, TLS_INPUT_MAX), 0);
    pair_free(&pair);
}

/* A length that grew makes it wait for more: hence a second record. */
static void every_flipped_bit_is_found(void **state)
{
    uint8_t records[2 * TLS_OUTPUT_MAX];

    (void)state;
    for (size_t bit = 0; bit / 8 < 16 + OVERHEAD; bit++) {
        struct pair pair = pair_open();
        size_t length = sealed(pair.client, 0xa5, 16, records);
        assert_int_equal(length, 16 + OVERHEAD);
        length += sealed(pair.client, 0x5a, TLS_PLAIN_MAX, records + length);
        records[bit / 8] ^= (uint8_t)(1 << bit % 8);

        assert_int_equal(open_from(pair.server, records, length), -EBADMSG);
        assert_int_equal(open_more(pair.server), -EBADMSG);
        assert_int_equal(tls_seal(pair.server, records, 1), -EBADMSG);
        pair_free(&pair);
    }
}

static void a_record_counts_once_and_in_its_place(void **state)
{
    uint8_t records[3][TLS_OUTPUT_MAX];
    size_t length = 40 + OVERHEAD;

    (void)state;
    for (int mischief = 0; mischief < 4; mischief++) {
        struct pair pair = pair_open();
        for (uint8_t i = 0; i < 3; i++)
            assert_int_equal(sealed(pair.client, i, 40, records[i]), length);
        size_t second = (size_t[]){0, 2, 1, 0}[mischief]; /* replayed, reordered, none, returned */

        assert_int_equal(open_from(pair.server, records[0], length), 40);
        if (mischief < 3)
            assert_int_equal(open_from(pair.server, records[second], length),
                             mischief == 2 ? 40 : -EBADMSG);
        else
            assert_int_equal(open_from(pair.client, records[0], length), -EBADMSG);
        pair_free(&pair);
    }
}

static void a_record_of_another_connection_is_refused(void **state)
{
    struct pair one = pair_open(), other = pair_open();
    uint8_t record[TLS_OUTPUT_MAX];
    size_t length = sealed(one.client, 1, 40, record);

    (void)state;
    assert_int_equal(open_from(other.server, record, length), -EBADMSG);
    assert_int_equal(open_from(one.server, record, length), 40);
    pair_free(&one);
    pair_free(&other);
}

static void the_end_is_told_in_both_directions(void **state)
{
    struct pair pair = pair_open();
    uint8_t record[TLS_OUTPUT_MAX];

    (void)state;
    (void)sealed(pair.client, 3, 10, record);
    assert_int_equal(open_from(pair.server, record, 10 + OVERHEAD), 10);
    assert_int_equal(tls_seal(pair.client, record, 5), 0);
    tls_close(pair.client);
    tls_close(pair.client);
    pair_carry(pair.client, pair.server, TLS_OUTPUT_MAX);
    assert_int_equal(open_more(pair.server), 5);
    assert_int_equal(open_more(pair.server), 0);
    assert_int_equal(open_more(pair.server), 0);

    assert_int_equal(tls_seal(pair.server, record, 5), 0);
    tls_close(pair.server);
    pair_carry(pair.server, pair.client, TLS_OUTPUT_MAX);
    assert_int_equal(open_more(pair.client), 5);
    assert_int_equal(open_more(pair.client), 0);
    pair_free(&pair);
}

static void an_end_cut_off_is_not_the_end(void **state)
{
    struct pair pair = pair_open();
    uint8_t record[TLS_OUTPUT_MAX];
    size_t length = sealed(pair.client, 3, 10, record);

    (void)state;
    assert_int_equal(open_from(pair.server, record, length - 1), -EAGAIN);
    assert_int_equal(open_more(pair.server), -EAGAIN);
    assert_int_equal(open_from(pair.server, record + length - 1, 1), 10);
    pair_free(&pair);
}

/* For an alert is smaller than what a record must find. */
static void a_full_output_has_room_for_the_end(void **state)
{
    struct pair pair = pair_open();
    uint8_t plain[TLS_PLAIN_MAX] = {0};
    size_t before, after;

    (void)state;
    for (size_t length = sizeof(plain); length > 0; length /= 2)
        while (tls_seal(pair.client, plain, length) == 0)
            continue;
    (void)tls_output(pair.client, &before);
    tls_close(pair.client);
    (void)tls_output(pair.client, &after);
    assert_int_equal(after - before, 2 + OVERHEAD);
    pair_carry(pair.client, pair.server, TLS_OUTPUT_MAX);
    while (tls_open(pair.server, plain, sizeof(plain)) > 0)
        continue;
    assert_int_equal(open_more(pair.server), 0);
    pair_free(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_frames_arrive_in_order_both_ways),
        cmocka_unit_test(a_frame_is_opened_piece_by_piece),
        cmocka_unit_test(no_plain_byte_leaves),
        cmocka_unit_test(nothing_and_more_than_a_frame_are_not_sealed),
        cmocka_unit_test(a_full_output_takes_whole_records_only),
        cmocka_unit_test(a_full_input_takes_nothing),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(a_record_counts_once_and_in_its_place),
        cmocka_unit_test(a_record_of_another_connection_is_refused),
        cmocka_unit_test(the_end_is_told_in_both_directions),
        cmocka_unit_test(an_end_cut_off_is_not_the_end),
        cmocka_unit_test(a_full_output_has_room_for_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
