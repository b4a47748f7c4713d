/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netns: two machines' networks, joined by a cable, on which somebody listens.
 *
 * They have no names, so that they are gone when the last process in them is, whatever
 * happens.  They take root, or a kernel that lets users have namespaces; without that the test
 * program ends with a message.
 */
#ifndef BERKELEY_TESTS_NETNS_H
#define BERKELEY_TESTS_NETNS_H

#include "harness.h"

#define NETNS_NEAR "192.0.2.1"
#define NETNS_FAR "192.0.2.2"

struct netns;

/* This program is in the near one when it returns, and listens from now on. */
struct netns *netns_new(struct harness *harness);
/* Where processes started from now on will be, and connections come from. */
void netns_enter_near(struct netns *netns);
void netns_enter_far(struct netns *netns);

/* What one end of a connection sent to the other. */
struct netns_stream {
    uint32_t from, to; /* addresses */
    uint16_t from_port, to_port;
    uint32_t first; /* sequence number of the first byte */
    uint8_t *bytes;
    size_t length;
};

/* NULL beyond the last; ends the program if anything was missed. */
const struct netns_stream *netns_stream(struct netns *netns, size_t n);

#endif
