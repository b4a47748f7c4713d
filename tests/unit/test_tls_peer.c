/* SPDX-License-Identifier: BSD-2-Clause */
/* What holders of a key may cost us who speak GnuTLS, but not as we do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tls_pair.h"

#define DATA_BETWEEN 1000

struct peer {
    struct keyring *keyring;
    struct foreigner foreigner;
    struct tls *tls;
};

/* GnuTLS keeps the foreigner's address. */
static void peer_open(struct peer *peer)
{
    peer->keyring = pair_keyring();
    const struct key *key = keyring_at(peer->keyring, 0);
    gnutls_datum_t name = {.data = (unsigned char *)key->identity, .size = 3};
    int theirs;

    assert_int_equal(tls_accept(peer->keyring, &peer->tls), 0);
    foreigner_new(&peer->foreigner, peer->tls, GNUTLS_CLIENT,
                  "NORMAL:-VERS-ALL:+VERS-TLS1.3:+ECDHE-PSK", &name, key->secret);
    assert_int_equal(foreigner_shake(&peer->foreigner, &theirs), 0);
    assert_int_equal(theirs, 0);
}

static void peer_free(struct peer *peer)
{
    foreigner_free(&peer->foreigner);
    tls_free(peer->tls);
    keyring_free(peer->keyring);
}

static ssize_t hear(struct peer *peer)
{
    uint8_t plain[TLS_PLAIN_MAX];

    return tls_open(peer->tls, plain, sizeof(plain));
}

static void say(struct peer *peer, size_t length)
{
    static const uint8_t PLAIN[2 * TLS_PLAIN_MAX];

    assert_int_equal(gnutls_record_send(peer->foreigner.session, PLAIN, length), length);
}

static void records_of_a_frame_at_most_are_taken(void **state)
{
    struct peer peer;

    (void)state;
    peer_open(&peer);
    say(&peer, TLS_PLAIN_MAX);
    assert_int_equal(hear(&peer), TLS_PLAIN_MAX);
    say(&peer, TLS_PLAIN_MAX + 1);
    assert_int_equal(hear(&peer), -EBADMSG);
    peer_free(&peer);
}

static void keys_may_be_renewed_now_and_then(void **state)
{
    struct peer peer;
    uint8_t plain[TLS_PLAIN_MAX] = {0};
    size_t before, after;

    (void)state;
    peer_open(&peer);
    for (int round = 0; round < 2; round++) {
        for (int frame = 0; frame < DATA_BETWEEN; frame++) {
            say(&peer, 150);
            assert_int_equal(hear(&peer), 150);
        }
        assert_int_equal(gnutls_session_key_update(peer.foreigner.session, GNUTLS_KU_PEER), 0);
        assert_int_equal(hear(&peer), -EAGAIN);

        /* It asked for new ones of ours as well: these come before the next record. */
        (void)tls_output(peer.tls, &before);
        assert_int_equal(tls_seal(peer.tls, plain, 150), 0);
        (void)tls_output(peer.tls, &after);
        assert_true(after - before > 2 * 22 + 150);
        assert_int_equal(gnutls_record_recv(peer.foreigner.session, plain, sizeof(plain)),
                         GNUTLS_E_AGAIN);
        assert_int_equal(gnutls_record_recv(peer.foreigner.session, plain, sizeof(plain)), 150);
    }
    assert_int_equal(gnutls_session_key_update(peer.foreigner.session, 0), 0);
    assert_int_equal(hear(&peer), -EBADMSG);
    peer_free(&peer);
}

static void keys_are_not_renewed_at_will(void **state)
{
    struct peer peer;

    (void)state;
    peer_open(&peer);
    for (int frame = 0; frame < DATA_BETWEEN - 1; frame++) {
        say(&peer, 1);
        assert_int_equal(hear(&peer), 1);
    }
    assert_int_equal(gnutls_session_key_update(peer.foreigner.session, 0), 0);
    assert_int_equal(hear(&peer), -EBADMSG);
    peer_free(&peer);
}

/* 0 bytes and some padding. */
static void records_of_nothing_are_refused(void **state)
{
    struct peer peer;

    (void)state;
    peer_open(&peer);
    assert_int_equal(gnutls_record_send2(peer.foreigner.session, "", 0, 20, 0), 0);
    assert_int_equal(hear(&peer), -EBADMSG);
    peer_free(&peer);
}

static void an_alert_is_no_frame(void **state)
{
    static const gnutls_alert_level_t LEVELS[] = {GNUTLS_AL_WARNING, GNUTLS_AL_FATAL};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct peer peer;
        peer_open(&peer);
        assert_int_equal(
            gnutls_alert_send(peer.foreigner.session, LEVELS[i], GNUTLS_A_USER_CANCELED), 0);
        assert_int_equal(hear(&peer), -EBADMSG);
        peer_free(&peer);
    }
}

static void plain_alerts_do_not_end_a_connection_in_peace(void **state)
{
    static const uint8_t CLOSE_NOTIFY[] = {0x15, 3, 3, 0, 2, 1, 0};
    struct peer peer;

    (void)state;
    peer_open(&peer);
    assert_int_equal(tls_feed(peer.tls, CLOSE_NOTIFY, sizeof(CLOSE_NOTIFY)), 0);
    assert_int_equal(hear(&peer), -EBADMSG);
    peer_free(&peer);
}

static void no_ticket_is_offered(void **state)
{
    struct peer peer;
    size_t length;

    (void)state;
    peer_open(&peer);
    (void)tls_output(peer.tls, &length);
    assert_int_equal(length, 0);
    assert_int_equal(
        gnutls_session_get_flags(peer.foreigner.session) & GNUTLS_SFLAGS_SESSION_TICKET, 0);
    assert_int_equal(gnutls_kx_get(peer.foreigner.session), GNUTLS_KX_ECDHE_PSK);
    assert_int_equal(gnutls_protocol_get_version(peer.foreigner.session), GNUTLS_TLS1_3);
    peer_free(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_a_frame_at_most_are_taken),
        cmocka_unit_test(keys_may_be_renewed_now_and_then),
        cmocka_unit_test(keys_are_not_renewed_at_will),
        cmocka_unit_test(records_of_nothing_are_refused),
        cmocka_unit_test(an_alert_is_no_frame),
        cmocka_unit_test(plain_alerts_do_not_end_a_connection_in_peace),
        cmocka_unit_test(no_ticket_is_offered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
