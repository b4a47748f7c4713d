/* SPDX-License-Identifier: BSD-2-Clause */
/* harness_part: what the files of the harness share among themselves. */
#ifndef BERKELEY_TESTS_HARNESS_PART_H
#define BERKELEY_TESTS_HARNESS_PART_H

#include "harness.h"

/* First member of everything a harness owns. */
struct harness_part {
    struct harness_part *next;
    void (*pump)(struct harness_part *part); /* takes in what arrived; may be NULL */
    void (*ask)(struct harness_part *part);  /* asks it to end; may be NULL */
    bool (*end)(struct harness_part *part);  /* waits for that; was all well? may be NULL */
    void (*release)(struct harness_part *part);
};

/* In the end all are asked, then all ended, then all released. */
void harness_adopt(struct harness *harness, struct harness_part *part);

_Noreturn void harness_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* calloc and realloc that do not fail. */
void *harness_alloc(size_t size);
void *harness_resize(void *memory, size_t size);

/* The value of the variable, else `relative` in the build directory. */
const char *harness_built(struct harness *harness, const char *variable, const char *relative);

/* A bound datagram socket in the directory. */
int harness_socket(const char *path);

const char *notify_path(const struct notify *notify);
const char *journald_path(const struct journald *journald);

#endif
