/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sealed: a TLS 1.3 client with a pre-shared key, made of GnuTLS itself and of none of the
 * daemon's code, that can do what no slave does.
 */
#ifndef BERKELEY_TESTS_SEALED_H
#define BERKELEY_TESTS_SEALED_H

#include "frames.h"

#define SEALED_HEARD_MAX 4096 /* bytes kept of what came back */

struct sealed;

/* Connected to 127.0.0.1; -1 if refused. */
int sealed_socket(uint16_t port);
/* On a connected socket, which is taken over. */
struct sealed *sealed_new(int fd, const struct secret_key *key);
/* Closes the connection as well, without a word. */
void sealed_close(struct sealed *sealed);
int sealed_fd(const struct sealed *sealed);

/* A step of the handshake: 0 when it is over, -EAGAIN, or -EPROTO. */
int sealed_step(struct sealed *sealed);
/* The whole of it; false: refused, or not over in that time. */
bool sealed_handshake(struct harness *harness, struct sealed *sealed, double seconds);
/* All of that to 127.0.0.1; NULL if refused. */
struct sealed *sealed_connect(struct harness *harness, uint16_t port, const struct secret_key *key);

/* The first bytes that the other end sent, as they came. */
const uint8_t *sealed_heard(const struct sealed *sealed, size_t *length);

/* One record (of at most 16384 bytes).  0, -EAGAIN: the other end does not read; -EPIPE. */
int sealed_send(struct sealed *sealed, const void *bytes, size_t length);
int sealed_say(struct sealed *sealed, const struct wire_frame *frame);
/* Other keys from here on, and the other end is asked for the same. 0, -EAGAIN or -EPIPE. */
int sealed_update(struct sealed *sealed);
/* Takes in what has arrived; nothing here waits. */
void sealed_hear(struct sealed *sealed, struct hearing *hearing);
/* When the last of it came, by the kernel's CLOCK_REALTIME; 0: never asked for. */
void sealed_ask_arrival(struct sealed *sealed);
int64_t sealed_arrival(const struct sealed *sealed);

/* The first flight of such a client: how many bytes. */
size_t sealed_hello(const struct secret_key *key, uint8_t *bytes, size_t size);

#endif
