/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport_peer: what the source files of the transport share.  Nobody else
 * includes this.
 */
#ifndef BERKELEY_DAEMON_TRANSPORT_PEER_H
#define BERKELEY_DAEMON_TRANSPORT_PEER_H

#include "daemon/transport.h"

#include <sys/socket.h>
#include <unistd.h>

#define TRANSPORT_NO_PEER UINT32_MAX

struct peer;
struct listener;
struct connector;

struct transport {
    unsigned refs; /* the owner's, and one for each accept loop under way */
    bool closed;   /* freed by its owner during an upcall */
    sd_event *loop;
    struct transport_handler handler;
    struct transport_limits limits;
    struct peer **peers; /* by slot; NULL: unused */
    uint32_t slots;      /* allocated */
    uint32_t connected;
    struct listener *listeners;
    struct connector *connector;
    unsigned refused; /* since the last line about it */
    uint64_t refused_said_us;
};

static inline void transport_close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* The loop's idea of CLOCK_MONOTONIC. */
uint64_t transport_now_us(const struct transport *transport);

/* Options of every connection, and of listening sockets, which hand the buffer
 * sizes down. 0 or -errno. */
int transport_prepare_socket(int fd);

bool transport_sockaddr_is_loopback(const struct sockaddr *address);

/* "192.0.2.7 port 5525" */
void transport_print_address(const struct sockaddr *address, socklen_t size,
                             char text[TRANSPORT_ADDRESS_SIZE]);

/* Takes over a connected socket if it succeeds; the caller then calls up().  0, or -errno:
 * -EUSERS if max_peers are connected. */
int peer_open(struct transport *transport, int fd, bool outgoing, const char *address,
              uint32_t *slot);

/* Closes and calls down(); the transport may be gone after that. */
void peer_drop(struct transport *transport, uint32_t slot, int error);

/* The connection in this slot is gone; ignored if it is not the connector's. NULL is allowed. */
void connector_lost(struct connector *connector, uint32_t slot);
void connector_free(struct connector *connector);

#endif
