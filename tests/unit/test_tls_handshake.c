/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dice.h"
#include "tls_pair.h"

#define HEADER_SIZE 5
#define GARBAGE_TRIES 2000

static const uint8_t REFUSAL[] = {0x15, 3, 3, 0, 2, 2, 51}; /* alert, fatal, decrypt_error */

static size_t output_of(const struct tls *tls)
{
    size_t length;

    (void)tls_output(tls, &length);
    return length;
}

static void assert_says(const struct tls *tls, const uint8_t *bytes, size_t length)
{
    size_t found;
    const uint8_t *output = tls_output(tls, &found);

    assert_int_equal(found, length);
    assert_memory_equal(output, bytes, length);
}

/* Nothing else: no alert ends well, and this one tells nothing of keys. */
static void assert_says_failure_only(const struct tls *tls)
{
    assert_says(tls, (const uint8_t[]){0x15, 3, 3, 0, 2, 2, 40}, 7);
}

static void both_ends_agree_whatever_the_pieces(void **state)
{
    static const size_t PIECES[] = {TLS_OUTPUT_MAX, 100, 7, 1};
    int server, client;

    (void)state;
    for (size_t i = 0; i < sizeof(PIECES) / sizeof(*PIECES); i++) {
        struct pair pair = pair_with(NULL);
        assert_string_equal(tls_identity(pair.server), "");
        pair_shake(&pair, PIECES[i], &server, &client);
        assert_int_equal(server, 0);
        assert_int_equal(client, 0);
        assert_string_equal(tls_identity(pair.server), "one");
        assert_string_equal(tls_identity(pair.client), "one");
        assert_int_equal(tls_handshake(pair.server), 0);
        pair_free(&pair);
    }
}

static void any_key_of_the_ring_will_do(void **state)
{
    struct keyring *keyring = pair_keyring();
    struct pair pair = pair_with(keyring_at(keyring, 1));
    int server, client;

    (void)state;
    pair_shake(&pair, TLS_OUTPUT_MAX, &server, &client);
    assert_int_equal(server, 0);
    assert_int_equal(client, 0);
    assert_string_equal(tls_identity(pair.server), "two");
    pair_free(&pair);
    keyring_free(keyring);
}

static void a_frame_right_after_the_handshake_arrives(void **state)
{
    struct pair pair = pair_with(NULL);
    uint8_t plain[TLS_PLAIN_MAX];

    (void)state;
    assert_int_equal(tls_handshake(pair.client), -EAGAIN);
    pair_carry(pair.client, pair.server, TLS_OUTPUT_MAX);
    assert_int_equal(tls_handshake(pair.server), -EAGAIN);
    pair_carry(pair.server, pair.client, TLS_OUTPUT_MAX);
    assert_int_equal(tls_handshake(pair.client), 0);
    assert_int_equal(tls_seal(pair.client, (const uint8_t *)"hello", 5), 0);
    pair_carry(pair.client, pair.server, TLS_OUTPUT_MAX);
    assert_int_equal(tls_handshake(pair.server), 0);
    assert_int_equal(tls_open(pair.server, plain, sizeof(plain)), 5);
    pair_free(&pair);
}

/* The server's verdict on a client with this key, and that its whole answer is the refusal. */
static int refusal_of(const struct key *key, char identity[KEYRING_NAME_SIZE])
{
    struct pair pair = pair_with(key);

    assert_int_equal(tls_handshake(pair.client), -EAGAIN);
    pair_carry(pair.client, pair.server, TLS_OUTPUT_MAX);
    int server = tls_handshake(pair.server);
    assert_says(pair.server, REFUSAL, sizeof(REFUSAL));
    assert_int_equal(tls_handshake(pair.server), server);
    memcpy(identity, tls_identity(pair.server), KEYRING_NAME_SIZE);

    pair_carry(pair.server, pair.client, TLS_OUTPUT_MAX);
    assert_int_equal(tls_handshake(pair.client), -EKEYREJECTED);
    assert_int_equal(output_of(pair.client), 0);
    pair_free(&pair);
    return server;
}

