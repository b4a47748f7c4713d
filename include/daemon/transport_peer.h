/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport_peer: what the source files of the transport share.  Nobody else
 * includes this.
 */
#ifndef BERKELEY_DAEMON_TRANSPORT_PEER_H
#define BERKELEY_DAEMON_TRANSPORT_PEER_H

#include "daemon/tls.h"
#include "daemon/transport.h"

#include <sys/socket.h>
#include <unistd.h>

#define TRANSPORT_NO_PEER UINT32_MAX

/* What waits is served in this order, so that no crowd at the door delays anybody inside. */
#define TRANSPORT_PRIORITY_PEER SD_EVENT_PRIORITY_NORMAL
#define TRANSPORT_PRIORITY_HANDSHAKE (SD_EVENT_PRIORITY_NORMAL + 20)
#define TRANSPORT_PRIORITY_LISTENER (SD_EVENT_PRIORITY_NORMAL + 40)

struct peer;
struct listener;
struct connector;
struct handshake;

struct transport {
    unsigned refs; /* the owner's, and one for each accept loop or upcall under way */
    bool closed;   /* freed by its owner during an upcall */
    sd_event *loop;
    struct transport_handler handler;
    struct transport_limits limits; /* rules: NULL, they are in the guard */
    struct transport_counters counters;
    struct guard *guard;
    struct keyring *keyring; /* NULL: nobody needs a key */
    char name[KEYRING_NAME_SIZE];
    struct peer **peers; /* by slot; NULL: unused */
    uint32_t slots;      /* allocated */
    uint32_t connected;
    struct listener *listeners;
    struct connector *connector;
    struct handshake *handshakes; /* of those who came, the oldest first */
    uint32_t handshaking;
    unsigned refused; /* since the last line about it */
    uint64_t refused_said_us;
};

/* A connection that stands. */
struct transport_link {
    int fd;
    struct tls *tls;  /* NULL: in clear */
    uint32_t written; /* bytes to the socket so far */
    char address[TRANSPORT_ADDRESS_SIZE];
};

static inline void transport_close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* For what may free the transport while it is in use:
 *   __attribute__((cleanup(transport_unrefp))) struct transport *held = transport_ref(transport); */
struct transport *transport_ref(struct transport *transport);
void transport_unrefp(struct transport **transport);

/* The loop's idea of CLOCK_MONOTONIC. */
uint64_t transport_now_us(const struct transport *transport);

/* Options of every connection, and of listening sockets, which hand the buffer
 * sizes down. 0 or -errno. */
int transport_prepare_socket(const struct transport *transport, int fd);

bool transport_sockaddr_is_loopback(const struct sockaddr *address);

/* "192.0.2.7 port 5525" */
void transport_print_address(const struct sockaddr *address, socklen_t size,
                             char text[TRANSPORT_ADDRESS_SIZE]);

/* Unread input would make close() reset the connection, and the reset could
 * destroy what was written but has not arrived yet. */
void transport_drain(int fd);

/* Says that somebody was turned away: one line a minute, however many knock. */
void transport_refuse(struct transport *transport, const char *address, const char *why);

void listeners_free(struct transport *transport);

/* Who came and has proved its key (or needs none): takes the link over, calls up(). */
void transport_admit(struct transport *transport, struct transport_link *link);

/* Takes the link over if it succeeds; the caller then calls peer_greet().  0, or -errno:
 * -EUSERS if max_peers are connected. */
int peer_open(struct transport *transport, bool outgoing, const struct transport_link *link,
              uint32_t *slot);
/* Calls up(), and reads what came with the end of the handshake. */
void peer_greet(struct transport *transport, uint32_t slot);

/* Closes and calls down(); the transport may be gone after that. */
void peer_drop(struct transport *transport, uint32_t slot, int error);

/* Whose key, or address, is not wanted any more. The transport may be gone after that. */
void peers_revoke(struct transport *transport, const struct keyring *before);
void peers_review(struct transport *transport);

/* The connection in this slot is gone; ignored if it is not the connector's. NULL is allowed. */
void connector_lost(struct connector *connector, uint32_t slot);
/* 0, or -ENOKEY: this ring holds no key that a machine of this name may call with. */
int connector_accepts(const struct transport *transport, const struct keyring *keyring,
                      const char *name);
/* True if another key than this one comes first now, and did not before. */
bool connector_should_switch(const struct transport *transport, const struct keyring *before,
                             const char *identity);
/* The keys are others: what is under way, or waiting, starts over at once. NULL is allowed. */
void connector_restart(struct connector *connector);
void connector_free(struct connector *connector);

#endif
