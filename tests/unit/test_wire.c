/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole frames: there and back, cut, flipped, stretched, and garbage. */
#include "core/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dice.h"
#include "wire_fields.h"

#define NEWER (WIRE_MINOR + 1)

static size_t any_bytes(struct dice *dice, unsigned type, uint8_t bytes[WIRE_FRAME_MAX])
{
    struct wire_frame frame;
    size_t length = 0;

    wire_frame_any(dice, type, &frame);
    assert_dice(dice, wire_encode(&frame, bytes, &length) == 0);
    return length;
}

static uint8_t any_type(struct dice *dice)
{
    return (uint8_t)dice_between(dice, WIRE_HELLO, WIRE_BYE);
}

/* The wire_faults of these bytes, which must be told along with -EBADMSG and an
 * untouched frame, or 0.  They lie in a block of just that size, so that a
 * sanitizer sees every byte read beyond them. */
static unsigned faults_of(const uint8_t *bytes, size_t length, uint8_t minor,
                          struct wire_frame *frame)
{
    uint8_t *block = malloc(length + (length == 0));
    struct wire_frame decoded, before;
    unsigned faults = ~0U;

    assert_non_null(block);
    memcpy(block, bytes, length);
    memset(&decoded, 0xa5, sizeof(decoded));
    before = decoded;

    int r = wire_decode(block, length, minor, &decoded, &faults);

    free(block);
    assert_int_equal(r, faults == 0 ? 0 : -EBADMSG);
    if (r < 0)
        assert_memory_equal(&decoded, &before, sizeof(decoded));
    if (frame != NULL)
        *frame = decoded;
    return faults;
}

/* wire_frame_any() and wire_decode() leave nothing in a frame to chance. */
static bool same(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct wire_frame)) == 0;
}

static void set_length(uint8_t *bytes, size_t length)
{
    bytes[2] = (uint8_t)(length >> 8);
    bytes[3] = (uint8_t)length;
}

static void header_is_as_documented(void **state)
{
    (void)state;
    const struct wire_frame frame = {
        .type = WIRE_BYE,
        .sequence = 0x01020304,
        .bye = {.reason = BYE_GROUP},
    };
    const uint8_t expected[] = {1, 7, 0, 9, 1, 2, 3, 4, 5};
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length = 0;

    assert_int_equal(wire_encode(&frame, bytes, &length), 0);
    assert_int_equal(length, sizeof(expected));
    assert_memory_equal(bytes, expected, sizeof(expected));
}

static void decoding_undoes_encoding(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (unsigned i = 0; i < 50000; i++) {
        struct wire_frame frame, decoded;
        uint8_t bytes[WIRE_FRAME_MAX];
        size_t length = 0, announced = 0;

        wire_frame_any(&dice, any_type(&dice), &frame);
        assert_dice(&dice, wire_encode(&frame, bytes, &length) == 0);
        assert_dice(&dice, length == wire_lengths[frame.type]);
        assert_dice(&dice, wire_frame_length(bytes, length, &announced) == 0);
        assert_dice(&dice, announced == length);
        assert_dice(&dice, faults_of(bytes, length, WIRE_MINOR, &decoded) == 0);
        assert_dice(&dice, same(&decoded, &frame));
    }
}

static void encoding_writes_no_byte_too_many(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (unsigned type = WIRE_HELLO; type <= WIRE_BYE; type++) {
        uint8_t bytes[WIRE_FRAME_MAX];

        memset(bytes, 0xa5, sizeof(bytes));
        for (size_t i = any_bytes(&dice, type, bytes); i < sizeof(bytes); i++)
            assert_int_equal(bytes[i], 0xa5);
    }
}

static void types_that_are_none_cannot_be_encoded(void **state)
{
    (void)state;
    const uint8_t types[] = {0, WIRE_BYE + 1, UINT8_MAX};

    for (size_t i = 0; i < sizeof(types); i++) {
        const struct wire_frame frame = {.type = types[i], .sequence = 1};
        uint8_t bytes[WIRE_FRAME_MAX] = {0};
        const uint8_t zeros[WIRE_FRAME_MAX] = {0};
        size_t length = 77;

        assert_int_equal(wire_encode(&frame, bytes, &length), -EINVAL);
        assert_int_equal(length, 77);
        assert_memory_equal(bytes, zeros, sizeof(bytes));
    }
}

