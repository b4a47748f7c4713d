/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/tls.h"

#include <assert.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_SIZE 5
#define RECORD_OVERHEAD (1 + 16) /* type of what is inside, AEAD tag */
#define KEY_UPDATE_SIZE (HEADER_SIZE + 5 + RECORD_OVERHEAD)
#define OPENING_MAX 2048    /* a record of a handshake: ours are below 400 */
#define RECV_SIZE_MIN 512   /* the least GnuTLS may ask the other end to keep to */
#define DATA_PER_OTHER 1000 /* GnuTLS renews its keys after 2^24 records */

enum record_type { RECORD_CHANGE_CIPHER_SPEC = 20, RECORD_DATA = 23 };

/* External keys are bound to SHA256, hence these ciphers.  GnuTLS wants a signature to be named,
 * though without certificates there is none. */
static const char ALGORITHMS[] = "NONE:+VERS-TLS1.3:+AES-128-GCM:+CHACHA20-POLY1305:+AEAD:"
                                 "+ECDHE-PSK:+GROUP-X25519:+GROUP-SECP256R1:"
                                 "+SIGN-ECDSA-SECP256R1-SHA256:%DISABLE_TLS13_COMPAT_MODE";

struct tls {
    gnutls_session_t session;
    gnutls_psk_client_credentials_t caller;
    gnutls_psk_server_credentials_t acceptor;
    const struct keyring *keyring; /* until the handshake is over */
    char identity[KEYRING_NAME_SIZE];
    bool asked;         /* for a key, in the call of gnutls_handshake() under way */
    bool known;         /* that key is in the keyring */
    bool open;          /* the handshake is over */
    bool closed;        /* close_notify was said */
    int error;          /* negative: of no more use */
    size_t opening;     /* bytes of the handshake taken in */
    bool in_hand;       /* a record was granted that gave no data yet */
    size_t data_in_row; /* records, since one without data */
    size_t input_start, input_end;
    size_t granted; /* of the input: what GnuTLS may pull, never more than one record */
    size_t output_length;
    uint8_t input[TLS_INPUT_MAX];
    uint8_t output[TLS_OUTPUT_MAX];
};

static gnutls_priority_t policy; /* 8 KiB, hence shared */
static unsigned policy_users;

