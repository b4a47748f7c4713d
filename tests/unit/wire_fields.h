/* SPDX-License-Identifier: BSD-2-Clause */
/* wire_fields: the layout of berkeley-protocol(7) once more, as the tests hold it. */
#ifndef BERKELEY_TESTS_WIRE_FIELDS_H
#define BERKELEY_TESTS_WIRE_FIELDS_H

#include "core/wire.h"

#include <stddef.h>
#include <stdint.h>

#include "dice.h"

enum wire_field_kind {
    FIELD_NUMBER, /* min .. max, big-endian; signed if 8 bytes wide */
    FIELD_PPB,    /* a double in ppb, carried as 8 bytes of fs/s */
    FIELD_NAME,
    FIELD_ID,
    FIELD_PADDING, /* zero */
};

struct wire_field {
    uint8_t type; /* enum wire_type */
    enum wire_field_kind kind;
    const char *name;
    size_t host;  /* offset in struct wire_frame */
    size_t at;    /* offset in the frame's bytes */
    size_t width; /* bytes there */
    int64_t min, max;
};

extern const struct wire_field wire_fields[];
extern const size_t wire_fields_count;

/* Frame lengths by type; 0: no such type. */
extern const size_t wire_lengths[WIRE_BYE + 1];

/* A number field of the host's frame. */
int64_t wire_field_get(const struct wire_field *field, const struct wire_frame *frame);
void wire_field_set(const struct wire_field *field, struct wire_frame *frame, int64_t value);

/* A number field of the bytes. */
int64_t wire_field_read(const struct wire_field *field, const uint8_t *bytes);
void wire_field_write(const struct wire_field *field, uint8_t *bytes, int64_t value);

/* A frame of this type that is in order, all of it, padding of the struct too. */
void wire_frame_any(struct dice *dice, unsigned type, struct wire_frame *frame);

#endif
