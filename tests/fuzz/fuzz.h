/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz: what the targets share; each is a program of its own with one of these functions, and
 * either libFuzzer's main, that of AFL++, or the one of standalone.c. */
#ifndef BERKELEY_TESTS_FUZZ_H
#define BERKELEY_TESTS_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

_Noreturn static inline void fuzz_fail(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "%s:%d: %s\n", file, line, what);
    abort();
}

#define must_not(what) fuzz_fail(__FILE__, __LINE__, what)

/* assert() that no build leaves out. */
#define must(condition) ((condition) ? (void)0 : must_not(#condition))

/* A copy of just that size, so that a read beyond its end is noticed. */
static inline uint8_t *fuzz_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    must(copy);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

/* The same as a string: up to the first NUL. */
static inline char *fuzz_string(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);

    must(text);
    return text;
}

/* Padding included: of what was filled with zeros, or with anything else, before. */
static inline bool fuzz_same(const void *one, const void *other, size_t size)
{
    return memcmp(one, other, size) == 0;
}

#endif
