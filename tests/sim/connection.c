/* SPDX-License-Identifier: BSD-2-Clause */
#include "connection.h"

#include <assert.h>
#include <stdlib.h>

#define CAPACITY_MIN 8

struct connection *connection_new(unsigned node)
{
    struct connection *connection = calloc(1, sizeof *connection);

    if (connection)
        connection->node = node;
    return connection;
}

void connection_free(struct connection *connection)
{
    free(connection->to[END_MASTER].items);
    free(connection->to[END_SLAVE].items);
    free(connection);
}

static bool grow(struct channel *channel)
{
    size_t capacity = channel->capacity ? 2 * channel->capacity : CAPACITY_MIN;
    struct item *items = calloc(capacity, sizeof *items);

    if (!items)
        return false;
    for (size_t i = 0; i < channel->count; i++)
        items[i] = channel->items[(channel->first + i) % channel->capacity];
    free(channel->items);
    channel->items = items;
    channel->first = 0;
    channel->capacity = capacity;
    return true;
}

struct item *channel_add(struct channel *channel)
{
    if (channel->count == channel->capacity && !grow(channel))
        return NULL;
    return &channel->items[(channel->first + channel->count++) % channel->capacity];
}

struct item *channel_arrive(struct channel *channel)
{
    assert(channel->arrived < channel->count);
    return &channel->items[(channel->first + channel->arrived++) % channel->capacity];
}

void channel_take(struct channel *channel, struct item *item)
{
    assert(channel->arrived > 0);
    *item = channel->items[channel->first];
    channel->first = (channel->first + 1) % channel->capacity;
    channel->count--;
    channel->arrived--;
}
