/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One cursor runs over the bytes of a frame in either direction, so that every
 * field is placed and bounded once, for encoding and decoding alike.  The
 * functions carry_header() to carry_bye() are the layout of
 * berkeley-protocol(7), field by field.
 */
#include "core/wire.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define FS_PER_PPB 1e6

struct cursor {
    const uint8_t *from; /* decoding */
    uint8_t *to;         /* encoding; NULL when decoding */
    size_t at;
    size_t size;
    unsigned faults;
};

struct header {
    uint8_t version;
    uint8_t type;
    uint16_t length;
    uint32_t sequence;
};

static void check(struct cursor *cursor, bool good, enum wire_fault fault)
{
    if (!good)
        cursor->faults |= fault;
}

/* A big-endian number of `width` bytes: writes `value`, or returns what was read. */
static uint64_t carry(struct cursor *cursor, size_t width, uint64_t value)
{
    if (cursor->size - cursor->at < width) {
        cursor->at = cursor->size;
        cursor->faults |= WIRE_FAULT_LENGTH;
        return value;
    }
    if (cursor->to != NULL) {
        uint8_t *to = cursor->to + cursor->at;

        for (size_t i = 0; i < width; i++)
            to[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
    } else {
        const uint8_t *from = cursor->from + cursor->at;

        for (size_t i = 0; i < width; i++)
            value = value << 8 | from[i];
    }
    cursor->at += width;
    return value;
}

static void carry_u8(struct cursor *cursor, uint8_t *value, uint8_t min, uint8_t max)
{
    *value = (uint8_t)carry(cursor, sizeof(*value), *value);
    check(cursor, *value >= min && *value <= max, WIRE_FAULT_RANGE);
}

static void carry_u16(struct cursor *cursor, uint16_t *value)
{
    *value = (uint16_t)carry(cursor, sizeof(*value), *value);
}

static void carry_u32(struct cursor *cursor, uint32_t *value)
{
    *value = (uint32_t)carry(cursor, sizeof(*value), *value);
}

static void carry_i64(struct cursor *cursor, int64_t *value, int64_t min, int64_t max)
{
    *value = (int64_t)carry(cursor, sizeof(*value), (uint64_t)*value);
    check(cursor, *value >= min && *value <= max, WIRE_FAULT_RANGE);
}

/* A stamp, or a correction. */
static void carry_stamp(struct cursor *cursor, int64_t *value_ns)
{
    carry_i64(cursor, value_ns, INT64_MIN, INT64_MAX);
    check(cursor, timestamp_valid(*value_ns), WIRE_FAULT_RANGE);
}

/* Zero or more; INT64_MAX is "unknown". */
static void carry_size(struct cursor *cursor, int64_t *value)
{
    carry_i64(cursor, value, 0, INT64_MAX);
}

static void carry_freq(struct cursor *cursor, int64_t *freq_fs)
{
    carry_i64(cursor, freq_fs, -WIRE_FREQ_LIMIT_FS, WIRE_FREQ_LIMIT_FS);
}

static void carry_freq_ppb(struct cursor *cursor, double *freq_ppb)
{
    int64_t freq_fs = wire_fs_from_ppb(*freq_ppb);

    check(cursor, !isnan(*freq_ppb), WIRE_FAULT_RANGE);
    carry_freq(cursor, &freq_fs);
    *freq_ppb = wire_ppb_from_fs(freq_fs);
}

static void carry_id(struct cursor *cursor, uint8_t id[WIRE_ID_SIZE])
{
    for (size_t i = 0; i < WIRE_ID_SIZE; i++)
        id[i] = (uint8_t)carry(cursor, 1, id[i]);
}

static void carry_name(struct cursor *cursor, char name[WIRE_NAME_SIZE])
{
    bool ended = false;

    for (size_t i = 0; i < WIRE_NAME_SIZE; i++) {
        uint8_t byte = (uint8_t)carry(cursor, 1, (uint8_t)name[i]);

        if (byte == '\0')
            ended = true;
        else
            check(cursor, !ended && byte >= ' ' && byte <= '~', WIRE_FAULT_NAME);
        name[i] = (char)byte;
    }
    check(cursor, ended && name[0] != '\0', WIRE_FAULT_NAME);
}

static void carry_padding(struct cursor *cursor, size_t width)
{
    check(cursor, carry(cursor, width, 0) == 0, WIRE_FAULT_RANGE);
}

static void carry_header(struct cursor *cursor, struct header *header)
{
    carry_u8(cursor, &header->version, 0, UINT8_MAX);
    carry_u8(cursor, &header->type, 0, UINT8_MAX);
    carry_u16(cursor, &header->length);
    carry_u32(cursor, &header->sequence);
}

static void carry_hello(struct cursor *cursor, struct wire_hello *hello)
{
    carry_u8(cursor, &hello->minor, 0, UINT8_MAX);
    carry_u8(cursor, &hello->kind, CLOCK_KIND_KERNEL, CLOCK_KIND_OBSERVED);
    carry_u8(cursor, &hello->state, SYNC_UNSYNCHRONISED, SYNC_HOLDOVER);
    carry_padding(cursor, 1);
    carry_u32(cursor, &hello->precision_ns);
    check(cursor, hello->precision_ns > 0, WIRE_FAULT_RANGE);
    carry_freq(cursor, &hello->freq_fs);
    carry_id(cursor, hello->id);
    carry_name(cursor, hello->name);
    carry_name(cursor, hello->group);
}

static void carry_welcome(struct cursor *cursor, struct wire_welcome *welcome)
{
    carry_u8(cursor, &welcome->minor, 0, UINT8_MAX);
    carry_u8(cursor, &welcome->state, SYNC_UNSYNCHRONISED, SYNC_HOLDOVER);
    carry_u8(cursor, &welcome->exchanges, 1, WIRE_EXCHANGES_MAX);
    carry_padding(cursor, 5);
    carry_i64(cursor, &welcome->interval_ns, WIRE_INTERVAL_MIN_NS, WIRE_INTERVAL_MAX_NS);
    carry_name(cursor, welcome->name);
    carry_name(cursor, welcome->group);
}

static void carry_departure(struct cursor *cursor, struct wire_departure *departure)
{
    carry_stamp(cursor, &departure->sent.raw_ns);
    carry_stamp(cursor, &departure->sent.total_ns);
    carry_stamp(cursor, &departure->prev_raw_ns);
    carry_u32(cursor, &departure->prev_sequence);
    carry_u8(cursor, &departure->source, STAMP_USER, STAMP_KERNEL);
}

static void carry_poll(struct cursor *cursor, struct wire_poll *poll)
{
    carry_departure(cursor, &poll->departure);
    carry_u8(cursor, &poll->exchange, 0, WIRE_EXCHANGES_MAX - 1);
    carry_padding(cursor, 2);
    carry_u32(cursor, &poll->round);
}

static void carry_reply(struct cursor *cursor, struct wire_reply *reply)
{
    carry_departure(cursor, &reply->departure);
    carry_u8(cursor, &reply->exchange, 0, WIRE_EXCHANGES_MAX - 1);
    carry_u8(cursor, &reply->state, SYNC_UNSYNCHRONISED, SYNC_HOLDOVER);
    carry_u8(cursor, &reply->source, STAMP_USER, STAMP_KERNEL);
    carry_u32(cursor, &reply->round);
    carry_u32(cursor, &reply->epoch);
    carry_stamp(cursor, &reply->t1_raw_ns);
    carry_stamp(cursor, &reply->t2_raw_ns);
    carry_stamp(cursor, &reply->correct_raw_ns);
    carry_freq(cursor, &reply->freq_fs);
    carry_size(cursor, &reply->bound_ns);
    carry_size(cursor, &reply->offset_sd_ns);
    carry_u32(cursor, &reply->correct_sequence);
}

static void carry_correct(struct cursor *cursor, struct wire_correct *correct)
{
    carry_departure(cursor, &correct->departure);
    carry_u8(cursor, &correct->state, SYNC_UNSYNCHRONISED, SYNC_HOLDOVER);
    carry_u8(cursor, &correct->verdict, VERDICT_NONE, VERDICT_COUNT_ - 1);
    carry_u8(cursor, &correct->has_map, 0, 1);
    carry_u32(cursor, &correct->round);
    carry_u32(cursor, &correct->epoch);
    carry_stamp(cursor, &correct->map.raw_ns);
    carry_stamp(cursor, &correct->map.total_ns);
    carry_freq_ppb(cursor, &correct->map.freq_ppb);
    carry_stamp(cursor, &correct->correction_ns);
    carry_size(cursor, &correct->offset_sd_ns);
    carry_size(cursor, &correct->freq_sd_fs);
    carry_size(cursor, &correct->asymmetry_ns);
    carry_size(cursor, &correct->wander_fs);
    carry_size(cursor, &correct->scatter_ns);
    carry_u16(cursor, &correct->counted);
    carry_u16(cursor, &correct->present);
    check(cursor, correct->counted <= correct->present, WIRE_FAULT_RANGE);
}

static void carry_report(struct cursor *cursor, struct wire_report *report)
{
    carry_departure(cursor, &report->departure);
    carry_u8(cursor, &report->state, SYNC_UNSYNCHRONISED, SYNC_HOLDOVER);
    carry_u8(cursor, &report->foreign, 0, 1);
    carry_padding(cursor, 1);
    carry_u32(cursor, &report->round);
    carry_padding(cursor, 4);
    carry_stamp(cursor, &report->applied_ns);
    carry_stamp(cursor, &report->slew_left_ns);
    carry_freq(cursor, &report->freq_fs);
    carry_size(cursor, &report->bound_ns);
}

static void carry_bye(struct cursor *cursor, struct wire_bye *bye)
{
    carry_u8(cursor, &bye->reason, BYE_SHUTDOWN, BYE_COUNT_ - 1);
}

static void carry_body(struct cursor *cursor, struct wire_frame *frame)
{
    switch (frame->type) {
    case WIRE_HELLO:
        carry_hello(cursor, &frame->hello);
        break;
    case WIRE_WELCOME:
        carry_welcome(cursor, &frame->welcome);
        break;
    case WIRE_POLL:
        carry_poll(cursor, &frame->poll);
        break;
    case WIRE_REPLY:
        carry_reply(cursor, &frame->reply);
        break;
    case WIRE_CORRECT:
        carry_correct(cursor, &frame->correct);
        break;
    case WIRE_REPORT:
        carry_report(cursor, &frame->report);
        break;
    case WIRE_BYE:
        carry_bye(cursor, &frame->bye);
        break;
    default:
        cursor->faults |= WIRE_FAULT_TYPE;
        break;
    }
}

static bool carries_stamp(uint8_t type)
{
    return type == WIRE_POLL || type == WIRE_REPLY || type == WIRE_CORRECT || type == WIRE_REPORT;
}

/* HELLO comes before a minor version is agreed, and names its own. */
static bool may_be_longer(const struct wire_frame *frame, uint8_t minor)
{
    return (frame->type == WIRE_HELLO ? frame->hello.minor : minor) > WIRE_MINOR;
}

/* Reads the header of what claims to be one frame of the cursor's size. */
static unsigned open_frame(struct cursor *cursor, struct header *header)
{
    carry_header(cursor, header);
    if (cursor->faults != 0)
        return cursor->faults;
    if (header->version != WIRE_VERSION)
        return WIRE_FAULT_VERSION;
    if (header->length != cursor->size || cursor->size > WIRE_FRAME_MAX)
        return WIRE_FAULT_LENGTH;
    return 0;
}

int wire_frame_length(const uint8_t *bytes, size_t available, size_t *length)
{
    struct cursor cursor = {.from = bytes, .size = WIRE_HEADER_SIZE};
    struct header header = {0};

    if (available < WIRE_HEADER_SIZE)
        return -EAGAIN;
    carry_header(&cursor, &header);
    if (header.length < WIRE_HEADER_SIZE || header.length > WIRE_FRAME_MAX)
        return -EBADMSG;
    *length = header.length;
    return 0;
}

uint32_t wire_next_sequence(uint32_t sequence)
{
    return sequence == UINT32_MAX ? 1 : sequence + 1;
}

bool wire_sequence_follows(uint32_t last, uint32_t sequence)
{
    uint32_t ahead = sequence - last;

    return sequence != 0 && ahead != 0 && ahead <= INT32_MAX;
}

void wire_identify(const uint8_t bytes[WIRE_HEADER_SIZE], uint8_t *type, uint32_t *sequence)
{
    struct cursor cursor = {.from = bytes, .size = WIRE_HEADER_SIZE};
    struct header header = {0};

    carry_header(&cursor, &header);
    *type = header.type;
    *sequence = header.sequence;
}

static unsigned decode(struct cursor *cursor, uint8_t minor, struct wire_frame *frame)
{
    struct header header = {0};
    unsigned faults = open_frame(cursor, &header);

    if (faults != 0)
        return faults;
    frame->type = header.type;
    frame->sequence = header.sequence;
    carry_body(cursor, frame);
    if (cursor->faults & WIRE_FAULT_TYPE)
        return WIRE_FAULT_TYPE;

    /* In a body of the wrong length no field means anything. */
    bool longer = cursor->at < cursor->size && !may_be_longer(frame, minor);

    if ((cursor->faults & WIRE_FAULT_LENGTH) || longer)
        return WIRE_FAULT_LENGTH;
    return cursor->faults;
}

int wire_decode(const uint8_t *bytes, size_t length, uint8_t minor, struct wire_frame *frame,
                unsigned *faults)
{
    struct cursor cursor = {.from = bytes, .size = length};
    struct wire_frame decoded;

    memset(&decoded, 0, sizeof(decoded));
    *faults = decode(&cursor, minor, &decoded);
    if (*faults != 0)
        return -EBADMSG;
    *frame = decoded;
    return 0;
}

int wire_encode(const struct wire_frame *frame, uint8_t bytes[WIRE_FRAME_MAX], size_t *length)
{
    uint8_t buffer[WIRE_FRAME_MAX] = {0};
    struct cursor start = {.to = buffer, .size = WIRE_HEADER_SIZE};
    struct cursor body = {.to = buffer, .at = WIRE_HEADER_SIZE, .size = sizeof(buffer)};
    struct wire_frame copy = *frame;

    carry_body(&body, &copy);
    if (body.faults != 0)
        return -EINVAL;

    struct header header = {WIRE_VERSION, frame->type, (uint16_t)body.at, frame->sequence};

    carry_header(&start, &header);
    memcpy(bytes, buffer, body.at);
    *length = body.at;
    return 0;
}

int wire_stamp(uint8_t *bytes, size_t length, const struct reading *sent, enum stamp_source source)
{
    struct cursor reader = {.from = bytes, .size = length};
    struct header header = {0};
    struct wire_departure departure = {0};
    uint8_t stamped[WIRE_FRAME_MAX] = {0};

    if (open_frame(&reader, &header) != 0 || !carries_stamp(header.type))
        return -EINVAL;
    carry_departure(&reader, &departure);
    departure.sent = *sent;
    departure.source = (uint8_t)source;

    struct cursor writer = {.to = stamped, .size = reader.at - WIRE_HEADER_SIZE};

    carry_departure(&writer, &departure);
    if (writer.faults != 0)
        return -EINVAL;
    memcpy(bytes + WIRE_HEADER_SIZE, stamped, writer.at);
    return 0;
}

int64_t wire_fs_from_ppb(double freq_ppb)
{
    return timestamp_round(freq_ppb * FS_PER_PPB);
}

double wire_ppb_from_fs(int64_t freq_fs)
{
    return (double)freq_fs / FS_PER_PPB;
}
