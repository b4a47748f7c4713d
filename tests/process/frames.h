/* SPDX-License-Identifier: BSD-2-Clause */
/* frames: the protocol spoken by hand.  Nothing here waits. */
#ifndef BERKELEY_TESTS_FRAMES_H
#define BERKELEY_TESTS_FRAMES_H

#include "core/wire.h"
#include "harness.h"

/* Bytes of a valid frame. */
size_t frames_encode(const struct wire_frame *frame, uint8_t bytes[WIRE_FRAME_MAX]);
/* False if the connection is closed or the other end does not read. */
bool frames_send(struct tcp *tcp, const struct wire_frame *frame);

struct wire_frame frames_hello(const char *name);
struct wire_frame frames_welcome(const char *name);
struct wire_frame frames_report(void);

/* What is heard on a connection. */
struct hearing {
    unsigned frames[WIRE_BYE + 1];
    unsigned byes[BYE_COUNT_];
    bool closed;
    struct wire_frame last[WIRE_BYE + 1];
};

/* Takes in what has arrived. */
void frames_hear(struct tcp *tcp, struct hearing *hearing);

#endif
