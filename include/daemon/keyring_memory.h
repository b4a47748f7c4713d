/* SPDX-License-Identifier: BSD-2-Clause */
/* keyring_memory: whole pages for secrets: left out of core dumps, not swapped out where the
 * limits allow that, wiped before they are given back. */
#ifndef BERKELEY_DAEMON_KEYRING_MEMORY_H
#define BERKELEY_DAEMON_KEYRING_MEMORY_H

#include <stddef.h>

/* Zeros; NULL when out of memory. */
void *keyring_memory_new(size_t size);
/* With the size it was made with. NULL is allowed. */
void keyring_memory_free(void *memory, size_t size);

#endif