/* GnuTLS frees some copies of keys as they are. */
static void wipe_and_free(void *memory)
{
    if (memory)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

static int to_errno(int status)
{
    return status == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EPROTO;
}

/* Whatever the environment asks for: no log, for it would hold keys. */
static int policy_take(void)
{
    if (!policy) {
        gnutls_free = wipe_and_free;
        gnutls_global_set_log_level(0);
        int status = gnutls_priority_init(&policy, ALGORITHMS, NULL);
        if (status < 0) {
            policy = NULL;
            return status == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EPROTONOSUPPORT;
        }
    }
    policy_users++;
    return 0;
}

static void policy_give_back(void)
{
    if (--policy_users > 0)
        return;
    gnutls_priority_deinit(policy);
    policy = NULL;
}

static ssize_t pull(gnutls_transport_ptr_t context, void *data, size_t size)
{
    struct tls *tls = context;
    size_t length = size < tls->granted ? size : tls->granted;

    if (length == 0) {
        gnutls_transport_set_errno(tls->session, EAGAIN);
        return -1;
    }
    memcpy(data, tls->input + tls->input_start, length);
    tls->input_start += length;
    tls->granted -= length;
    return (ssize_t)length;
}

static int pull_timeout(gnutls_transport_ptr_t context, unsigned ms)
{
    const struct tls *tls = context;

    (void)ms;
    return tls->granted > 0;
}

static ssize_t push(gnutls_transport_ptr_t context, const void *data, size_t size)
{
    struct tls *tls = context;

    if (size > sizeof(tls->output) - tls->output_length) {
        gnutls_transport_set_errno(tls->session, EAGAIN);
        return -1;
    }
    memcpy(tls->output + tls->output_length, data, size);
    tls->output_length += size;
    return (ssize_t)size;
}

static bool is_identity(const uint8_t *bytes, size_t length)
{
    if (length < 1 || length >= KEYRING_NAME_SIZE)
        return false;
    for (size_t i = 0; i < length; i++)
        if (bytes[i] <= ' ' || bytes[i] > '~')
            return false;
    return true;
}

/* An unknown identity gets a key that nobody has, so that it fails where a wrong key does. */
static int look_up(gnutls_session_t session, const gnutls_datum_t *name, gnutls_datum_t *secret)
{
    struct tls *tls = gnutls_session_get_ptr(session);
    const struct key *key = NULL;

    tls->asked = true;
    memset(tls->identity, 0, sizeof(tls->identity));
    if (is_identity(name->data, name->size)) {
        memcpy(tls->identity, name->data, name->size);
        key = keyring_find(tls->keyring, tls->identity);
    }
    tls->known = key;

    unsigned char *bytes = gnutls_malloc(KEYRING_SECRET_SIZE);
    if (!bytes || gnutls_rnd(GNUTLS_RND_RANDOM, bytes, KEYRING_SECRET_SIZE) < 0) {
        gnutls_free(bytes);
        return -1;
    }
    if (key)
        memcpy(bytes, key->secret, KEYRING_SECRET_SIZE);
    *secret = (gnutls_datum_t){.data = bytes, .size = KEYRING_SECRET_SIZE};
    return 0;
}

/* Without a proof of a key there is nothing to go on to, least of all public keys. */
static int check_hello(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                       const gnutls_datum_t *message)
{
    const struct tls *tls = gnutls_session_get_ptr(session);

    (void)type, (void)when, (void)incoming, (void)message;
    return tls->asked && tls->known ? 0 : GNUTLS_E_INSUFFICIENT_CREDENTIALS;
}

static int set_up_session(struct tls *tls, unsigned end)
{
    int status = gnutls_init(&tls->session, end | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS);
    if (status < 0)
        return status;

    /* The default one obeys $SSLKEYLOGFILE. */
    gnutls_session_set_keylog_function(tls->session, NULL);
    gnutls_session_set_ptr(tls->session, tls);
    gnutls_transport_set_ptr(tls->session, tls);
    gnutls_transport_set_pull_function(tls->session, pull);
    gnutls_transport_set_pull_timeout_function(tls->session, pull_timeout);
    gnutls_transport_set_push_function(tls->session, push);
    gnutls_handshake_set_max_packet_length(tls->session, OPENING_MAX);
    (void)gnutls_record_set_max_recv_size(tls->session, RECV_SIZE_MIN);
    return gnutls_priority_set(tls->session, policy);
}

static int set_up_acceptor(struct tls *tls)
{
    int status = gnutls_psk_allocate_server_credentials(&tls->acceptor);
    if (status < 0)
        return status;
    gnutls_psk_set_server_credentials_function2(tls->acceptor, look_up);
    gnutls_handshake_set_hook_function(tls->session, GNUTLS_HANDSHAKE_CLIENT_HELLO,
                                       GNUTLS_HOOK_POST, check_hello);
    return gnutls_credentials_set(tls->session, GNUTLS_CRD_PSK, tls->acceptor);
}

static int set_up_caller(struct tls *tls, const struct key *key)
{
    gnutls_datum_t name = {.data = (unsigned char *)tls->identity,
                           .size = (unsigned)strlen(tls->identity)};
    gnutls_datum_t secret = {.data = (unsigned char *)key->secret, .size = KEYRING_SECRET_SIZE};

    int status = gnutls_psk_allocate_client_credentials(&tls->caller);
    if (status >= 0)
        status =
            gnutls_psk_set_client_credentials2(tls->caller, &name, &secret, GNUTLS_PSK_KEY_RAW);
    if (status < 0)
        return status;
    return gnutls_credentials_set(tls->session, GNUTLS_CRD_PSK, tls->caller);
}

/* One of both is NULL. */
static int set_up(const struct keyring *keyring, const struct key *key, struct tls **out)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    if (!tls)
        return -ENOMEM;
    int error = policy_take();
    if (error < 0) {
        free(tls);
        return error;
    }

    int status = set_up_session(tls, key ? GNUTLS_CLIENT : GNUTLS_SERVER);
    if (status >= 0 && key) {
        memcpy(tls->identity, key->identity, sizeof(tls->identity));
        status = set_up_caller(tls, key);
    } else if (status >= 0) {
        tls->keyring = keyring;
        status = set_up_acceptor(tls);
    }
    if (status < 0) {
        tls_free(tls);
        return to_errno(status);
    }
    *out = tls;
    return 0;
}