static void length_needs_a_whole_header(void **state)
{
    (void)state;
    const uint8_t bytes[WIRE_HEADER_SIZE] = {1, 7, 0, 9};
    size_t length = 77;

    for (size_t available = 0; available < WIRE_HEADER_SIZE; available++)
        assert_int_equal(wire_frame_length(bytes, available, &length), -EAGAIN);
    assert_int_equal(length, 77);
    assert_int_equal(wire_frame_length(bytes, WIRE_HEADER_SIZE, &length), 0);
    assert_int_equal(length, 9);
}

static void length_that_no_frame_has(void **state)
{
    (void)state;
    for (size_t announced = 0; announced <= UINT16_MAX; announced++) {
        uint8_t bytes[WIRE_HEADER_SIZE] = {WIRE_VERSION, WIRE_POLL};
        bool possible = announced >= WIRE_HEADER_SIZE && announced <= WIRE_FRAME_MAX;
        size_t length = UINT32_MAX;

        set_length(bytes, announced);
        assert_int_equal(wire_frame_length(bytes, sizeof(bytes), &length), possible ? 0 : -EBADMSG);
        assert_true(length == (possible ? announced : UINT32_MAX));
    }
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (unsigned type = WIRE_HELLO; type <= WIRE_BYE; type++) {
        uint8_t bytes[WIRE_FRAME_MAX];
        size_t whole = any_bytes(&dice, type, bytes);

        for (size_t length = 0; length < whole; length++) {
            set_length(bytes, whole);
            assert_int_equal(faults_of(bytes, length, 0, NULL), WIRE_FAULT_LENGTH);
            set_length(bytes, length);
            assert_int_equal(faults_of(bytes, length, 0, NULL), WIRE_FAULT_LENGTH);
            assert_int_equal(faults_of(bytes, length, NEWER, NULL), WIRE_FAULT_LENGTH);
        }
    }
}

/* A body that is longer than we know is fine only from a newer minor version,
 * agreed on before or, in HELLO, told right there. */
static void only_a_newer_minor_version_may_lengthen_a_body(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (unsigned type = WIRE_HELLO; type <= WIRE_BYE; type++) {
        uint8_t bytes[2 * WIRE_FRAME_MAX];
        struct wire_frame known, longer;
        size_t whole = any_bytes(&dice, type, bytes);
        uint8_t own = WIRE_MINOR, agreed = NEWER;

        for (size_t length = whole + 1; length <= sizeof(bytes); length++) {
            bytes[length - 1] = (uint8_t)dice_u64(&dice);
            if (type == WIRE_HELLO)
                bytes[WIRE_HEADER_SIZE] = own;
            set_length(bytes, length);
            assert_dice(&dice, faults_of(bytes, length, WIRE_MINOR, NULL) == WIRE_FAULT_LENGTH);

            if (type == WIRE_HELLO)
                bytes[WIRE_HEADER_SIZE] = agreed;
            unsigned faults = faults_of(bytes, length, agreed, &longer);

            assert_dice(&dice, faults == (length <= WIRE_FRAME_MAX ? 0 : WIRE_FAULT_LENGTH));
            if (faults != 0)
                continue;
            set_length(bytes, whole);
            assert_dice(&dice, faults_of(bytes, whole, agreed, &known) == 0);
            assert_dice(&dice, same(&known, &longer));
        }
    }
}

static void hello_speaks_for_itself(void **state)
{
    (void)state;
    struct dice dice = dice_new();
    uint8_t bytes[WIRE_FRAME_MAX] = {0};
    size_t length = any_bytes(&dice, WIRE_HELLO, bytes) + 4;

    set_length(bytes, length);
    bytes[WIRE_HEADER_SIZE] = NEWER;
    assert_int_equal(faults_of(bytes, length, WIRE_MINOR, NULL), 0);
    bytes[WIRE_HEADER_SIZE] = WIRE_MINOR;
    assert_int_equal(faults_of(bytes, length, NEWER, NULL), WIRE_FAULT_LENGTH);
}

static void longer_bodies_are_checked_as_well(void **state)
{
    (void)state;
    uint8_t bytes[] = {WIRE_VERSION, WIRE_BYE, 0, 10, 0, 0, 0, 1, BYE_COUNT_, 0};

    assert_int_equal(faults_of(bytes, sizeof(bytes), NEWER, NULL), WIRE_FAULT_RANGE);
    bytes[WIRE_HEADER_SIZE] = BYE_FULL;
    assert_int_equal(faults_of(bytes, sizeof(bytes), NEWER, NULL), 0);
}

