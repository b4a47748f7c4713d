/* SPDX-License-Identifier: BSD-2-Clause */
/* Field by field: where each lies, and what it can be. */
#include "core/wire.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dice.h"
#include "wire_fields.h"

static const struct wire_field *next(const struct wire_field *field, enum wire_field_kind kind)
{
    const struct wire_field *end = wire_fields + wire_fields_count;

    field = field == NULL ? wire_fields : field + 1;
    while (field < end && field->kind != kind)
        field++;
    return field < end ? field : NULL;
}

static const struct wire_field *named(const char *name)
{
    for (size_t i = 0; i < wire_fields_count; i++) {
        if (strcmp(wire_fields[i].name, name) == 0)
            return &wire_fields[i];
    }
    fail_msg("no field %s", name);
    return NULL;
}

/* A frame in which every value of any single number goes with the others. */
static void plain_frame(unsigned type, struct wire_frame *frame)
{
    struct dice dice = dice_new();

    wire_frame_any(&dice, type, frame);
    if (type == WIRE_CORRECT) {
        frame->correct.counted = 0;
        frame->correct.present = UINT16_MAX;
    }
}

static size_t plain_bytes(unsigned type, uint8_t bytes[WIRE_FRAME_MAX])
{
    struct wire_frame frame;
    size_t length = 0;

    plain_frame(type, &frame);
    assert_int_equal(wire_encode(&frame, bytes, &length), 0);
    return length;
}

static void refused(const uint8_t *bytes, size_t length, unsigned expected, const char *what)
{
    struct wire_frame frame;
    unsigned faults = 0;

    if (wire_decode(bytes, length, WIRE_MINOR, &frame, &faults) != -EBADMSG || faults != expected)
        fail_msg("%s: faults %u instead of %u", what, faults, expected);
}

static void cannot_encode(const struct wire_frame *frame, const char *what)
{
    const uint8_t zeros[WIRE_FRAME_MAX] = {0};
    uint8_t bytes[WIRE_FRAME_MAX] = {0};
    size_t length = 77;

    if (wire_encode(frame, bytes, &length) != -EINVAL)
        fail_msg("%s: encoded", what);
    assert_int_equal(length, 77);
    assert_memory_equal(bytes, zeros, sizeof(bytes));
}

static void fields_cover_each_frame_exactly(void **state)
{
    (void)state;
    for (unsigned type = WIRE_HELLO; type <= WIRE_BYE; type++) {
        unsigned covered[WIRE_FRAME_MAX] = {0};

        for (size_t i = 0; i < wire_fields_count; i++) {
            const struct wire_field *field = &wire_fields[i];

            for (size_t at = field->at; field->type == type && at < field->at + field->width; at++)
                covered[at]++;
        }
        for (size_t at = 0; at < WIRE_FRAME_MAX; at++) {
            assert_int_equal(covered[at],
                             at >= WIRE_HEADER_SIZE && at < wire_lengths[type] ? 1 : 0);
        }
    }
}

static void number_is_carried(const struct wire_field *field, int64_t value)
{
    struct wire_frame frame, decoded;
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length = 0;
    unsigned faults = 0;

    plain_frame(field->type, &frame);
    if (strcmp(field->name, "correct.counted") == 0)
        frame.correct.present = UINT16_MAX;
    wire_field_set(field, &frame, value);
    if (wire_encode(&frame, bytes, &length) != 0 || wire_field_read(field, bytes) != value)
        fail_msg("%s: %" PRId64 " not encoded at %zu", field->name, value, field->at);
    if (wire_decode(bytes, length, WIRE_MINOR, &decoded, &faults) != 0 ||
        wire_field_get(field, &decoded) != value)
        fail_msg("%s: %" PRId64 " not decoded, faults %u", field->name, value, faults);
}

