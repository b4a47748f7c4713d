/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * connection: what is under way between a slave and the master, in order, each
 * way.  An item is written at one end, arrives (and gets its stamp) at the
 * other, and is read by the daemon there a moment later.
 */
#ifndef BERKELEY_SIM_CONNECTION_H
#define BERKELEY_SIM_CONNECTION_H

#include "core/machine.h"

#define END_MASTER 0
#define END_SLAVE 1

enum item_kind { ITEM_UP, ITEM_FRAME, ITEM_CLOSE };

struct item {
    enum item_kind kind;
    enum stamp_source source;
    struct reading arrived;
    size_t length;
    uint8_t bytes[WIRE_FRAME_MAX];
};

/* To one end. */
struct channel {
    struct item *items; /* a ring */
    size_t first, arrived, count, capacity;
    int64_t last_ns;    /* when the last item comes */
    int64_t left_ns;    /* when the last frame left the other end */
    bool timed_out;     /* the other end will learn that nothing gets through */
};

struct connection {
    struct connection *next, *previous;
    unsigned node;     /* the slave's */
    uint32_t slot;     /* at the master */
    unsigned pending;  /* happenings that name it */
    bool open[2];
    int64_t since_ns;  /* at the slave's end */
    struct channel to[2];
};

struct connection *connection_new(unsigned node);
void connection_free(struct connection *connection);

/* An empty item at the end of what goes to `end`; NULL when out of memory. */
struct item *channel_add(struct channel *channel);
/* The next that has not arrived yet, which it has now. */
struct item *channel_arrive(struct channel *channel);
/* The oldest that has arrived, into *item, taken out. */
void channel_take(struct channel *channel, struct item *item);

#endif