static void another_version_is_another_protocol(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (unsigned version = 0; version <= UINT8_MAX; version++) {
        uint8_t bytes[WIRE_FRAME_MAX];
        size_t length = any_bytes(&dice, WIRE_HELLO, bytes);
        unsigned expected = version == WIRE_VERSION ? 0 : WIRE_FAULT_VERSION;

        bytes[0] = (uint8_t)version;
        assert_int_equal(faults_of(bytes, length, NEWER, NULL), expected);
        bytes[1] = UINT8_MAX;
        if (version != WIRE_VERSION)
            assert_int_equal(faults_of(bytes, length - 9, 0, NULL), WIRE_FAULT_VERSION);
    }
}

static void unknown_types_are_refused(void **state)
{
    (void)state;
    for (unsigned type = 0; type <= UINT8_MAX; type++) {
        const uint8_t bytes[] = {WIRE_VERSION, (uint8_t)type, 0, 9, 0, 0, 0, 1, BYE_FULL};
        bool known = type >= WIRE_HELLO && type <= WIRE_BYE;
        unsigned expected = !known             ? WIRE_FAULT_TYPE
                            : type == WIRE_BYE ? 0U
                                               : (unsigned)WIRE_FAULT_LENGTH;

        assert_int_equal(faults_of(bytes, sizeof(bytes), 0, NULL), expected);
    }
}

/* No two types are of one length, so a flipped header cannot pass for another
 * frame; a flipped sequence number makes another sequence number. */
static void every_flipped_header_bit_is_seen(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (unsigned type = WIRE_HELLO; type <= WIRE_BYE; type++) {
        uint8_t bytes[WIRE_FRAME_MAX];
        struct wire_frame frame, flipped;
        size_t length = any_bytes(&dice, type, bytes);

        assert_int_equal(faults_of(bytes, length, 0, &frame), 0);
        for (unsigned bit = 0; bit < 64; bit++) {
            uint8_t mask = (uint8_t)(0x80 >> bit % 8);

            bytes[bit / 8] ^= mask;
            unsigned faults = faults_of(bytes, length, 0, &flipped);

            bytes[bit / 8] ^= mask;
            if (bit < 32) {
                assert_dice(&dice, faults != 0);
                continue;
            }
            assert_dice(&dice, faults == 0);
            assert_dice(&dice, flipped.sequence == (frame.sequence ^ UINT32_C(1) << (63 - bit)));
        }
    }
}

/* Bytes that decode are the only ones that mean it: encoding gives them back. */
static void decodes_to_the_same_bytes(struct dice *dice, const uint8_t *bytes, size_t length,
                                      unsigned *accepted)
{
    struct wire_frame frame;
    uint8_t again[WIRE_FRAME_MAX];
    size_t again_length = 0;

    if (faults_of(bytes, length, WIRE_MINOR, &frame) != 0)
        return;
    assert_dice(dice, wire_encode(&frame, again, &again_length) == 0);
    assert_dice(dice, again_length == length);
    assert_dice(dice, memcmp(again, bytes, length) == 0);
    ++*accepted;
}

static void garbage_is_refused_or_means_something(void **state)
{
    (void)state;
    struct dice dice = dice_new();
    unsigned accepted = 0;

    for (unsigned i = 0; i < 500000; i++) {
        uint8_t bytes[WIRE_FRAME_MAX];
        size_t length = (size_t)dice_below(&dice, WIRE_FRAME_MAX + 1);

        if (dice_below(&dice, 4) == 0)
            length = (size_t)dice_below(&dice, 12);
        for (size_t j = 0; j < length; j += 8) {
            uint64_t random = dice_u64(&dice);

            memcpy(bytes + j, &random, length - j < 8 ? length - j : 8);
        }
        if (length >= 2 && dice_below(&dice, 2) == 0) {
            bytes[0] = WIRE_VERSION;
            bytes[1] = any_type(&dice);
        }
        if (length >= WIRE_HEADER_SIZE && dice_below(&dice, 2) == 0)
            set_length(bytes, length);
        decodes_to_the_same_bytes(&dice, bytes, length, &accepted);
    }
    assert_dice(&dice, accepted > 0);
}

static void damage_is_refused_or_means_something(void **state)
{
    (void)state;
    struct dice dice = dice_new();
    unsigned accepted = 0;

    for (unsigned i = 0; i < 500000; i++) {
        uint8_t bytes[WIRE_FRAME_MAX];
        size_t length = any_bytes(&dice, any_type(&dice), bytes);

        for (uint64_t n = dice_below(&dice, 4); n-- > 0;)
            bytes[dice_below(&dice, length)] = (uint8_t)dice_u64(&dice);
        decodes_to_the_same_bytes(&dice, bytes, length, &accepted);
    }
    assert_dice(&dice, accepted > 100000 && accepted < 400000);
}

