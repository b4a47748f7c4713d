/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection of two ends that both hold the key, and somebody between them who changes, adds
 * and holds back bytes: what comes out is what was put in, up to the first byte that is not.  The
 * input is what happens, a byte each and what that needs.
 */
#include "fuzz_intruder.h"

#include <errno.h>

#define MESSAGES_MAX 64
#define WIRE_MAX ((size_t)MESSAGES_MAX * 512)

struct message {
    uint8_t plain[TLS_PLAIN_MAX];
    size_t length;
    size_t end; /* of its record on the wire */
};

struct way {
    struct tls *from, *to;
    struct message messages[MESSAGES_MAX];
    size_t sealed, opened;
    uint8_t wire[WIRE_MAX];
    size_t written, delivered;
    size_t harm; /* where the wire is not what was written any more */
};

struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t next(struct input *input)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

static void write_wire(struct way *way)
{
    size_t length;
    const uint8_t *bytes = tls_output(way->from, &length);

    must(length <= WIRE_MAX - way->written);
    memcpy(way->wire + way->written, bytes, length);
    way->written += length;
    tls_sent(way->from, length);
}

static void seal(struct way *way, struct input *input)
{
    struct message *message = &way->messages[way->sealed];

    if (way->sealed == MESSAGES_MAX || way->written > WIRE_MAX / 2)
        return;
    message->length = 1 + (size_t)next(input);
    for (size_t i = 0; i < message->length; i++)
        message->plain[i] = next(input);
    if (tls_seal(way->from, message->plain, message->length) < 0)
        return;
    write_wire(way);
    message->end = way->written;
    way->sealed++;
}

/* Whatever comes out was sealed, came whole, in turn, and before all harm. */
static void open_all(struct way *way)
{
    uint8_t plain[TLS_PLAIN_MAX];
    ssize_t n;

    while ((n = tls_open(way->to, plain, sizeof plain)) > 0) {
        const struct message *message = &way->messages[way->opened];

        must(way->opened < way->sealed);
        must(message->end <= way->delivered && message->end <= way->harm);
        must((size_t)n == message->length && memcmp(plain, message->plain, message->length) == 0);
        way->opened++;
    }
    must(n == -EAGAIN || (n == -EBADMSG && way->harm < way->delivered));
}

static void deliver(struct way *way, size_t most)
{
    size_t length = way->written - way->delivered;
    uint8_t *bytes;

    if (length > most)
        length = most;
    bytes = fuzz_copy(way->wire + way->delivered, length);
    if (tls_feed(way->to, bytes, length) == 0)
        way->delivered += length;
    free(bytes);
    open_all(way);
}

/* Before all harm so far, which a second change might undo. */
static void change(struct way *way, struct input *input)
{
    const size_t pending = way->written - way->delivered;
    const size_t at = way->delivered + next(input) % (pending > 0 ? pending : 1);
    const uint8_t by = next(input);

    if (pending == 0 || by == 0 || at >= way->harm)
        return;
    way->wire[at] ^= by;
    way->harm = at;
}

static void add(struct way *way, struct input *input)
{
    if (way->written == WIRE_MAX)
        return;
    if (way->written < way->harm)
        way->harm = way->written;
    way->wire[way->written++] = next(input);
}

static void happen(struct way ways[2], struct input *input)
{
    const uint8_t what = next(input);
    struct way *way = &ways[what & 1];

    switch (what >> 1 & 3) {
    case 0:
        seal(way, input);
        break;
    case 1:
        deliver(way, what & 8 ? SIZE_MAX : next(input));
        break;
    case 2:
        change(way, input);
        break;
    default:
        add(way, input);
        break;
    }
}

static void move(struct tls *from, struct tls *to)
{
    size_t length;
    const uint8_t *bytes = tls_output(from, &length);

    must(tls_feed(to, bytes, length) == 0);
    tls_sent(from, length);
}

static void shake_hands(struct tls *caller, struct tls *acceptor)
{
    must(tls_handshake(caller) == -EAGAIN);
    move(caller, acceptor);
    must(tls_handshake(acceptor) == -EAGAIN);
    move(acceptor, caller);
    must(tls_handshake(caller) == 0);
    move(caller, acceptor);
    must(tls_handshake(acceptor) == 0);
    move(acceptor, caller);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct keyring *keyring;
    struct input input = {data, size};
    struct way *ways = calloc(2, sizeof *ways);
    struct tls *caller, *acceptor;
    struct key key;

    if (!keyring)
        keyring = intruder_keyring();
    must(ways);
    key = intruder_key(keyring, FLIGHT_OVERHEARD);
    must(tls_call(&key, &caller) == 0 && tls_accept(keyring, &acceptor) == 0);
    shake_hands(caller, acceptor);
    ways[0].from = ways[1].to = caller;
    ways[0].to = ways[1].from = acceptor;
    ways[0].harm = ways[1].harm = SIZE_MAX;
    while (input.size > 0)
        happen(ways, &input);
    for (size_t i = 0; i < 2; i++) {
        deliver(&ways[i], SIZE_MAX);
        must(ways[i].harm < SIZE_MAX || ways[i].delivered < ways[i].written ||
             ways[i].opened == ways[i].sealed);
    }
    tls_close(caller);
    tls_free(caller);
    tls_free(acceptor);
    free(ways);
    return 0;
}
