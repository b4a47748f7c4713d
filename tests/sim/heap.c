/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap.h"

#include <errno.h>
#include <stdlib.h>

#define CAPACITY_MIN 64

static bool before(const struct happening *a, const struct happening *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

int heap_push(struct heap *heap, struct happening happening)
{
    size_t at = heap->count;

    if (heap->count == heap->capacity) {
        size_t capacity = heap->capacity ? 2 * heap->capacity : CAPACITY_MIN;
        struct happening *items = reallocarray(heap->items, capacity, sizeof *items);

        if (!items)
            return -ENOMEM;
        heap->items = items;
        heap->capacity = capacity;
    }
    heap->count++;
    happening.order = heap->order++;
    for (; at > 0 && before(&happening, &heap->items[(at - 1) / 2]); at = (at - 1) / 2)
        heap->items[at] = heap->items[(at - 1) / 2];
    heap->items[at] = happening;
    return 0;
}

bool heap_pop(struct heap *heap, struct happening *happening)
{
    size_t at = 0, child;
    struct happening last;

    if (heap->count == 0)
        return false;
    *happening = heap->items[0];
    last = heap->items[--heap->count];
    for (; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count && before(&heap->items[child + 1], &heap->items[child]))
            child++;
        if (!before(&heap->items[child], &last))
            break;
        heap->items[at] = heap->items[child];
    }
    heap->items[at] = last;
    return true;
}

int64_t heap_next_ns(const struct heap *heap)
{
    return heap->count ? heap->items[0].at_ns : INT64_MAX;
}

void heap_free(struct heap *heap)
{
    free(heap->items);
    *heap = (struct heap){0};
}