static void numbers_are_carried_where_documented(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (const struct wire_field *f = next(NULL, FIELD_NUMBER); f; f = next(f, FIELD_NUMBER)) {
        number_is_carried(f, f->min);
        number_is_carried(f, f->max);
        for (unsigned i = 0; i < 50; i++)
            number_is_carried(f, dice_between(&dice, f->min, f->max));
    }
}

static void number_is_refused(const struct wire_field *field, int64_t value)
{
    struct wire_frame frame;
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length = plain_bytes(field->type, bytes);

    wire_field_write(field, bytes, value);
    refused(bytes, length, WIRE_FAULT_RANGE, field->name);
    plain_frame(field->type, &frame);
    wire_field_set(field, &frame, value);
    cannot_encode(&frame, field->name);
}

static void numbers_outside_their_range_are_refused(void **state)
{
    (void)state;
    unsigned count = 0;

    for (const struct wire_field *f = next(NULL, FIELD_NUMBER); f; f = next(f, FIELD_NUMBER)) {
        bool is_signed = f->width == sizeof(int64_t);
        int64_t least = is_signed ? INT64_MIN : 0;
        int64_t most = is_signed ? INT64_MAX : (INT64_C(1) << (8 * f->width)) - 1;

        if (f->min > least) {
            number_is_refused(f, f->min - 1);
            number_is_refused(f, least);
            count++;
        }
        if (f->max < most) {
            number_is_refused(f, f->max + 1);
            number_is_refused(f, most);
            count++;
        }
    }
    assert_true(count > 60);
}

static void padding_is_zero(void **state)
{
    (void)state;
    for (const struct wire_field *f = next(NULL, FIELD_PADDING); f; f = next(f, FIELD_PADDING)) {
        uint8_t bytes[WIRE_FRAME_MAX];
        size_t length = plain_bytes(f->type, bytes);

        for (size_t bit = 0; bit < 8 * f->width; bit++) {
            uint8_t *byte = &bytes[f->at + bit / 8];

            assert_int_equal(*byte, 0);
            *byte = (uint8_t)(1U << bit % 8);
            refused(bytes, length, WIRE_FAULT_RANGE, f->name);
            *byte = 0;
        }
    }
}

static void id_is_carried(void **state)
{
    (void)state;
    const struct wire_field *field = named("hello.id");
    struct wire_frame frame, decoded;
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length = 0;
    unsigned faults = 0;

    plain_frame(WIRE_HELLO, &frame);
    for (uint8_t i = 0; i < WIRE_ID_SIZE; i++)
        frame.hello.id[i] = (uint8_t)(0xf8 + i);
    assert_int_equal(wire_encode(&frame, bytes, &length), 0);
    assert_memory_equal(bytes + field->at, frame.hello.id, WIRE_ID_SIZE);
    assert_int_equal(wire_decode(bytes, length, WIRE_MINOR, &decoded, &faults), 0);
    assert_memory_equal(decoded.hello.id, frame.hello.id, WIRE_ID_SIZE);
}

static void name_is(const struct wire_field *field, const char text[WIRE_NAME_SIZE], bool good)
{
    struct wire_frame frame;
    uint8_t bytes[WIRE_FRAME_MAX], encoded[WIRE_FRAME_MAX];
    size_t length = plain_bytes(field->type, bytes), encoded_length = 0;
    unsigned faults = 0;

    plain_frame(field->type, &frame);
    memcpy((char *)&frame + field->host, text, WIRE_NAME_SIZE);
    memcpy(bytes + field->at, text, WIRE_NAME_SIZE);
    if (!good) {
        refused(bytes, length, WIRE_FAULT_NAME, field->name);
        cannot_encode(&frame, field->name);
        return;
    }
    assert_int_equal(wire_encode(&frame, encoded, &encoded_length), 0);
    assert_memory_equal(encoded, bytes, length);
    assert_int_equal(wire_decode(bytes, length, WIRE_MINOR, &frame, &faults), 0);
    assert_memory_equal((char *)&frame + field->host, text, WIRE_NAME_SIZE);
}