static void wrong_and_unknown_keys_get_the_same_bytes(void **state)
{
    struct keyring *keyring = pair_keyring();
    struct key key = *keyring_at(keyring, 0);
    char identity[KEYRING_NAME_SIZE];

    (void)state;
    for (size_t byte = 0; byte < KEYRING_SECRET_SIZE; byte++) {
        key.secret[byte] ^= 1;
        assert_int_equal(refusal_of(&key, identity), -EKEYREJECTED);
        assert_string_equal(identity, "one");
        key.secret[byte] ^= 1;
    }
    memset(key.identity, 'x', KEYRING_NAME_SIZE - 1);
    assert_int_equal(refusal_of(&key, identity), -ENOKEY);
    assert_string_equal(identity, key.identity);
    strcpy(key.identity, "three");
    assert_int_equal(refusal_of(&key, identity), -ENOKEY);
    assert_string_equal(identity, "three");
    keyring_free(keyring);
}

static const char OURS[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+ECDHE-PSK";

/* Our accepting end's verdict on a client that is GnuTLS alone. */
static int verdict_on(struct pair *pair, const char *algorithms, const void *identity,
                      size_t length)
{
    struct foreigner foreigner;
    const struct key *key = keyring_at(pair->keyring, 0);
    gnutls_datum_t name = {.data = (unsigned char *)identity, .size = (unsigned)length};

    foreigner_new(&foreigner, pair->server, GNUTLS_CLIENT, algorithms, identity ? &name : NULL,
                  key->secret);
    int theirs = gnutls_handshake(foreigner.session);
    int ours = tls_handshake(pair->server);
    assert_int_equal(theirs, GNUTLS_E_AGAIN);
    foreigner_free(&foreigner);
    return ours;
}

static void identities_that_are_none_are_refused_alike(void **state)
{
    static const char *const NAMES[] = {"one\0", "on\n", "\x1b[2J", " one", "o\xc3\xa9", "\x7f"};
    static const size_t LENGTHS[] = {4, 3, 4, 4, 3, 1};
    char longer[100];

    (void)state;
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(*NAMES); i++) {
        struct pair pair = pair_with(NULL);
        assert_int_equal(verdict_on(&pair, OURS, NAMES[i], LENGTHS[i]), -ENOKEY);
        assert_says(pair.server, REFUSAL, sizeof(REFUSAL));
        assert_string_equal(tls_identity(pair.server), "");
        pair_free(&pair);
    }
    memset(longer, 'o', sizeof(longer));
    struct pair pair = pair_with(NULL);
    assert_int_equal(verdict_on(&pair, OURS, longer, KEYRING_NAME_SIZE), -ENOKEY);
    assert_says(pair.server, REFUSAL, sizeof(REFUSAL));
    assert_string_equal(tls_identity(pair.server), "");
    pair_free(&pair);
}

/* The last is the control: with what we take in common, the very same client is asked on. */
static void other_ways_of_tls_are_refused(void **state)
{
    static const char *const WAYS[] = {
        "NORMAL:-VERS-ALL:+VERS-TLS1.2:+ECDHE-PSK:+DHE-PSK:+PSK",
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+PSK",
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:+ECDHE-PSK:-CIPHER-ALL:+AES-256-GCM",
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:+ECDHE-PSK:-GROUP-ALL:+GROUP-SECP521R1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(WAYS) / sizeof(*WAYS); i++) {
        struct pair pair = pair_with(NULL);
        assert_int_equal(verdict_on(&pair, WAYS[i], "one", 3), -EPROTO);
        assert_says_failure_only(pair.server);
        pair_free(&pair);
    }
    struct pair pair = pair_with(NULL);
    assert_int_equal(verdict_on(&pair, OURS, "one", 3), -EAGAIN);
    pair_free(&pair);
}

static void clients_without_keys_are_refused(void **state)
{
    static const char *const VERSIONS[] = {"NORMAL", "NORMAL:-VERS-ALL:+VERS-TLS1.3",
                                           "NORMAL:-VERS-ALL:+VERS-TLS1.2"};

    (void)state;
    for (size_t i = 0; i < sizeof(VERSIONS) / sizeof(*VERSIONS); i++) {
        struct pair pair = pair_with(NULL);
        assert_int_equal(verdict_on(&pair, VERSIONS[i], NULL, 0), -EPROTO);
        assert_says_failure_only(pair.server);
        pair_free(&pair);
    }
}

