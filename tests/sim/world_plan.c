/* SPDX-License-Identifier: BSD-2-Clause */
#include "world_state.h"

static void push(struct world *world, struct happening happening)
{
    world->lost |= heap_push(&world->heap, happening) < 0;
}

void world_plan(struct world *world, int64_t at_ns, enum happening_kind kind, unsigned index,
                uint32_t generation)
{
    push(world, (struct happening){.at_ns = at_ns,
                                   .kind = (uint8_t)kind,
                                   .index = (uint16_t)index,
                                   .generation = generation});
}

void world_plan_departure(struct world *world, int64_t at_ns, struct connection *connection,
                          int end, uint8_t type, uint32_t sequence)
{
    connection->pending++;
    push(world, (struct happening){.at_ns = at_ns,
                                   .kind = HAPPENS_DEPARTURE,
                                   .index = type,
                                   .generation = sequence,
                                   .connection = connection,
                                   .end = (uint8_t)end});
}

void world_plan_end(struct world *world, int64_t at_ns, enum happening_kind kind,
                    struct connection *connection, int end)
{
    connection->pending++;
    push(world, (struct happening){.at_ns = at_ns,
                                   .kind = (uint8_t)kind,
                                   .index = (uint16_t)connection->node,
                                   .connection = connection,
                                   .end = (uint8_t)end});
}
