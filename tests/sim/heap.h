/* SPDX-License-Identifier: BSD-2-Clause */
/* heap: what happens when, the earliest first; of the same instant, what was
 * planned first. */
#ifndef BERKELEY_SIM_HEAP_H
#define BERKELEY_SIM_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;

enum happening_kind {
    HAPPENS_GRID,    /* truth looks */
    HAPPENS_FATE,    /* the scenario's event `index` */
    HAPPENS_RELIEF,  /* ... of limited length, is over */
    HAPPENS_START,   /* a node's daemon starts */
    HAPPENS_TICK,    /* its timer, once a second */
    HAPPENS_LOOK,    /* its clock was set: the timerfd says so */
    HAPPENS_WAKE,    /* the master's timer */
    HAPPENS_CONNECT, /* a slave tries to */
    HAPPENS_LINKED,  /* ... and succeeds */
    HAPPENS_ARRIVAL, /* the next thing on a connection reaches `end` */
    HAPPENS_HANDLING, /* ... and is read by the daemon there */
    HAPPENS_DEPARTURE, /* a stamp that is told later: frame number `generation` leaves `end` */
    HAPPENS_TIMEOUT, /* TCP gives up at `end` */
};

struct happening {
    int64_t at_ns;
    uint64_t order;
    struct connection *connection;
    uint32_t generation; /* of the node's daemon, or of its timer; else 0 */
    uint16_t index;      /* node, scenario's event, or a frame's type */
    uint8_t kind;        /* enum happening_kind */
    uint8_t end;
};

struct heap {
    struct happening *items;
    size_t count, capacity;
    uint64_t order;
};

/* Fills in `order`.  0 or -ENOMEM. */
int heap_push(struct heap *heap, struct happening happening);
/* False if there is none. */
bool heap_pop(struct heap *heap, struct happening *happening);
/* INT64_MAX if there is none. */
int64_t heap_next_ns(const struct heap *heap);
void heap_free(struct heap *heap);

#endif