static void stamp_goes_into_stamped_frames_only(void **state)
{
    (void)state;
    const struct reading sent = {.raw_ns = 0x0102030405060708, .total_ns = -2};
    struct dice dice = dice_new();

    for (unsigned type = WIRE_HELLO; type <= WIRE_BYE; type++) {
        uint8_t bytes[WIRE_FRAME_MAX], before[WIRE_FRAME_MAX];
        bool stamped = type != WIRE_HELLO && type != WIRE_WELCOME && type != WIRE_BYE;
        struct wire_frame frame, after;
        size_t length = any_bytes(&dice, type, bytes);

        memcpy(before, bytes, length);
        assert_int_equal(faults_of(bytes, length, 0, &frame), 0);
        assert_int_equal(wire_stamp(bytes, length, &sent, STAMP_KERNEL), stamped ? 0 : -EINVAL);
        if (!stamped) {
            assert_memory_equal(bytes, before, length);
            continue;
        }
        frame.poll.departure.sent = sent; /* at the same place in all four */
        frame.poll.departure.source = STAMP_KERNEL;
        assert_int_equal(faults_of(bytes, length, 0, &after), 0);
        assert_memory_equal(&after, &frame, sizeof(frame));
    }
}

/* Even if its bytes could pass for a departure. */
static void hello_is_never_stamped(void **state)
{
    (void)state;
    const struct reading sent = {.raw_ns = 1, .total_ns = 1};
    const struct wire_frame hello = {
        .type = WIRE_HELLO,
        .hello = {.kind = CLOCK_KIND_KERNEL, .precision_ns = 1, .name = "a", .group = "g"},
    };
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length = 0;

    assert_int_equal(wire_encode(&hello, bytes, &length), 0);
    assert_int_equal(wire_stamp(bytes, length, &sent, STAMP_USER), -EINVAL);
}

static void stamp_refuses_what_decoding_would(void **state)
{
    (void)state;
    const struct reading good = {.raw_ns = 1, .total_ns = 1};
    const struct reading late = {.raw_ns = TIMESTAMP_LIMIT_NS};
    const struct reading wild = {.total_ns = -TIMESTAMP_LIMIT_NS};
    struct dice dice = dice_new();
    uint8_t bytes[WIRE_FRAME_MAX], before[WIRE_FRAME_MAX];
    size_t length = any_bytes(&dice, WIRE_POLL, bytes);

    memcpy(before, bytes, length);
    assert_int_equal(wire_stamp(bytes, length, &late, STAMP_USER), -EINVAL);
    assert_int_equal(wire_stamp(bytes, length, &wild, STAMP_USER), -EINVAL);
    assert_int_equal(wire_stamp(bytes, length, &good, (enum stamp_source)2), -EINVAL);
    assert_int_equal(wire_stamp(bytes, length - 1, &good, STAMP_USER), -EINVAL);
    assert_int_equal(wire_stamp(bytes, 0, &good, STAMP_USER), -EINVAL);
    assert_memory_equal(bytes, before, length);

    set_length(bytes, 36);
    assert_int_equal(wire_stamp(bytes, 36, &good, STAMP_USER), -EINVAL);
    set_length(bytes, length);
    bytes[0]++;
    assert_int_equal(wire_stamp(bytes, length, &good, STAMP_USER), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_as_documented),
        cmocka_unit_test(decoding_undoes_encoding),
        cmocka_unit_test(encoding_writes_no_byte_too_many),
        cmocka_unit_test(types_that_are_none_cannot_be_encoded),
        cmocka_unit_test(length_needs_a_whole_header),
        cmocka_unit_test(length_that_no_frame_has),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(only_a_newer_minor_version_may_lengthen_a_body),
        cmocka_unit_test(hello_speaks_for_itself),
        cmocka_unit_test(longer_bodies_are_checked_as_well),
        cmocka_unit_test(another_version_is_another_protocol),
        cmocka_unit_test(unknown_types_are_refused),
        cmocka_unit_test(every_flipped_header_bit_is_seen),
        cmocka_unit_test(garbage_is_refused_or_means_something),
        cmocka_unit_test(damage_is_refused_or_means_something),
        cmocka_unit_test(stamp_goes_into_stamped_frames_only),
        cmocka_unit_test(hello_is_never_stamped),
        cmocka_unit_test(stamp_refuses_what_decoding_would),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
