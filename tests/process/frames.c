/* SPDX-License-Identifier: BSD-2-Clause */
#include "frames.h"

#include "harness_part.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* One number follows the other, whatever the connection. */
size_t frames_encode(const struct wire_frame *frame, uint8_t bytes[WIRE_FRAME_MAX])
{
    static uint32_t sequence;
    struct wire_frame numbered = *frame;
    size_t length;

    numbered.sequence = sequence = wire_next_sequence(sequence);
    if (wire_encode(&numbered, bytes, &length) < 0)
        harness_die("a %s frame that cannot be", wire_type_name(frame->type));
    return length;
}

bool frames_send(struct tcp *tcp, const struct wire_frame *frame)
{
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length = frames_encode(frame, bytes);

    return send(tcp_fd(tcp), bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length;
}

struct wire_frame frames_hello(const char *name)
{
    struct wire_frame frame = {.type = WIRE_HELLO};

    frame.hello.kind = CLOCK_KIND_EMULATED;
    frame.hello.precision_ns = 100;
    strncpy(frame.hello.name, name, sizeof frame.hello.name - 1);
    strncpy(frame.hello.group, "berkeley", sizeof frame.hello.group - 1);
    /* The name makes the node, as for real ones. */
    memcpy(frame.hello.id, frame.hello.name, sizeof frame.hello.id);
    return frame;
}

struct wire_frame frames_welcome(const char *name)
{
    struct wire_frame frame = {.type = WIRE_WELCOME};

    frame.welcome.exchanges = 1;
    frame.welcome.interval_ns = 500 * NS_PER_MS;
    strncpy(frame.welcome.name, name, sizeof frame.welcome.name - 1);
    strncpy(frame.welcome.group, "berkeley", sizeof frame.welcome.group - 1);
    return frame;
}

struct wire_frame frames_report(void)
{
    return (struct wire_frame){.type = WIRE_REPORT};
}

static size_t take(const uint8_t *bytes, size_t available, struct hearing *hearing)
{
    struct wire_frame frame;
    unsigned faults;
    size_t length;

    if (wire_frame_length(bytes, available, &length) < 0 || length > available)
        return available;
    if (wire_decode(bytes, length, WIRE_MINOR, &frame, &faults) == 0) {
        hearing->frames[frame.type]++;
        hearing->last[frame.type] = frame;
        if (frame.type == WIRE_BYE)
            hearing->byes[frame.bye.reason]++;
    }
    return length;
}

void frames_hear(struct tcp *tcp, struct hearing *hearing)
{
    uint8_t bytes[4096];
    ssize_t length;

    if (tcp_fd(tcp) < 0)
        return;
    /* Frames come whole: each was one write on loopback. */
    while ((length = recv(tcp_fd(tcp), bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        for (size_t at = 0; at < (size_t)length;)
            at += take(bytes + at, (size_t)length - at, hearing);
    if (length == 0 || errno != EAGAIN) {
        hearing->closed = true;
        tcp_close(tcp);
    }
}