static void what_is_no_tls_is_refused_at_its_first_bytes(void **state)
{
    static const uint8_t HELLO[] = {1, 1, 0, 200, 0, 0, 0, 1, 'b', 'e', 'r', 'k'};
    static const uint8_t HTTP[] = "GET / HTTP/1.1\r\n\r\n";
    static const uint8_t LONG_RECORD[] = {0x16, 3, 1, 0x40, 0};
    static const struct {
        const uint8_t *bytes;
        size_t needed;
    } CASES[] = {{HELLO, 1}, {HTTP, 1}, {LONG_RECORD, sizeof(LONG_RECORD)}};

    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        struct pair pair = pair_with(NULL);
        for (size_t byte = 0; byte < CASES[i].needed; byte++) {
            assert_int_equal(tls_handshake(pair.server), -EAGAIN);
            assert_int_equal(output_of(pair.server), 0);
            assert_int_equal(tls_feed(pair.server, CASES[i].bytes + byte, 1), 0);
        }
        assert_int_equal(tls_handshake(pair.server), -EPROTO);
        assert_says_failure_only(pair.server);
        pair_free(&pair);
    }
}

/* Change-cipher-specs may be sent at any time and mean nothing. */
static void an_endless_handshake_is_cut_off(void **state)
{
    static const uint8_t NOTHING[] = {0x14, 3, 3, 0, 1, 1};
    struct pair pair = pair_with(NULL);
    size_t fed = 0;

    (void)state;
    assert_int_equal(tls_handshake(pair.client), -EAGAIN);
    pair_carry(pair.client, pair.server, TLS_OUTPUT_MAX);
    while (tls_handshake(pair.server) == -EAGAIN && fed <= TLS_INPUT_MAX) {
        assert_int_equal(tls_feed(pair.server, NOTHING, sizeof(NOTHING)), 0);
        fed += sizeof(NOTHING);
    }
    assert_int_equal(tls_handshake(pair.server), -EPROTO);
    assert_true(fed <= TLS_INPUT_MAX);
    pair_free(&pair);
}

static void garbage_never_opens(void **state)
{
    struct dice dice = dice_new();
    uint8_t bytes[600];

    (void)state;
    for (int try = 0; try < GARBAGE_TRIES; try++) {
        struct pair pair = pair_with(NULL);
        struct tls *end = try % 2 ? pair.server : pair.client;
        size_t length = 1 + dice_below(&dice, sizeof(bytes));
        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)dice_below(&dice, 256);
        if (dice_below(&dice, 4) > 0) { /* a record at least, of one hello or the other */
            uint8_t size[2] = {(uint8_t)((length - 1) >> 8), (uint8_t)(length - 1)};
            memcpy(bytes, (const uint8_t[]){0x16, 3, 3, size[0], size[1]}, HEADER_SIZE);
            if (length > HEADER_SIZE)
                bytes[HEADER_SIZE] = try % 2 ? 1 : 2;
        }
        (void)tls_handshake(end);
        assert_int_equal(tls_feed(end, bytes, length), 0);
        int verdict = tls_handshake(end);
        assert_dice(&dice, verdict == -EPROTO || verdict == -EAGAIN);
        pair_free(&pair);
    }
}

/* Both flights of hellos, a byte of them changed.  The minor version of a record that is not
 * encrypted may be anything (RFC 8446, 5.1). */
static void a_damaged_flight_never_opens(void **state)
{
    struct dice dice = dice_new();
    size_t passed = SIZE_MAX;

    (void)state;
    for (size_t byte = 0; byte < passed; byte++) {
        struct pair pair = pair_with(NULL);
        struct tls *ends[] = {pair.client, pair.server};
        uint8_t flight[TLS_OUTPUT_MAX];
        bool ignored = false;
        passed = 0;
        for (size_t turn = 0; turn < 3; turn++) {
            (void)tls_handshake(ends[turn % 2]);
            size_t length;
            const uint8_t *output = tls_output(ends[turn % 2], &length);
            memcpy(flight, output, length);
            tls_sent(ends[turn % 2], length);
            if (byte >= passed && byte < passed + length) {
                flight[byte - passed] ^= (uint8_t)(1 + dice_below(&dice, 255));
                ignored = turn < 2 && byte == passed + 2;
            }
            passed += length;
            assert_int_equal(tls_feed(ends[1 - turn % 2], flight, length), 0);
        }
        int server = tls_handshake(pair.server), client = tls_handshake(pair.client);
        assert_dice(&dice, (server == 0 && client == 0) == ignored || server < 0);
        assert_dice(&dice, (server == 0) == ignored);
        pair_free(&pair);
    }
}