int tls_accept(const struct keyring *keyring, struct tls **tls)
{
    return set_up(keyring, NULL, tls);
}

int tls_call(const struct key *key, struct tls **tls)
{
    return set_up(NULL, key, tls);
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    if (tls->session)
        gnutls_deinit(tls->session);
    if (tls->acceptor)
        gnutls_psk_free_server_credentials(tls->acceptor);
    if (tls->caller)
        gnutls_psk_free_client_credentials(tls->caller);
    policy_give_back();
    explicit_bzero(tls, sizeof(*tls));
    free(tls);
}

int tls_feed(struct tls *tls, const uint8_t *bytes, size_t length)
{
    size_t waiting = tls->input_end - tls->input_start;

    if (length > sizeof(tls->input) - waiting)
        return -ENOBUFS;
    if (length > sizeof(tls->input) - tls->input_end) {
        memmove(tls->input, tls->input + tls->input_start, waiting);
        tls->input_start = 0;
        tls->input_end = waiting;
    }
    memcpy(tls->input + tls->input_end, bytes, length);
    tls->input_end += length;
    return 0;
}

/* The size of the record these bytes begin; -EAGAIN: too few to tell; -EBADMSG: none we take. */
static int measure_record(const uint8_t *bytes, size_t length, bool open)
{
    size_t least = open ? RECORD_OVERHEAD + 1 : 1;
    size_t most = open ? TLS_PLAIN_MAX + RECORD_OVERHEAD : OPENING_MAX;

    if (length > 0 &&
        (bytes[0] > RECORD_DATA || bytes[0] < (open ? RECORD_DATA : RECORD_CHANGE_CIPHER_SPEC)))
        return -EBADMSG;
    if (length > 1 && bytes[1] != 3)
        return -EBADMSG;
    if (length < HEADER_SIZE)
        return -EAGAIN;
    size_t size = (size_t)(bytes[3] << 8 | bytes[4]);
    if (!(size >= least && size <= most))
        return -EBADMSG;
    return HEADER_SIZE + (int)size;
}

/* Lets GnuTLS have the next record once it is whole, so that nobody makes it keep
 * more than one. */
static int grant(struct tls *tls)
{
    size_t waiting = tls->input_end - tls->input_start;
    int size = measure_record(tls->input + tls->input_start, waiting, tls->open);

    if (size < 0)
        return size;
    if ((size_t)size > waiting)
        return -EAGAIN;
    tls->granted = (size_t)size;
    tls->in_hand = true;
    return 0;
}

static bool is_patience(int status)
{
    return status == GNUTLS_E_AGAIN || status == GNUTLS_E_INTERRUPTED;
}

static int give_up(struct tls *tls, int error)
{
    tls->keyring = NULL;
    tls->error = error;
    return error;
}

static int give_up_aloud(struct tls *tls, gnutls_alert_description_t alert, int error)
{
    (void)gnutls_alert_send(tls->session, GNUTLS_AL_FATAL, alert);
    return give_up(tls, error);
}

static int fail_handshake(struct tls *tls, int status)
{
    if (tls->asked && status == GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER)
        return give_up_aloud(tls, GNUTLS_A_DECRYPT_ERROR, tls->known ? -EKEYREJECTED : -ENOKEY);
    if (status != GNUTLS_E_FATAL_ALERT_RECEIVED)
        return give_up_aloud(tls, GNUTLS_A_HANDSHAKE_FAILURE, to_errno(status));
    bool refused = tls->caller && gnutls_alert_get(tls->session) == GNUTLS_A_DECRYPT_ERROR;
    return give_up(tls, refused ? -EKEYREJECTED : -EPROTO);
}

