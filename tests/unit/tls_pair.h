/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_pair: two ends of a connection joined in memory, and an end that is GnuTLS alone. */
#ifndef BERKELEY_TESTS_TLS_PAIR_H
#define BERKELEY_TESTS_TLS_PAIR_H

#include "daemon/tls.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TLS_KEYS                                                             \
    "one 3041424344454647505152535455565760616263646566677071727374757677\n" \
    "two 5bad5bad5bad5bad5bad5bad5bad5bad5bad5bad5bad5bad5bad5bad5bad5bad here\n"

struct pair {
    struct keyring *keyring;
    struct tls *server, *client;
};

static inline struct keyring *pair_keyring(void)
{
    struct keyring *keyring = NULL;
    char error[KEYRING_ERROR_SIZE];

    if (keyring_parse("keys", TLS_KEYS, strlen(TLS_KEYS), &keyring, error) < 0)
        abort();
    return keyring;
}

static inline struct pair pair_with(const struct key *key)
{
    struct pair pair = {.keyring = pair_keyring()};

    if (tls_accept(pair.keyring, &pair.server) < 0 ||
        tls_call(key ? key : keyring_at(pair.keyring, 0), &pair.client) < 0)
        abort();
    return pair;
}

static inline void pair_free(struct pair *pair)
{
    tls_free(pair->server);
    tls_free(pair->client);
    keyring_free(pair->keyring);
}

/* What one has to say reaches the other, `most` bytes at a time; how much that was. */
static inline size_t pair_carry(struct tls *from, struct tls *to, size_t most)
{
    size_t length;
    const uint8_t *bytes = tls_output(from, &length);

    if (length > most)
        length = most;
    if (length > 0 && tls_feed(to, bytes, length) < 0)
        abort();
    tls_sent(from, length);
    return length;
}

/* Until nobody has anything to say. */
static inline void pair_shake(struct pair *pair, size_t most, int *server, int *client)
{
    size_t carried;

    do {
        *client = tls_handshake(pair->client);
        carried = pair_carry(pair->client, pair->server, most);
        *server = tls_handshake(pair->server);
        carried += pair_carry(pair->server, pair->client, most);
    } while (carried > 0);
}

static inline struct pair pair_open(void)
{
    struct pair pair = pair_with(NULL);
    int server, client;

    pair_shake(&pair, TLS_OUTPUT_MAX, &server, &client);
    if (server != 0 || client != 0)
        abort();
    return pair;
}

/* Whoever speaks GnuTLS to one end of ours. */
struct foreigner {
    gnutls_session_t session;
    gnutls_psk_client_credentials_t key;
    gnutls_certificate_credentials_t certificate;
    struct tls *tls;
};

static inline ssize_t foreigner_pull(gnutls_transport_ptr_t context, void *data, size_t size)
{
    struct foreigner *foreigner = context;
    size_t length;
    const uint8_t *bytes = tls_output(foreigner->tls, &length);

    if (length == 0) {
        gnutls_transport_set_errno(foreigner->session, EAGAIN);
        return -1;
    }
    length = length < size ? length : size;
    memcpy(data, bytes, length);
    tls_sent(foreigner->tls, length);
    return (ssize_t)length;
}

static inline ssize_t foreigner_push(gnutls_transport_ptr_t context, const void *data, size_t size)
{
    struct foreigner *foreigner = context;

    if (tls_feed(foreigner->tls, data, size) < 0) {
        gnutls_transport_set_errno(foreigner->session, EAGAIN);
        return -1;
    }
    return (ssize_t)size;
}

/* identity NULL: has no key, but knows of certificates. */
static inline void foreigner_new(struct foreigner *foreigner, struct tls *tls, unsigned end,
                                 const char *algorithms, const gnutls_datum_t *identity,
                                 const uint8_t *secret)
{
    gnutls_datum_t raw = {.data = (unsigned char *)secret, .size = KEYRING_SECRET_SIZE};

    *foreigner = (struct foreigner){.tls = tls};
    if (gnutls_init(&foreigner->session, end | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS) < 0 ||
        gnutls_priority_set_direct(foreigner->session, algorithms, NULL) < 0)
        abort();
    gnutls_transport_set_ptr(foreigner->session, foreigner);
    gnutls_transport_set_pull_function(foreigner->session, foreigner_pull);
    gnutls_transport_set_push_function(foreigner->session, foreigner_push);
    if (identity) {
        if (gnutls_psk_allocate_client_credentials(&foreigner->key) < 0 ||
            gnutls_psk_set_client_credentials2(foreigner->key, identity, &raw, GNUTLS_PSK_KEY_RAW) <
                0)
            abort();
        (void)gnutls_credentials_set(foreigner->session, GNUTLS_CRD_PSK, foreigner->key);
    } else {
        if (gnutls_certificate_allocate_credentials(&foreigner->certificate) < 0)
            abort();
        (void)gnutls_credentials_set(foreigner->session, GNUTLS_CRD_CERTIFICATE,
                                     foreigner->certificate);
    }
}

/* A certificate of its own, so that it can be a server. */
static inline void foreigner_certify(struct foreigner *foreigner)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;

    if (gnutls_x509_privkey_init(&key) < 0 || gnutls_x509_crt_init(&crt) < 0 ||
        gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) < 0 ||
        gnutls_x509_crt_set_version(crt, 3) < 0 || gnutls_x509_crt_set_serial(crt, "1", 1) < 0 ||
        gnutls_x509_crt_set_activation_time(crt, 0) < 0 ||
        gnutls_x509_crt_set_expiration_time(crt, (time_t)UINT32_MAX) < 0 ||
        gnutls_x509_crt_set_key(crt, key) < 0 ||
        gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0) < 0 ||
        gnutls_certificate_set_x509_key(foreigner->certificate, &crt, 1, key) < 0)
        abort();
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

static inline void foreigner_free(struct foreigner *foreigner)
{
    gnutls_deinit(foreigner->session);
    if (foreigner->key)
        gnutls_psk_free_client_credentials(foreigner->key);
    if (foreigner->certificate)
        gnutls_certificate_free_credentials(foreigner->certificate);
}

/* What becomes of our end's handshake; *theirs: GnuTLS's word on the other. */
static inline int foreigner_shake(struct foreigner *foreigner, int *theirs)
{
    int ours = -EAGAIN;

    *theirs = GNUTLS_E_AGAIN;
    for (int turn = 0; turn < 8; turn++) {
        if (*theirs == GNUTLS_E_AGAIN)
            *theirs = gnutls_handshake(foreigner->session);
        if (ours == -EAGAIN)
            ours = tls_handshake(foreigner->tls);
    }
    return ours;
}

#endif