static void a_flight_cut_short_never_opens(void **state)
{
    (void)state;
    for (size_t missing = 1, length = SIZE_MAX; missing <= length; missing++) {
        struct pair pair = pair_with(NULL);
        uint8_t flight[TLS_OUTPUT_MAX];
        (void)tls_handshake(pair.client);
        const uint8_t *output = tls_output(pair.client, &length);
        memcpy(flight, output, length);
        assert_int_equal(tls_feed(pair.server, flight, length - missing), 0);
        assert_int_equal(tls_handshake(pair.server), -EAGAIN);
        assert_int_equal(output_of(pair.server), 0);
        assert_int_equal(tls_feed(pair.server, flight + length - missing, missing), 0);
        assert_int_equal(tls_handshake(pair.server), -EAGAIN);
        assert_true(output_of(pair.server) > sizeof(REFUSAL));
        pair_free(&pair);
    }
}

/* Its first public key is for a group that is not ours. */
static void a_client_that_has_to_ask_twice_gets_in(void **state)
{
    static const char TWICE[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+ECDHE-PSK:-GROUP-ALL:"
                                "+GROUP-SECP521R1:+GROUP-SECP256R1";
    struct keyring *keyring = pair_keyring();
    struct key key = *keyring_at(keyring, 0);
    gnutls_datum_t name = {.data = (unsigned char *)key.identity, .size = 3};

    (void)state;
    for (int wrong = 0; wrong < 2; wrong++) {
        struct foreigner foreigner;
        struct tls *tls;
        int theirs;
        assert_int_equal(tls_accept(keyring, &tls), 0);
        key.secret[0] ^= (uint8_t)wrong;
        foreigner_new(&foreigner, tls, GNUTLS_CLIENT, TWICE, &name, key.secret);
        assert_int_equal(foreigner_shake(&foreigner, &theirs), wrong ? -EKEYREJECTED : 0);
        assert_int_equal(theirs, wrong ? GNUTLS_E_FATAL_ALERT_RECEIVED : 0);
        foreigner_free(&foreigner);
        tls_free(tls);
    }
    keyring_free(keyring);
}

static void a_caller_takes_no_certificate_for_the_key(void **state)
{
    struct keyring *keyring = pair_keyring();
    struct foreigner foreigner;
    struct tls *tls;
    int theirs;

    (void)state;
    assert_int_equal(tls_call(keyring_at(keyring, 0), &tls), 0);
    foreigner_new(&foreigner, tls, GNUTLS_SERVER, "NORMAL", NULL, NULL);
    foreigner_certify(&foreigner);
    assert_int_equal(foreigner_shake(&foreigner, &theirs), -EPROTO);
    assert_int_equal(theirs, GNUTLS_E_FATAL_ALERT_RECEIVED);
    foreigner_free(&foreigner);
    tls_free(tls);
    keyring_free(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_agree_whatever_the_pieces),
        cmocka_unit_test(any_key_of_the_ring_will_do),
        cmocka_unit_test(a_frame_right_after_the_handshake_arrives),
        cmocka_unit_test(wrong_and_unknown_keys_get_the_same_bytes),
        cmocka_unit_test(identities_that_are_none_are_refused_alike),
        cmocka_unit_test(other_ways_of_tls_are_refused),
        cmocka_unit_test(clients_without_keys_are_refused),
        cmocka_unit_test(what_is_no_tls_is_refused_at_its_first_bytes),
        cmocka_unit_test(an_endless_handshake_is_cut_off),
        cmocka_unit_test(garbage_never_opens),
        cmocka_unit_test(a_damaged_flight_never_opens),
        cmocka_unit_test(a_flight_cut_short_never_opens),
        cmocka_unit_test(a_client_that_has_to_ask_twice_gets_in),
        cmocka_unit_test(a_caller_takes_no_certificate_for_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