static void names_are_printable_and_filled_with_nul(void **state)
{
    (void)state;
    const char one[WIRE_NAME_SIZE] = "a", empty[WIRE_NAME_SIZE] = "";
    const char dirty[WIRE_NAME_SIZE] = "time1\0x", late[WIRE_NAME_SIZE] = "\0time1";

    for (const struct wire_field *f = next(NULL, FIELD_NAME); f; f = next(f, FIELD_NAME)) {
        char full[WIRE_NAME_SIZE];

        name_is(f, one, true);
        name_is(f, empty, false);
        name_is(f, dirty, false);
        name_is(f, late, false);
        memset(full, 'x', sizeof(full));
        name_is(f, full, false);
        full[WIRE_NAME_SIZE - 1] = '\0';
        name_is(f, full, true);
        for (unsigned c = 1; c <= UINT8_MAX; c++) {
            full[c % (WIRE_NAME_SIZE - 1)] = (char)c;
            name_is(f, full, c >= 0x20 && c <= 0x7e);
            full[c % (WIRE_NAME_SIZE - 1)] = 'x';
        }
    }
}

static void faults_of_two_kinds_are_both_told(void **state)
{
    (void)state;
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length = plain_bytes(WIRE_HELLO, bytes);

    bytes[named("hello.kind")->at] = 0;
    bytes[named("hello.group")->at] = '\n';
    refused(bytes, length, WIRE_FAULT_RANGE | WIRE_FAULT_NAME, "hello");
}

static void no_more_counted_than_present(void **state)
{
    (void)state;
    struct wire_frame frame;
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length = 0;

    plain_frame(WIRE_CORRECT, &frame);
    frame.correct.counted = 5;
    frame.correct.present = 5;
    assert_int_equal(wire_encode(&frame, bytes, &length), 0);
    wire_field_write(named("correct.present"), bytes, 4);
    refused(bytes, length, WIRE_FAULT_RANGE, "correct.present");
    frame.correct.present = 4;
    cannot_encode(&frame, "correct.present");
}

static void map_frequency_is_carried_in_fs(void **state)
{
    (void)state;
    const struct wire_field *field = named("correct.map.freq_ppb");
    const double ppb[] = {0.0, 1.0, -1.0, 1e-6, -0.000123, 499999.999999, 2e8, -2e8};
    const int64_t fs[] = {0,    1000000,      -1000000,           1,
                          -123, 499999999999, WIRE_FREQ_LIMIT_FS, -WIRE_FREQ_LIMIT_FS};

    for (size_t i = 0; i < sizeof(fs) / sizeof(fs[0]); i++) {
        struct wire_frame frame, decoded;
        uint8_t bytes[WIRE_FRAME_MAX];
        size_t length = 0;
        unsigned faults = 0;

        plain_frame(WIRE_CORRECT, &frame);
        frame.correct.map.freq_ppb = ppb[i];
        assert_int_equal(wire_encode(&frame, bytes, &length), 0);
        assert_true(wire_field_read(field, bytes) == fs[i]);
        assert_int_equal(wire_decode(bytes, length, WIRE_MINOR, &decoded, &faults), 0);
        assert_memory_equal(&decoded.correct.map.freq_ppb, &ppb[i], sizeof(ppb[i]));
    }
}

static void map_frequency_has_its_limit(void **state)
{
    (void)state;
    const struct wire_field *field = named("correct.map.freq_ppb");
    const double ppb[] = {200000001.0,      -200000001.0,      1e300,
                          (double)INFINITY, -(double)INFINITY, (double)NAN};
    const int64_t fs[] = {WIRE_FREQ_LIMIT_FS + 1, -WIRE_FREQ_LIMIT_FS - 1, INT64_MAX, INT64_MIN};
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length = plain_bytes(WIRE_CORRECT, bytes);

    for (size_t i = 0; i < sizeof(ppb) / sizeof(ppb[0]); i++) {
        struct wire_frame frame;

        plain_frame(WIRE_CORRECT, &frame);
        frame.correct.map.freq_ppb = ppb[i];
        cannot_encode(&frame, field->name);
    }
    for (size_t i = 0; i < sizeof(fs) / sizeof(fs[0]); i++) {
        wire_field_write(field, bytes, fs[i]);
        refused(bytes, length, WIRE_FAULT_RANGE, field->name);
    }
}

