/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_intruder: somebody at the other end of a connection who does not hold the key.  What is
 * sent begins with the first flight of a real handshake: none, one that was overheard (with the
 * right key, but without the secrets of that connection), one with another key of the same
 * identity, or one of an identity that is not known; part of it, one byte of it changed, in pieces;
 * and ends with the rest of the input.
 */
#ifndef BERKELEY_TESTS_FUZZ_INTRUDER_H
#define BERKELEY_TESTS_FUZZ_INTRUDER_H

#include "fuzz.h"

#include "daemon/tls.h"

#define INTRUDER_FLIGHT_MAX TLS_OUTPUT_MAX

enum intruder_flight { FLIGHT_NONE, FLIGHT_OVERHEARD, FLIGHT_WRONG, FLIGHT_UNKNOWN, FLIGHTS };

/* The input's first bytes. */
struct intruder_script {
    uint8_t calls;  /* bit 0: the end under test is the one that calls; bits 1, 2: the flight */
    uint8_t part;   /* how much of the flight is sent, of 255 */
    uint8_t at;     /* which byte of it is changed, of 256, */
    uint8_t change; /* and how */
    uint8_t piece;  /* bytes at a time; 0: all */
};

struct intruder {
    enum intruder_flight flight;
    bool calls, whole; /* all of the flight is sent, unchanged */
    uint8_t *bytes;
    size_t size, piece;
};

static inline struct keyring *intruder_keyring(void)
{
    static const char text[] =
        "shared 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
        "bound 202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f node1\n";
    char error[KEYRING_ERROR_SIZE];
    struct keyring *keyring;

    must(keyring_parse("key", text, sizeof text - 1, &keyring, error) == 0);
    return keyring;
}

static inline struct key intruder_key(const struct keyring *keyring, enum intruder_flight flight)
{
    struct key key = *keyring_find(keyring, "shared");

    if (flight == FLIGHT_WRONG)
        key.secret[0] ^= 1;
    if (flight == FLIGHT_UNKNOWN)
        key.identity[0] ^= 1;
    return key;
}

/* Takes what it has to send next. */
static inline size_t intruder_drain(struct tls *tls, uint8_t bytes[INTRUDER_FLIGHT_MAX])
{
    size_t length;
    const uint8_t *output = tls_output(tls, &length);

    must(length <= INTRUDER_FLIGHT_MAX);
    memcpy(bytes, output, length);
    tls_sent(tls, length);
    return length;
}

static inline size_t intruder_hello(const struct keyring *keyring, enum intruder_flight flight,
                                    uint8_t bytes[INTRUDER_FLIGHT_MAX])
{
    const struct key key = intruder_key(keyring, flight);
    struct tls *tls;
    size_t length;

    must(tls_call(&key, &tls) == 0);
    (void)tls_handshake(tls);
    length = intruder_drain(tls, bytes);
    tls_free(tls);
    return length;
}

/* The answer to a hello of the right key, but for its end, which would prove something. */
static inline size_t intruder_answer(const struct keyring *keyring, const uint8_t *hello,
                                     size_t size, uint8_t bytes[INTRUDER_FLIGHT_MAX])
{
    const size_t proof = 16;
    struct tls *tls;
    size_t length;

    must(tls_accept(keyring, &tls) == 0);
    must(tls_feed(tls, hello, size) == 0);
    (void)tls_handshake(tls);
    length = intruder_drain(tls, bytes);
    tls_free(tls);
    return length > proof ? length - proof : 0;
}

static inline void intruder_spoil(struct intruder *intruder, const struct intruder_script *script,
                                  uint8_t *flight, size_t *length)
{
    const size_t sent = *length * script->part / UINT8_MAX;

    intruder->whole = *length > 0 && sent == *length && script->change == 0;
    if (*length > 0)
        flight[*length * script->at / 256] ^= script->change;
    *length = sent;
}

/* hello: what the end under test said, if it calls.  False: the input is too short. */
static inline bool intruder_begin(struct intruder *intruder, const struct keyring *keyring,
                                  const uint8_t *hello, size_t hello_size, const uint8_t *data,
                                  size_t size)
{
    uint8_t flight[INTRUDER_FLIGHT_MAX];
    struct intruder_script script;
    size_t length = 0;

    if (size < sizeof script)
        return false;
    memcpy(&script, data, sizeof script);
    data += sizeof script;
    size -= sizeof script;
    intruder->calls = hello != NULL;
    intruder->flight = script.calls / 2 % FLIGHTS;
    if (intruder->flight != FLIGHT_NONE)
        length = hello ? intruder_answer(keyring, hello, hello_size, flight)
                       : intruder_hello(keyring, intruder->flight, flight);
    intruder_spoil(intruder, &script, flight, &length);
    intruder->size = length + size;
    intruder->piece = script.piece ? script.piece : intruder->size;
    intruder->bytes = malloc(intruder->size + 1);
    must(intruder->bytes);
    memcpy(intruder->bytes, flight, length);
    memcpy(intruder->bytes + length, data, size);
    return true;
}

static inline bool intruder_wants_call(const uint8_t *data, size_t size)
{
    return size > 0 && data[0] & 1;
}

/* Nothing but records of TLS, and nothing but an alert for one whose key is wrong. */
static inline void intruder_check_answer(const struct intruder *intruder, const uint8_t *bytes,
                                         size_t size)
{
    const bool refused = !intruder->calls && intruder->whole && intruder->flight >= FLIGHT_WRONG;
    const uint8_t change_cipher_spec = 20, alert = 21, data = 23;
    size_t records = 0;

    for (size_t at = 0; at < size; records++) {
        must(size - at > 5);
        must(bytes[at] >= change_cipher_spec && bytes[at] <= data && bytes[at + 1] == 3);
        must(!refused || bytes[at] == alert);
        at += 5 + ((size_t)bytes[at + 3] << 8 | bytes[at + 4]);
        must(at <= size);
    }
    must(!refused || records == 1);
}

#endif
