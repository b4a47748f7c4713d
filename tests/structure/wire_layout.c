/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prints the frames as core/wire.c lays them out, one fact a line, in the words
 * of berkeley-protocol(7).  Each place is found by encoding two values and
 * looking for the bytes that differ.
 */
#include "core/machine.h"
#include "core/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, NUMBER, RATE, TEXT };

struct field {
    const char *frame, *name;
    size_t place, size;
    enum kind kind;
    uint8_t type;
};

#define MEMBER(member) offsetof(struct wire_frame, member), sizeof(((struct wire_frame *)0)->member)

/* The first member of each body that has one, so in the same place in all. */
static const struct field departure[] = {
    {"departure", "sent_raw", MEMBER(poll.departure.sent.raw_ns), NUMBER, WIRE_POLL},
    {"departure", "sent_total", MEMBER(poll.departure.sent.total_ns), NUMBER, WIRE_POLL},
    {"departure", "prev_raw", MEMBER(poll.departure.prev_raw_ns), NUMBER, WIRE_POLL},
    {"departure", "prev_sequence", MEMBER(poll.departure.prev_sequence), NUMBER, WIRE_POLL},
    {"departure", "source", MEMBER(poll.departure.source), FLAG, WIRE_POLL},
};

static const struct field fields[] = {
    {"hello", "minor", MEMBER(hello.minor), FLAG, WIRE_HELLO},
    {"hello", "kind", MEMBER(hello.kind), FLAG, WIRE_HELLO},
    {"hello", "state", MEMBER(hello.state), FLAG, WIRE_HELLO},
    {"hello", "precision_ns", MEMBER(hello.precision_ns), NUMBER, WIRE_HELLO},
    {"hello", "freq", MEMBER(hello.freq_fs), NUMBER, WIRE_HELLO},
    {"hello", "id", MEMBER(hello.id), TEXT, WIRE_HELLO},
    {"hello", "name", MEMBER(hello.name), TEXT, WIRE_HELLO},
    {"hello", "group", MEMBER(hello.group), TEXT, WIRE_HELLO},
    {"welcome", "minor", MEMBER(welcome.minor), FLAG, WIRE_WELCOME},
    {"welcome", "state", MEMBER(welcome.state), FLAG, WIRE_WELCOME},
    {"welcome", "exchanges", MEMBER(welcome.exchanges), FLAG, WIRE_WELCOME},
    {"welcome", "interval_ns", MEMBER(welcome.interval_ns), NUMBER, WIRE_WELCOME},
    {"welcome", "name", MEMBER(welcome.name), TEXT, WIRE_WELCOME},
    {"welcome", "group", MEMBER(welcome.group), TEXT, WIRE_WELCOME},
    {"poll", "exchange", MEMBER(poll.exchange), FLAG, WIRE_POLL},
    {"poll", "round", MEMBER(poll.round), NUMBER, WIRE_POLL},
    {"reply", "exchange", MEMBER(reply.exchange), FLAG, WIRE_REPLY},
    {"reply", "state", MEMBER(reply.state), FLAG, WIRE_REPLY},
    {"reply", "t2_source", MEMBER(reply.source), FLAG, WIRE_REPLY},
    {"reply", "round", MEMBER(reply.round), NUMBER, WIRE_REPLY},
    {"reply", "epoch", MEMBER(reply.epoch), NUMBER, WIRE_REPLY},
    {"reply", "t1_raw", MEMBER(reply.t1_raw_ns), NUMBER, WIRE_REPLY},
    {"reply", "t2_raw", MEMBER(reply.t2_raw_ns), NUMBER, WIRE_REPLY},
    {"reply", "correct_raw", MEMBER(reply.correct_raw_ns), NUMBER, WIRE_REPLY},
    {"reply", "freq", MEMBER(reply.freq_fs), NUMBER, WIRE_REPLY},
    {"reply", "bound", MEMBER(reply.bound_ns), NUMBER, WIRE_REPLY},
    {"reply", "offset_sd", MEMBER(reply.offset_sd_ns), NUMBER, WIRE_REPLY},
    {"reply", "correct_sequence", MEMBER(reply.correct_sequence), NUMBER, WIRE_REPLY},
    {"correct", "state", MEMBER(correct.state), FLAG, WIRE_CORRECT},
    {"correct", "verdict", MEMBER(correct.verdict), FLAG, WIRE_CORRECT},
    {"correct", "has_map", MEMBER(correct.has_map), FLAG, WIRE_CORRECT},
    {"correct", "round", MEMBER(correct.round), NUMBER, WIRE_CORRECT},
    {"correct", "epoch", MEMBER(correct.epoch), NUMBER, WIRE_CORRECT},
    {"correct", "map_raw", MEMBER(correct.map.raw_ns), NUMBER, WIRE_CORRECT},
    {"correct", "map_total", MEMBER(correct.map.total_ns), NUMBER, WIRE_CORRECT},
    {"correct", "map_freq", MEMBER(correct.map.freq_ppb), RATE, WIRE_CORRECT},
    {"correct", "correction", MEMBER(correct.correction_ns), NUMBER, WIRE_CORRECT},
    {"correct", "offset_sd", MEMBER(correct.offset_sd_ns), NUMBER, WIRE_CORRECT},
    {"correct", "freq_sd", MEMBER(correct.freq_sd_fs), NUMBER, WIRE_CORRECT},
    {"correct", "asymmetry", MEMBER(correct.asymmetry_ns), NUMBER, WIRE_CORRECT},
    {"correct", "wander", MEMBER(correct.wander_fs), NUMBER, WIRE_CORRECT},
    {"correct", "scatter", MEMBER(correct.scatter_ns), NUMBER, WIRE_CORRECT},
    {"correct", "counted", MEMBER(correct.counted), NUMBER, WIRE_CORRECT},
    {"correct", "present", MEMBER(correct.present), NUMBER, WIRE_CORRECT},
    {"report", "state", MEMBER(report.state), FLAG, WIRE_REPORT},
    {"report", "foreign", MEMBER(report.foreign), FLAG, WIRE_REPORT},
    {"report", "round", MEMBER(report.round), NUMBER, WIRE_REPORT},
    {"report", "applied", MEMBER(report.applied_ns), NUMBER, WIRE_REPORT},
    {"report", "slew_left", MEMBER(report.slew_left_ns), NUMBER, WIRE_REPORT},
    {"report", "freq", MEMBER(report.freq_fs), NUMBER, WIRE_REPORT},
    {"report", "bound", MEMBER(report.bound_ns), NUMBER, WIRE_REPORT},
    {"bye", "reason", MEMBER(bye.reason), FLAG, WIRE_BYE},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The smallest frame of its type that can be sent. */
static struct wire_frame plain(uint8_t type)
{
    struct wire_frame frame = {.type = type, .sequence = 1};

    if (type == WIRE_HELLO)
        frame.hello = (struct wire_hello){
            .kind = CLOCK_KIND_KERNEL, .precision_ns = 2, .name = "a", .group = "a"};
    else if (type == WIRE_WELCOME)
        frame.welcome = (struct wire_welcome){
            .exchanges = 1, .interval_ns = NS_PER_S, .name = "a", .group = "a"};
    else if (type == WIRE_CORRECT)
        frame.correct.present = UINT16_MAX - 1;
    else if (type == WIRE_BYE)
        frame.bye.reason = BYE_SHUTDOWN;
    return frame;
}

static size_t encode(const struct wire_frame *frame, uint8_t bytes[WIRE_FRAME_MAX])
{
    size_t length = 0;

    memset(bytes, 0, WIRE_FRAME_MAX);
    if (wire_encode(frame, bytes, &length) < 0) {
        fprintf(stderr, "type %u: cannot be encoded\n", frame->type);
        exit(1);
    }
    return length;
}

/* Another value, whose last byte on the wire is another one too. */
static void change(struct wire_frame *frame, const struct field *field)
{
    bool first = field->kind == TEXT || __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    uint8_t *member = (uint8_t *)frame + field->place;
    uint8_t *low = member + (first ? 0 : field->size - 1);
    double freq_ppb = 1e-6;

    if (field->kind == RATE)
        memcpy(member, &freq_ppb, sizeof freq_ppb);
    else if (field->kind == TEXT)
        *low = 'b';
    else if (field->kind == FLAG)
        (*low)++;
    else
        *low ^= 1;
}

/* Where the field is in frames of this type. */
static size_t locate(const struct field *field, uint8_t type)
{
    struct wire_frame frame = plain(type);
    uint8_t one[WIRE_FRAME_MAX], other[WIRE_FRAME_MAX];
    size_t length = encode(&frame, one), at = 0;

    change(&frame, field);
    encode(&frame, other);
    while (at < length && one[at] == other[at])
        at++;
    return field->kind == TEXT ? at : at + 1 - field->size;
}

/* The field, and the padding between it and what ended at `at`; its own end. */
static size_t print_field(const struct field *field, uint8_t type, size_t at)
{
    size_t place = locate(field, type);

    if (place > at)
        printf("%s %zu %zu padding\n", field->frame, at, place - at);
    printf("%s %zu %zu %s\n", field->frame, place, field->size, field->name);
    return place + field->size;
}

static void print_header(void)
{
    const struct field sequence = {"header", "sequence", MEMBER(sequence), NUMBER, WIRE_BYE};
    struct wire_frame frame = plain(WIRE_BYE);
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length = encode(&frame, bytes);

    if (bytes[0] == WIRE_VERSION)
        puts("header 0 1 version");
    if (bytes[1] == WIRE_BYE)
        puts("header 1 1 type");
    if (((size_t)bytes[2] << 8 | bytes[3]) == length)
        puts("header 2 2 length");
    print_field(&sequence, WIRE_BYE, WIRE_HEADER_SIZE);
}

static size_t print_departure(uint8_t type)
{
    size_t end = WIRE_HEADER_SIZE;

    for (size_t i = 0; i < COUNT(departure); i++)
        end = print_field(&departure[i], type, end);
    printf("%s %d %zu departure\n", wire_type_name(type), WIRE_HEADER_SIZE, end - WIRE_HEADER_SIZE);
    return end;
}

static void print_frame(uint8_t type)
{
    struct wire_frame frame = plain(type);
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length = encode(&frame, bytes);
    size_t end =
        type >= WIRE_POLL && type <= WIRE_REPORT ? print_departure(type) : WIRE_HEADER_SIZE;

    for (size_t i = 0; i < COUNT(fields); i++)
        if (fields[i].type == type)
            end = print_field(&fields[i], type, end);
    if (length > end)
        printf("%s %zu %zu padding\n", wire_type_name(type), end, length - end);
    printf("types %u %s %zu\n", type, wire_type_name(type), length);
}

int main(void)
{
    printf("version %d minor %d\n", WIRE_VERSION, WIRE_MINOR);
    print_header();
    for (unsigned type = WIRE_HELLO; type <= WIRE_BYE; type++)
        print_frame((uint8_t)type);
    for (unsigned i = 0; i <= SYNC_HOLDOVER; i++)
        printf("states %u %s\n", i, sync_state_name(i));
    for (unsigned i = 0; i < VERDICT_COUNT_; i++)
        printf("verdicts %u %s\n", i, clock_verdict_name(i));
    for (unsigned i = BYE_SHUTDOWN; i < BYE_COUNT_; i++)
        printf("reasons %u %s\n", i, bye_reason_name(i));
    for (unsigned i = REFUSAL_TURN; i < REFUSAL_COUNT_; i++)
        printf("refusals %s\n", refusal_name(i));
    return 0;
}
