/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames: a byte that says the minor version agreed upon, then the frame. */
#include "fuzz.h"

#include "core/wire.h"

#include <errno.h>

#define UNTOUCHED 0xa5

static void check_untouched(const void *object, size_t size)
{
    const uint8_t *bytes = object;

    for (size_t i = 0; i < size; i++)
        must(bytes[i] == UNTOUCHED);
}

static int decode(const uint8_t *bytes, size_t size, uint8_t minor, struct wire_frame *frame)
{
    unsigned faults = ~0U;
    int r;

    memset(frame, UNTOUCHED, sizeof *frame);
    r = wire_decode(bytes, size, minor, frame, &faults);
    must(r == 0 || r == -EBADMSG);
    must((r == 0) == (faults == 0));
    must(faults < 2 * WIRE_FAULT_NAME);
    if (r < 0)
        check_untouched(frame, sizeof *frame);
    return r;
}

/* The same frame of the same bytes, those of a later minor version left out. */
static size_t check_encode(const struct wire_frame *frame, const uint8_t *data, size_t size)
{
    uint8_t bytes[WIRE_FRAME_MAX];
    struct wire_frame again;
    size_t length;

    must(wire_encode(frame, bytes, &length) == 0);
    must(length > WIRE_HEADER_SIZE && length <= size);
    must(memcmp(bytes + 4, data + 4, length - 4) == 0);
    must(length < size || memcmp(bytes, data, length) == 0);
    must(decode(bytes, length, WIRE_MINOR, &again) == 0);
    must(fuzz_same(&again, frame, sizeof again));
    return length;
}

/* No part of a frame is one, whatever length it says it has.  Each is put to the end of the
 * memory, so that a read beyond it is noticed. */
static void check_truncated(const uint8_t *data, size_t length, uint8_t minor)
{
    uint8_t *memory = malloc(length);
    struct wire_frame frame;

    must(memory);
    for (size_t part = 0; part < length; part++) {
        uint8_t *bytes = memory + length - part;

        memcpy(bytes, data, part);
        must(decode(bytes, part, minor, &frame) < 0);
        if (part >= WIRE_HEADER_SIZE) {
            bytes[2] = (uint8_t)(part >> 8);
            bytes[3] = (uint8_t)part;
            must(decode(bytes, part, minor, &frame) < 0);
        }
    }
    free(memory);
}

static void check_stamp(const uint8_t *data, size_t size, uint8_t minor)
{
    uint8_t *bytes = fuzz_copy(data, size);
    struct wire_frame frame;
    struct reading sent;
    int r;

    memcpy(&sent, data + size - sizeof sent, sizeof sent);
    r = wire_stamp(bytes, size, &sent, STAMP_KERNEL);
    must(r == 0 || (r == -EINVAL && memcmp(bytes, data, size) == 0));
    if (r == 0) {
        must(decode(bytes, size, minor, &frame) == 0);
        must(frame.poll.departure.sent.raw_ns == sent.raw_ns);
        must(frame.poll.departure.sent.total_ns == sent.total_ns);
    }
    free(bytes);
}

static void check_length(const uint8_t *bytes, size_t size)
{
    size_t length = SIZE_MAX;
    int r = wire_frame_length(bytes, size, &length);

    must(r == 0 || r == -EAGAIN || r == -EBADMSG);
    must((r == -EAGAIN) == (size < WIRE_HEADER_SIZE));
    must((r == 0) == (length != SIZE_MAX));
    must(r != 0 || (length >= WIRE_HEADER_SIZE && length <= WIRE_FRAME_MAX));
}

/* A frame as our own bugs might fill it in. */
static void check_wild(const uint8_t *data, size_t size)
{
    uint8_t bytes[WIRE_FRAME_MAX];
    struct wire_frame frame = {0}, again;
    size_t length = SIZE_MAX;

    memcpy(&frame, data, size < sizeof frame ? size : sizeof frame);
    memset(bytes, UNTOUCHED, sizeof bytes);
    if (wire_encode(&frame, bytes, &length) == 0) {
        must(decode(bytes, length, WIRE_MINOR, &again) == 0);
        must(again.type == frame.type && again.sequence == frame.sequence);
    } else {
        check_untouched(bytes, sizeof bytes);
        must(length == SIZE_MAX);
    }
}

static void check(const uint8_t *bytes, size_t size, uint8_t minor)
{
    struct wire_frame frame;

    check_length(bytes, size);
    check_wild(bytes, size);
    if (decode(bytes, size, minor, &frame) < 0)
        return;
    check_truncated(bytes, check_encode(&frame, bytes, size), minor);
    if (size >= sizeof(struct reading))
        check_stamp(bytes, size, minor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes;

    if (size < 1)
        return 0;
    bytes = fuzz_copy(data + 1, size - 1);
    check(bytes, size - 1, data[0]);
    free(bytes);
    return 0;
}
