/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport_handshake: a connection until both ends have proved their key.  Part of the
 * transport: nobody else includes this.
 */
#ifndef BERKELEY_DAEMON_TRANSPORT_HANDSHAKE_H
#define BERKELEY_DAEMON_TRANSPORT_HANDSHAKE_H

#include "daemon/transport_peer.h"

/* error 0: the link is the callee's to keep, fd and tls too; else how it failed (see
 * tls_handshake(); -ETIMEDOUT, -ECONNRESET, -ECANCELED), and why for people.  The handshake is gone
 * when this is called. */
typedef void handshake_done(void *context, struct transport_link *link, int error,
                            const char *why);

/* Takes over the socket of somebody who came; transport_admit() or transport_refuse() follows.  The
 * oldest handshake makes room if it has had a second, or if its address has more of them under way
 * than this one would.  0 or -errno, -EUSERS: too many under way. */
int handshake_accept(struct transport *transport, int fd, const char *address);

/* Takes over an outgoing socket, connected.  Its owner keeps the time. 0 or -errno. */
int handshake_call(struct transport *transport, int fd, const char *address, const struct key *key,
                   handshake_done *done, void *context, struct handshake **handshake);

/* Closes without a word; done() is not called. NULL is allowed. */
void handshake_free(struct handshake *handshake);

/* All of those who came. */
void handshakes_drop(struct transport *transport);

#endif
