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

#include "core/timestamp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#define TRANSPORT_ADDRESS_SIZE 64

/* Upcalls.  `arrived` was read right after the bytes came out of the socket.
 * A callee may call any transport function, transport_close() of that very peer
 * and transport_free() included; stamp() may not. */
struct transport_handler {
    void (*up)(void *context, uint32_t peer, const char *address); /* "192.0.2.7 port 40112" */
    /* error: 0 = closed by the other end, -EBADMSG = sent what is no frame, -EBUSY = sent too
     * many, -ECANCELED = transport_connect() to elsewhere, or what the connection failed with. */
    void (*down)(void *context, uint32_t peer, int error);
    void (*frame)(void *context, uint32_t peer, const uint8_t *bytes, size_t length,
                  const struct reading *arrived);
    /* Slave only: could not connect; the next attempt is in retry_ns. what: a sentence part
     * like "time1 (192.0.2.7 port 5525): Connection refused". */
    void (*unreachable)(void *context, const char *what, int64_t retry_ns);
    void (*stamp)(void *context, struct reading *reading); /* reads this machine's clock */
    void *context;
};

struct transport;

struct transport_limits {
    uint32_t max_peers;         /* connections at a time */
    unsigned frames_per_second; /* of one peer, sustained; twice that in a burst; else dropped */
    bool loopback_only;         /* refuse to listen on, accept from or connect to anything else */
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
 * 0 < min <= max. */
int transport_connect(struct transport *transport, const char *host, uint16_t port,
                      int64_t retry_min_ns, int64_t retry_max_ns);

/* Writes one frame now; never queues more than the rest of a frame already
 * begun.  If `stamped`, reads the clock right before and puts the reading in
 * with wire_stamp(); *sent_raw_ns tells it.  0; -EAGAIN if the peer does not
 * read (the frame is dropped whole); -ENOTCONN for an unused slot; other -errno
 * if the connection broke (down() follows from the loop). */
int transport_send(struct transport *transport, uint32_t peer, const uint8_t *bytes, size_t length,
                   bool stamped, int64_t *sent_raw_ns);

/* Closes after what was written; down() does not follow. */
void transport_close(struct transport *transport, uint32_t peer);

/* Changes the limits in force for new connections. */
void transport_limit(struct transport *transport, const struct transport_limits *limits);

/* True if the text is a numeric loopback address (127.0.0.0/8, ::1). */
bool transport_is_loopback(const char *address);

#endif