static void frequencies_there_and_back(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    assert_true(wire_fs_from_ppb(1.0) == 1000000);
    assert_true(wire_fs_from_ppb(-0.0000005) == -1);
    assert_true(wire_fs_from_ppb((double)INFINITY) == INT64_MAX);
    for (unsigned i = 0; i < 100000; i++) {
        int64_t fs = dice_between(&dice, -WIRE_FREQ_LIMIT_FS, WIRE_FREQ_LIMIT_FS);

        assert_dice(&dice, wire_fs_from_ppb(wire_ppb_from_fs(fs)) == fs);
    }
}

static void words_in_order(const char *(*name)(unsigned), unsigned first, const char *const *words)
{
    unsigned value = first;

    for (; words[value - first] != NULL; value++)
        assert_string_equal(name(value), words[value - first]);
    if (first > 0)
        assert_string_equal(name(first - 1), "unknown");
    assert_string_equal(name(value), "unknown");
    assert_string_equal(name(UINT32_MAX), "unknown");
}

static void every_value_has_its_word(void **state)
{
    (void)state;
    const char *const types[] = {"hello",   "welcome", "poll", "reply",
                                 "correct", "report",  "bye",  NULL};
    const char *const states[] = {"unsynchronised", "synchronised", "holdover", NULL};
    const char *const verdicts[] = {"none",   "counted",  "reference", "newcomer",
                                    "noisy",  "far",      "fast",      "suspended",
                                    "silent", "observer", "no-quorum", NULL};
    const char *const reasons[] = {"shutdown", "restarted", "full",  "version", "group",
                                   "protocol", "timeout",   "flood", "name",    "key",
                                   NULL};

    words_in_order(wire_type_name, WIRE_HELLO, types);
    words_in_order(sync_state_name, SYNC_UNSYNCHRONISED, states);
    words_in_order(clock_verdict_name, VERDICT_NONE, verdicts);
    words_in_order(bye_reason_name, BYE_SHUTDOWN, reasons);
}

static void the_lowest_fault_is_named(void **state)
{
    (void)state;
    assert_string_equal(wire_fault_name(WIRE_FAULT_VERSION), "version");
    assert_string_equal(wire_fault_name(WIRE_FAULT_TYPE), "type");
    assert_string_equal(wire_fault_name(WIRE_FAULT_LENGTH), "length");
    assert_string_equal(wire_fault_name(WIRE_FAULT_RANGE), "range");
    assert_string_equal(wire_fault_name(WIRE_FAULT_NAME), "name");
    assert_string_equal(wire_fault_name(WIRE_FAULT_NAME | WIRE_FAULT_RANGE), "range");
    assert_string_equal(wire_fault_name(0), "unknown");
    assert_string_equal(wire_fault_name(1U << 31), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_cover_each_frame_exactly),
        cmocka_unit_test(numbers_are_carried_where_documented),
        cmocka_unit_test(numbers_outside_their_range_are_refused),
        cmocka_unit_test(padding_is_zero),
        cmocka_unit_test(id_is_carried),
        cmocka_unit_test(names_are_printable_and_filled_with_nul),
        cmocka_unit_test(faults_of_two_kinds_are_both_told),
        cmocka_unit_test(no_more_counted_than_present),
        cmocka_unit_test(map_frequency_is_carried_in_fs),
        cmocka_unit_test(map_frequency_has_its_limit),
        cmocka_unit_test(frequencies_there_and_back),
        cmocka_unit_test(every_value_has_its_word),
        cmocka_unit_test(the_lowest_fault_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
