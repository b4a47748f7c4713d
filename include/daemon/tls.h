/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls: one end of a TLS 1.3 connection with a pre-shared key (RFC 8446, psk_dhe_ke), bytes in
 * and bytes out.  It touches no socket, so that stamps are taken outside of it.
 *
 * Both ends prove that they hold the key; there are no certificates, no tickets, no early data
 * and no other version.  One record carries one frame.  Identities travel in the clear; a peer
 * that proves no key costs no public-key operation, but one that repeats a ClientHello it heard
 * does.  About 19 KB of heap each.
 */
#ifndef BERKELEY_DAEMON_TLS_H
#define BERKELEY_DAEMON_TLS_H

#include "daemon/keyring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TLS_PLAIN_MAX 256   /* of one tls_seal(): a frame */
#define TLS_INPUT_MAX 4096  /* not yet taken in: a flight of a handshake, or a few records */
#define TLS_OUTPUT_MAX 4096 /* not yet sent */

struct tls;

/* The end that waits: any key of the keyring will do.  keyring is borrowed until the
 * handshake is over or has failed. 0 or -errno; -EPROTONOSUPPORT: this system's policy for GnuTLS
 * forbids what is needed (it can add nothing). */
int tls_accept(const struct keyring *keyring, struct tls **tls);
/* The end that calls, with this one key (copied). 0 or -errno, as above. */
int tls_call(const struct key *key, struct tls **tls);
/* Wipes. NULL is allowed. */
void tls_free(struct tls *tls);

/* What came from the other end.  0; -ENOBUFS: more than TLS_INPUT_MAX would wait, nothing
 * was taken. */
int tls_feed(struct tls *tls, const uint8_t *bytes, size_t length);

/* Goes on with the handshake: 0 when it is over; -EAGAIN: send the output, feed more; or how it
 * failed, an alert in the output unless the other end said it: -ENOKEY (accept: identity not in the
 * keyring), -EKEYREJECTED (accept: the key of that identity is another; call: the other end refused
 * this one), -EPROTO (not this TLS, not TLS at all, or more than TLS_INPUT_MAX bytes of it),
 * -ENOMEM.  Whatever is wrong with a key, the alert is the same and takes as long. */
int tls_handshake(struct tls *tls);

/* The identity of the key agreed upon; after -ENOKEY or -EKEYREJECTED the one that was asked for;
 * "" if none, or what could be none: it is always printable. */
const char *tls_identity(const struct tls *tls);

/* The next plain bytes of what was fed: how many; 0: the other end said it is over; -EAGAIN: none
 * for now; -EBADMSG, from then on and with an alert in the output: no record of this connection, a
 * longer one than a frame needs, or anything but data (its keys may be renewed after 1000 records).
 * After the handshake only. */
ssize_t tls_open(struct tls *tls, uint8_t *plain, size_t size);

/* Appends one record with these bytes to the output, 22 bytes longer than they; every 2^24 records
 * GnuTLS puts one before it that renews the keys. 0; -ENOBUFS: no room, nothing appended;
 * -EMSGSIZE; or -errno, after which the connection is of no more use. After the handshake and
 * before tls_close() only. */
int tls_seal(struct tls *tls, const uint8_t *plain, size_t length);

/* Appends the word that it is over (close_notify) if there is room. */
void tls_close(struct tls *tls);

/* What has to be sent next, and that the first `length` bytes of it were. */
const uint8_t *tls_output(const struct tls *tls, size_t *length);
void tls_sent(struct tls *tls, size_t length);

#endif
