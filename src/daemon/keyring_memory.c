/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/keyring_memory.h"

#include <string.h>
#include <sys/mman.h>

void *keyring_memory_new(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
    (void)madvise(memory, size, MADV_DONTDUMP);
    /* RLIMIT_MEMLOCK may be smaller than a file of 10,000 keys, which is to work all the same. */
    (void)mlock(memory, size);
    return memory;
}

void keyring_memory_free(void *memory, size_t size)
{
    if (!memory)
        return;
    explicit_bzero(memory, size);
    (void)munmap(memory, size);
}
