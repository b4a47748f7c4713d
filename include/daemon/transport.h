/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport: TCP connections that carry frames, on an sd-event loop.
 *
 * A peer is a slot number, dense, below max_peers as it was when the peer came; a
 * slot is used again only after down() was called for it or transport_close() was.
 * Nothing a peer does costs more than its own bounded buffers and a bounded
 * share of each turn of the loop.
 */
#ifndef BERKELEY_DAEMON_TRANSPORT_H
#define BERKELEY_DAEMON_TRANSPORT_H

#include "core/wire.h"
#include "daemon/guard.h"
#include "daemon/keyring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#define TRANSPORT_ADDRESS_SIZE 64

/* Upcalls.  `arrived` is the kernel's stamp of the frame's arrival, or was read right after
 * the bytes came out of the socket; source tells.
 * A callee may call any transport function, transport_close() of that very peer
 * and transport_free() included; stamp() and convert() may not. */
struct transport_handler {
    /* "192.0.2.7 port 40112"; owner: the machine that the key agreed upon is bound to, or "". With
     * a keyring nothing is called for a peer, no clock is read either, before it proved its key. */
    void (*up)(void *context, uint32_t peer, const char *address, const char *owner);
    /* error: 0 = closed by the other end, -EBADMSG = sent what is no frame, -EBUSY = sent too
     * many, -EKEYREVOKED = its key is not in the new keyring, -ENOKEY = it speaks TLS and there is
     * no key here, -ECANCELED = transport_connect() to elsewhere, or what the connection failed
     * with. */
    void (*down)(void *context, uint32_t peer, int error);
    void (*frame)(void *context, uint32_t peer, const uint8_t *bytes, size_t length,
                  const struct reading *arrived, enum stamp_source source);
    /* A better word on when a stamped frame left: the kernel's, or our own from after it was
     * encrypted.  From the loop or transport_collect(), once or never. */
    void (*stamped)(void *context, uint32_t peer, uint8_t type, uint32_t sequence, int64_t raw_ns);
    /* Slave only: could not connect; the next attempt is in retry_ns. what: a sentence part
     * like "time1 (192.0.2.7 port 5525): Connection refused". */
    void (*unreachable)(void *context, const char *what, int64_t retry_ns);
    void (*stamp)(void *context, struct reading *reading); /* reads this machine's clock */
    /* What it read when the kernel stamped with the host's CLOCK_REALTIME real_ns: 0 or
     * -errno.  NULL: the kernel is asked for no stamps. */
    int (*convert)(void *context, int64_t real_ns, struct reading *reading);
    void *context;
};

struct transport;

struct transport_limits {
    uint32_t max_peers;         /* connections at a time */
    unsigned frames_per_second; /* of one peer, sustained; twice that in a burst; else dropped */
    bool loopback_only;         /* refuse to listen on, accept from or connect to anything else */
    uint32_t handshakes;        /* under way at a time; 0: 64 */
    int64_t handshake_time_ns;  /* for one; 0: 5 s */
    size_t buffer;              /* of a socket, each way, bytes; 0: 32 KiB */
    const struct guard_rules *rules; /* copied; NULL: everybody, however often */
};

/* What happened so far; they only grow. */
struct transport_counters {
    uint64_t accepted;            /* connections that were not refused at once */
    uint64_t refused_loopback, refused_denied, refused_often, refused_full, refused_handshakes;
    uint64_t handshakes_done, handshakes_failed, handshakes_late;
    uint64_t unknown_keys, wrong_keys; /* of those failed */
    uint64_t frames_in, frames_out, frames_unsent; /* unsent: the peer did not read */
    uint64_t floods, garbled;     /* connections dropped for it */
    uint64_t revoked;
};

/* 0 or -errno; -EINVAL for a limit of 0.  The loop is referenced. */
int transport_new(sd_event *loop, const struct transport_handler *handler,
                  const struct transport_limits *limits, struct transport **transport);
void transport_free(struct transport *transport);

/* Listens on a numeric IPv4 or IPv6 address ("0.0.0.0", "::", "fe80::1%eth0");
 * IPv6 sockets are V6ONLY, so both may be named.  0 or -errno (-EADDRINUSE,
 * -EACCES, -EPERM for a non-loopback address when
 * loopback_only, -EINVAL for a name).  Port 0: any free one. */
int transport_listen(struct transport *transport, const char *address, uint16_t port);

/* The port of the last transport_listen() that succeeded; 0 if none did. */
uint16_t transport_port(const struct transport *transport);

/* Keeps one connection to the host, for as long as the transport lives:
 * resolves the name (again before every attempt, without blocking the loop),
 * tries its addresses in turn, and after a failure or loss waits from
 * retry_min to retry_max ns, doubling, with +-25 % jitter.  A connection that
 * lasted 10 s starts the waits over. Calling it again with another host or port
 * drops the connection (with down()) and starts afresh, else only the waits
 * change. 0 or -errno; -EINVAL for an empty host, port 0, or waits that are not
 * 0 < min <= max; -ENOKEY: a keyring, and no key in it that this machine may use. */
int transport_connect(struct transport *transport, const char *host, uint16_t port,
                      int64_t retry_min_ns, int64_t retry_max_ns);

/* Writes one frame now; never queues more than the rest of a frame already
 * begun.  If `stamped`, reads the clock right before and puts the reading in
 * with wire_stamp(); *sent_raw_ns tells it.  0; -EAGAIN if the peer does not
 * read (the frame is dropped whole); -ENOTCONN for an unused slot; other -errno
 * if the connection broke (down() follows from the loop). */
int transport_send(struct transport *transport, uint32_t peer, const uint8_t *bytes, size_t length,
                   bool stamped, int64_t *sent_raw_ns);

/* Tells by stamped() what the kernel knows already, as it does of most frames right after
 * transport_send(), so that the loop need not turn for it. */
void transport_collect(struct transport *transport, uint32_t peer);

/* Closes after what was written; down() does not follow. */
void transport_close(struct transport *transport, uint32_t peer);

/* Changes the limits in force for new connections. */
void transport_limit(struct transport *transport, const struct transport_limits *limits);

/* From now on every connection needs a key of this ring, which is taken over; NULL: none does.
 * name: this machine's, for the keys that only one may use.  Connections whose key is no more
 * are dropped, with down(); an outgoing one also if another key now comes first.  Handshakes
 * under way start over.  -ENOKEY, and all stays as it was: no key a machine of this name may use
 * (outgoing connections). */
int transport_secure(struct transport *transport, struct keyring *keyring, const char *name);

/* True if one of the keys is for the machine of this name only. */
bool transport_binds(const struct transport *transport, const char *name);

void transport_count(const struct transport *transport, struct transport_counters *counters);

/* True if the text is a numeric loopback address (127.0.0.0/8, ::1). */
bool transport_is_loopback(const char *address);

#endif
