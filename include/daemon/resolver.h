/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resolver: one host name to its addresses, looked up on a thread of its own so
 * that the loop never waits for a name server.
 */
#ifndef BERKELEY_DAEMON_RESOLVER_H
#define BERKELEY_DAEMON_RESOLVER_H

#include <netdb.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct resolver;

/* The outcome, on the loop's thread: addresses, which are the callee's to give
 * to freeaddrinfo(), or NULL and why not, in words that last for the call. The
 * resolver is gone by then. */
typedef void (*resolver_done)(void *context, struct addrinfo *addresses, const char *why);

/* Begins to look up TCP addresses of a name or numeric address. done() comes
 * later, once, from the loop, unless cancelled before. 0 or -errno. */
int resolver_start(sd_event *loop, const char *host, uint16_t port, resolver_done done,
                   void *context, struct resolver **resolver);

/* done() is not called any more, even if the answer is there already. Does not
 * wait: the thread ends by itself and discards what it finds. NULL is allowed. */
void resolver_cancel(struct resolver *resolver);

#endif
