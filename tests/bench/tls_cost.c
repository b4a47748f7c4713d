/* SPDX-License-Identifier: BSD-2-Clause */
/* What TLS costs: CPU time of handshakes, refusals and frames, heap of connections. */
#include "daemon/tls.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define HANDSHAKES 1000
#define REFUSALS 5000
#define FRAMES 200000
#define FRAME_SIZE 150
#define SESSIONS 100
#define SECRET "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct pair {
    struct tls *server, *client;
};

static void give_up(const char *what, int error)
{
    (void)fprintf(stderr, "tls_cost: %s: %s\n", what, strerror(-error));
    exit(1);
}

static double cpu_us(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void carry(struct tls *from, struct tls *to)
{
    size_t length;
    const uint8_t *bytes = tls_output(from, &length);

    int error = tls_feed(to, bytes, length);
    if (error < 0)
        give_up("feeding", error);
    tls_sent(from, length);
}

static struct pair pair_open(const struct keyring *keyring, const struct key *key)
{
    struct pair pair = {0};

    int error = tls_accept(keyring, &pair.server);
    if (error == 0)
        error = tls_call(key, &pair.client);
    if (error < 0)
        give_up("setting up", error);
    (void)tls_handshake(pair.client);
    carry(pair.client, pair.server);
    (void)tls_handshake(pair.server);
    carry(pair.server, pair.client);
    error = tls_handshake(pair.client);
    carry(pair.client, pair.server);
    if (error == 0)
        error = tls_handshake(pair.server);
    if (error < 0)
        give_up("handshake", error);
    return pair;
}

static void measure_handshakes(const struct keyring *keyring, const struct key *key)
{
    double start_us = cpu_us();

    for (int i = 0; i < HANDSHAKES; i++) {
        struct pair pair = pair_open(keyring, key);
        tls_free(pair.client);
        tls_free(pair.server);
    }
    printf("handshake, both ends      %8.1f us\n", (cpu_us() - start_us) / HANDSHAKES);
}

/* The accepting end's share alone: the same bytes again and again. */
static void measure_refusals(const char *what, const struct keyring *keyring, const struct key *key,
                             int refusal)
{
    struct tls *server, *client;

    int error = tls_call(key, &client);
    if (error < 0)
        give_up("calling", error);
    (void)tls_handshake(client);
    double start_us = cpu_us();
    for (int i = 0; i < REFUSALS; i++) {
        size_t length;
        const uint8_t *hello = tls_output(client, &length);
        error = tls_accept(keyring, &server);
        if (error < 0)
            give_up("accepting", error);
        (void)tls_feed(server, hello, length);
        error = tls_handshake(server);
        if (error != refusal)
            give_up(what, error);
        tls_free(server);
    }
    printf("refusal, %-16s %8.1f us\n", what, (cpu_us() - start_us) / REFUSALS);
    tls_free(client);
}

static void measure_frames(const struct keyring *keyring, const struct key *key)
{
    struct pair pair = pair_open(keyring, key);
    uint8_t plain[TLS_PLAIN_MAX] = {0};
    double start_us = cpu_us();

    for (int i = 0; i < FRAMES; i++) {
        if (tls_seal(pair.client, plain, FRAME_SIZE) < 0)
            give_up("sealing", -EIO);
        carry(pair.client, pair.server);
        if (tls_open(pair.server, plain, sizeof(plain)) != FRAME_SIZE)
            give_up("opening", -EIO);
    }
    printf("frame, sealed and opened  %8.2f us\n", (cpu_us() - start_us) / FRAMES);
    tls_free(pair.client);
    tls_free(pair.server);
}

static size_t heap(void)
{
    return mallinfo2().uordblks;
}

static void measure_heap(const struct keyring *keyring, const struct key *key)
{
    static struct pair pairs[SESSIONS];
    static struct tls *begun[SESSIONS];

    size_t at_first = heap();
    for (int i = 0; i < SESSIONS; i++)
        if (tls_accept(keyring, &begun[i]) < 0 || tls_handshake(begun[i]) != -EAGAIN)
            give_up("accepting", -EIO);
    printf("heap, accepted            %8zu bytes\n", (heap() - at_first) / SESSIONS);

    for (int i = 0; i < SESSIONS; i++)
        pairs[i] = pair_open(keyring, key);
    size_t with_both = heap();
    for (int i = 0; i < SESSIONS; i++)
        tls_free(pairs[i].client);
    size_t with_servers = heap();
    for (int i = 0; i < SESSIONS; i++)
        tls_free(pairs[i].server);
    printf("heap, accepting end       %8zu bytes\n", (with_servers - heap()) / SESSIONS);
    printf("heap, calling end         %8zu bytes\n", (with_both - with_servers) / SESSIONS);
    for (int i = 0; i < SESSIONS; i++)
        tls_free(begun[i]);
}

int main(void)
{
    static const char TEXT[] = "one " SECRET "\n";
    struct keyring *keyring;
    char error[KEYRING_ERROR_SIZE];

    int status = keyring_parse("keys", TEXT, sizeof(TEXT) - 1, &keyring, error);
    if (status < 0)
        give_up("keys", status);
    struct key key = *keyring_at(keyring, 0);
    struct key wrong = key, unknown = key;
    wrong.secret[0] ^= 1;
    memcpy(unknown.identity, "two", 4);

    measure_handshakes(keyring, &key);
    measure_refusals("wrong key", keyring, &wrong, -EKEYREJECTED);
    measure_refusals("unknown", keyring, &unknown, -ENOKEY);
    measure_frames(keyring, &key);
    measure_heap(keyring, &key);
    keyring_free(keyring);
    return 0;
}
