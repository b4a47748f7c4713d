/* SPDX-License-Identifier: BSD-2-Clause */
#include "wire_fields.h"

#include <string.h>

#define EDGE (TIMESTAMP_LIMIT_NS - 1)
#define FREQ WIRE_FREQ_LIMIT_FS
#define HOST(member) offsetof(struct wire_frame, member)
#define WIDTH(member) sizeof(((struct wire_frame *)0)->member)

#define NUMBER(type, at, member, min, max)                                     \
    {                                                                          \
        type, FIELD_NUMBER, #member, HOST(member), at, WIDTH(member), min, max \
    }
#define OTHER(type, kind, at, member)                              \
    {                                                              \
        type, kind, #member, HOST(member), at, WIDTH(member), 0, 0 \
    }
#define PADDING(type, at, width)                           \
    {                                                      \
        type, FIELD_PADDING, "padding", 0, at, width, 0, 0 \
    }
/* It comes first in all four stamped frames, so poll's stands for each. */
#define DEPARTURE(type)                                                \
    NUMBER(type, 8, poll.departure.sent.raw_ns, -EDGE, EDGE),          \
        NUMBER(type, 16, poll.departure.sent.total_ns, -EDGE, EDGE),   \
        NUMBER(type, 24, poll.departure.prev_raw_ns, -EDGE, EDGE),     \
        NUMBER(type, 32, poll.departure.prev_sequence, 0, UINT32_MAX), \
        NUMBER(type, 36, poll.departure.source, 0, 1)

const struct wire_field wire_fields[] = {
    NUMBER(WIRE_HELLO, 8, hello.minor, 0, UINT8_MAX),
    NUMBER(WIRE_HELLO, 9, hello.kind, 1, 3),
    NUMBER(WIRE_HELLO, 10, hello.state, 0, 2),
    PADDING(WIRE_HELLO, 11, 1),
    NUMBER(WIRE_HELLO, 12, hello.precision_ns, 1, UINT32_MAX),
    NUMBER(WIRE_HELLO, 16, hello.freq_fs, -FREQ, FREQ),
    OTHER(WIRE_HELLO, FIELD_ID, 24, hello.id),
    OTHER(WIRE_HELLO, FIELD_NAME, 40, hello.name),
    OTHER(WIRE_HELLO, FIELD_NAME, 104, hello.group),

    NUMBER(WIRE_WELCOME, 8, welcome.minor, 0, UINT8_MAX),
    NUMBER(WIRE_WELCOME, 9, welcome.state, 0, 2),
    NUMBER(WIRE_WELCOME, 10, welcome.exchanges, 1, 8),
    PADDING(WIRE_WELCOME, 11, 5),
    NUMBER(WIRE_WELCOME, 16, welcome.interval_ns, 100000000, 3600000000000),
    OTHER(WIRE_WELCOME, FIELD_NAME, 24, welcome.name),
    OTHER(WIRE_WELCOME, FIELD_NAME, 88, welcome.group),

    DEPARTURE(WIRE_POLL),
    NUMBER(WIRE_POLL, 37, poll.exchange, 0, 7),
    PADDING(WIRE_POLL, 38, 2),
    NUMBER(WIRE_POLL, 40, poll.round, 0, UINT32_MAX),

    DEPARTURE(WIRE_REPLY),
    NUMBER(WIRE_REPLY, 37, reply.exchange, 0, 7),
    NUMBER(WIRE_REPLY, 38, reply.state, 0, 2),
    NUMBER(WIRE_REPLY, 39, reply.source, 0, 1),
    NUMBER(WIRE_REPLY, 40, reply.round, 0, UINT32_MAX),
    NUMBER(WIRE_REPLY, 44, reply.epoch, 0, UINT32_MAX),
    NUMBER(WIRE_REPLY, 48, reply.t1_raw_ns, -EDGE, EDGE),
    NUMBER(WIRE_REPLY, 56, reply.t2_raw_ns, -EDGE, EDGE),
    NUMBER(WIRE_REPLY, 64, reply.correct_raw_ns, -EDGE, EDGE),
    NUMBER(WIRE_REPLY, 72, reply.freq_fs, -FREQ, FREQ),
    NUMBER(WIRE_REPLY, 80, reply.bound_ns, 0, INT64_MAX),
    NUMBER(WIRE_REPLY, 88, reply.offset_sd_ns, 0, INT64_MAX),
    NUMBER(WIRE_REPLY, 96, reply.correct_sequence, 0, UINT32_MAX),

    DEPARTURE(WIRE_CORRECT),
    NUMBER(WIRE_CORRECT, 37, correct.state, 0, 2),
    NUMBER(WIRE_CORRECT, 38, correct.verdict, 0, 10),
    NUMBER(WIRE_CORRECT, 39, correct.has_map, 0, 1),
    NUMBER(WIRE_CORRECT, 40, correct.round, 0, UINT32_MAX),
    NUMBER(WIRE_CORRECT, 44, correct.epoch, 0, UINT32_MAX),
    NUMBER(WIRE_CORRECT, 48, correct.map.raw_ns, -EDGE, EDGE),
    NUMBER(WIRE_CORRECT, 56, correct.map.total_ns, -EDGE, EDGE),
    OTHER(WIRE_CORRECT, FIELD_PPB, 64, correct.map.freq_ppb),
    NUMBER(WIRE_CORRECT, 72, correct.correction_ns, -EDGE, EDGE),
    NUMBER(WIRE_CORRECT, 80, correct.offset_sd_ns, 0, INT64_MAX),
    NUMBER(WIRE_CORRECT, 88, correct.freq_sd_fs, 0, INT64_MAX),
    NUMBER(WIRE_CORRECT, 96, correct.asymmetry_ns, 0, INT64_MAX),
    NUMBER(WIRE_CORRECT, 104, correct.wander_fs, 0, INT64_MAX),
    NUMBER(WIRE_CORRECT, 112, correct.scatter_ns, 0, INT64_MAX),
    NUMBER(WIRE_CORRECT, 120, correct.counted, 0, UINT16_MAX),
    NUMBER(WIRE_CORRECT, 122, correct.present, 0, UINT16_MAX),

    DEPARTURE(WIRE_REPORT),
    NUMBER(WIRE_REPORT, 37, report.state, 0, 2),
    NUMBER(WIRE_REPORT, 38, report.foreign, 0, 1),
    PADDING(WIRE_REPORT, 39, 1),
    NUMBER(WIRE_REPORT, 40, report.round, 0, UINT32_MAX),
    PADDING(WIRE_REPORT, 44, 4),
    NUMBER(WIRE_REPORT, 48, report.applied_ns, -EDGE, EDGE),
    NUMBER(WIRE_REPORT, 56, report.slew_left_ns, -EDGE, EDGE),
    NUMBER(WIRE_REPORT, 64, report.freq_fs, -FREQ, FREQ),
    NUMBER(WIRE_REPORT, 72, report.bound_ns, 0, INT64_MAX),

    NUMBER(WIRE_BYE, 8, bye.reason, 1, 10),
};