/* That the other end holds our key too, and that the keys of the connection are fresh. */
static bool is_as_agreed(const struct tls *tls)
{
    return gnutls_protocol_get_version(tls->session) == GNUTLS_TLS1_3 &&
           gnutls_auth_get_type(tls->session) == GNUTLS_CRD_PSK &&
           gnutls_kx_get(tls->session) == GNUTLS_KX_ECDHE_PSK && (tls->caller || tls->known);
}

int tls_handshake(struct tls *tls)
{
    if (tls->open || tls->error < 0)
        return tls->error;

    for (;;) {
        tls->asked = false;
        int status = gnutls_handshake(tls->session);
        if (status == GNUTLS_E_SUCCESS)
            break;
        if (!is_patience(status))
            return fail_handshake(tls, status);
        int error = grant(tls);
        if (error == -EAGAIN)
            return -EAGAIN;
        tls->opening += tls->granted;
        if (error < 0 || tls->opening > TLS_INPUT_MAX)
            return fail_handshake(tls, GNUTLS_E_UNEXPECTED_PACKET);
    }
    if (!is_as_agreed(tls))
        return fail_handshake(tls, GNUTLS_E_INSUFFICIENT_CREDENTIALS);
    tls->keyring = NULL;
    tls->in_hand = false;
    tls->open = true;
    return 0;
}

const char *tls_identity(const struct tls *tls)
{
    return tls->identity;
}

/* Keys renewed, or nothing at all: work without use, that only its rarity bounds. */
static bool is_too_often(struct tls *tls)
{
    if (!tls->in_hand)
        return false;
    if (tls->data_in_row < DATA_PER_OTHER)
        return true;
    tls->data_in_row = 0;
    tls->in_hand = false;
    return false;
}

ssize_t tls_open(struct tls *tls, uint8_t *plain, size_t size)
{
    assert(tls->open);
    if (tls->error < 0)
        return tls->error;

    for (;;) {
        ssize_t length = gnutls_record_recv(tls->session, plain, size);
        if (length >= 0) {
            tls->data_in_row += tls->in_hand;
            tls->in_hand = false;
            return length;
        }
        if (!is_patience((int)length) || is_too_often(tls))
            return give_up_aloud(tls, GNUTLS_A_BAD_RECORD_MAC, -EBADMSG);
        int error = grant(tls);
        if (error == -EAGAIN)
            return -EAGAIN;
        if (error < 0)
            return give_up_aloud(tls, GNUTLS_A_RECORD_OVERFLOW, error);
    }
}

int tls_seal(struct tls *tls, const uint8_t *plain, size_t length)
{
    assert(tls->open && !tls->closed);
    if (length < 1 || length > TLS_PLAIN_MAX)
        return -EMSGSIZE;
    if (tls->error < 0)
        return tls->error;
    /* Keys are renewed right before a record. */
    if (sizeof(tls->output) - tls->output_length <
        KEY_UPDATE_SIZE + HEADER_SIZE + length + RECORD_OVERHEAD)
        return -ENOBUFS;

    ssize_t sent = gnutls_record_send(tls->session, plain, length);
    if (sent != (ssize_t)length)
        return tls->error = sent == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EIO;
    return 0;
}

void tls_close(struct tls *tls)
{
    if (!tls->open || tls->closed || tls->error < 0 ||
        sizeof(tls->output) - tls->output_length < KEY_UPDATE_SIZE)
        return;
    (void)gnutls_bye(tls->session, GNUTLS_SHUT_WR);
    tls->closed = true;
}

const uint8_t *tls_output(const struct tls *tls, size_t *length)
{
    *length = tls->output_length;
    return tls->output;
}

void tls_sent(struct tls *tls, size_t length)
{
    assert(length <= tls->output_length);
    tls->output_length -= length;
    memmove(tls->output, tls->output + length, tls->output_length);
}
