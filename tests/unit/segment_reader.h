/* SPDX-License-Identifier: BSD-2-Clause */
/* A reader of the segment written from the published layout alone: it knows neither the writer's
 * header nor the public one. */
#ifndef BERKELEY_TESTS_SEGMENT_READER_H
#define BERKELEY_TESTS_SEGMENT_READER_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEGMENT_SIZE 80

struct reader_fields {
    int64_t as_of_s, as_of_ns;
    int64_t void_after_s, void_after_ns;
    int64_t bound_ns;
    uint64_t disruption_marker;
    uint32_t max_drift_ppb;
    int32_t status;
    uint8_t disruption_support;
    uint8_t padding[7];
};

_Static_assert(sizeof(struct reader_fields) == SEGMENT_SIZE - 16, "as published");

static inline unsigned char *reader_map(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *memory = mmap(NULL, SEGMENT_SIZE, PROT_READ, MAP_SHARED, fd, 0);

    (void)close(fd);
    return memory == MAP_FAILED ? NULL : (unsigned char *)memory;
}

static inline uint16_t reader_generation(const unsigned char *view)
{
    return __atomic_load_n((const uint16_t *)(const void *)(view + 14), __ATOMIC_ACQUIRE);
}

static inline void reader_copy(const unsigned char *view, struct reader_fields *fields)
{
    uint64_t words[(SEGMENT_SIZE - 16) / 8];

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        words[i] = __atomic_load_n((const uint64_t *)(const void *)(view + 16 + 8 * i),
                                   __ATOMIC_ACQUIRE);
    memcpy(fields, words, sizeof *fields);
}

/* One try. */
static inline bool reader_read(const unsigned char *view, struct reader_fields *fields)
{
    const uint16_t generation = reader_generation(view);

    if (generation == 0 || generation % 2 != 0)
        return false;
    reader_copy(view, fields);
    return reader_generation(view) == generation;
}

#endif