const size_t wire_fields_count = sizeof(wire_fields) / sizeof(wire_fields[0]);

const size_t wire_lengths[WIRE_BYE + 1] = {
    [WIRE_HELLO] = 168,   [WIRE_WELCOME] = 152, [WIRE_POLL] = 44, [WIRE_REPLY] = 100,
    [WIRE_CORRECT] = 124, [WIRE_REPORT] = 80,   [WIRE_BYE] = 9,
};

/* What the low `width` bytes of value are as that field's type. */
static int64_t narrow(size_t width, uint64_t value)
{
    return width == 8 ? (int64_t)value : (int64_t)(value & ((UINT64_C(1) << (8 * width)) - 1));
}

int64_t wire_field_get(const struct wire_field *field, const struct wire_frame *frame)
{
    const uint8_t *host = (const uint8_t *)frame + field->host;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    int64_t i64;

    switch (field->width) {
    case sizeof(u8):
        memcpy(&u8, host, sizeof(u8));
        return u8;
    case sizeof(u16):
        memcpy(&u16, host, sizeof(u16));
        return u16;
    case sizeof(u32):
        memcpy(&u32, host, sizeof(u32));
        return u32;
    default:
        memcpy(&i64, host, sizeof(i64));
        return i64;
    }
}

void wire_field_set(const struct wire_field *field, struct wire_frame *frame, int64_t value)
{
    uint8_t *host = (uint8_t *)frame + field->host;
    uint8_t u8 = (uint8_t)value;
    uint16_t u16 = (uint16_t)value;
    uint32_t u32 = (uint32_t)value;

    switch (field->width) {
    case sizeof(u8):
        memcpy(host, &u8, sizeof(u8));
        break;
    case sizeof(u16):
        memcpy(host, &u16, sizeof(u16));
        break;
    case sizeof(u32):
        memcpy(host, &u32, sizeof(u32));
        break;
    default:
        memcpy(host, &value, sizeof(value));
        break;
    }
}

int64_t wire_field_read(const struct wire_field *field, const uint8_t *bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < field->width; i++)
        value = value << 8 | bytes[field->at + i];
    return narrow(field->width, value);
}

void wire_field_write(const struct wire_field *field, uint8_t *bytes, int64_t value)
{
    for (size_t i = 0; i < field->width; i++)
        bytes[field->at + field->width - 1 - i] = (uint8_t)((uint64_t)value >> (8 * i));
}

static void field_any(struct dice *dice, const struct wire_field *field, struct wire_frame *frame)
{
    char *host = (char *)frame + field->host;
    double freq_ppb = 0.0;
    size_t length = 0;

    switch (field->kind) {
    case FIELD_NUMBER:
        wire_field_set(field, frame, dice_between(dice, field->min, field->max));
        break;
    case FIELD_PPB:
        freq_ppb = (double)dice_between(dice, -FREQ, FREQ) / 1e6;
        memcpy(host, &freq_ppb, sizeof(freq_ppb));
        break;
    case FIELD_NAME:
        length = (size_t)dice_between(dice, 1, WIRE_NAME_SIZE - 1);
        for (size_t i = 0; i < length; i++)
            host[i] = (char)dice_between(dice, ' ', '~');
        break;
    case FIELD_ID:
        for (size_t i = 0; i < field->width; i++)
            host[i] = (char)dice_below(dice, 128);
        break;
    case FIELD_PADDING:
        break;
    }
}

void wire_frame_any(struct dice *dice, unsigned type, struct wire_frame *frame)
{
    memset(frame, 0, sizeof(*frame));
    frame->type = (uint8_t)type;
    frame->sequence = (uint32_t)dice_u64(dice);
    for (size_t i = 0; i < wire_fields_count; i++) {
        if (wire_fields[i].type == type)
            field_any(dice, &wire_fields[i], frame);
    }
    if (type == WIRE_CORRECT && frame->correct.counted > frame->correct.present)
        frame->correct.counted = frame->correct.present;
}
