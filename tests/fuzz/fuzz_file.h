/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_file: text as a file of memory, for what libconfig reads by name. */
#ifndef BERKELEY_TESTS_FUZZ_FILE_H
#define BERKELEY_TESTS_FUZZ_FILE_H

#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#define FUZZ_PATH_SIZE 32

/* libconfig 1.5 loses the memory of a string that a syntax error follows, which happens once in
 * a start or reload of the daemon, but in most runs of a target: no leaks are looked for there. */
int __lsan_is_turned_off(void); /* NOLINT(bugprone-reserved-identifier) */
int __lsan_is_turned_off(void)  /* NOLINT(bugprone-reserved-identifier) */
{
    return 1;
}

struct fuzz_file {
    int fd;
    char path[FUZZ_PATH_SIZE];
};

static inline void fuzz_file_open(struct fuzz_file *file)
{
    file->fd = memfd_create("fuzz", MFD_CLOEXEC);
    must(file->fd >= 0);
    (void)snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
}

static inline void fuzz_file_write(const struct fuzz_file *file, const void *bytes, size_t size)
{
    must(ftruncate(file->fd, 0) == 0);
    must(pwrite(file->fd, bytes, size, 0) == (ssize_t)size);
}

#endif
