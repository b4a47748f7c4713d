/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state: what one run of the daemon leaves to the next, as a small file of text
 * that is always whole: a new one is put in the old one's place, never written over it.
 */
#ifndef BERKELEY_DAEMON_STATE_H
#define BERKELEY_DAEMON_STATE_H

#include "core/discipline.h"

#include <stdint.h>

#define STATE_BOOT_SIZE 64
#define STATE_ERROR_SIZE 512
#define STATE_FILE_MAX 16384 /* bytes; one that was saved has about 1000 */

struct state {
    int64_t real_ns;            /* what the clock showed when it last was in its group; 0: never */
    char boot[STATE_BOOT_SIZE]; /* whose RAW is meant: hexadecimal digits and dashes; "": unknown */
    int64_t raw_ns;             /* RAW at the saving */
    struct discipline_memory memory; /* target: zero unless synchronised */
};

/* 0; -ENOENT, in silence, if there is none; -EINVAL for what no daemon wrote, or -errno, with the
 * line "FILE:LINE: KEY: found ...; allowed is ..." in `error` and *state untouched.  Keys that it
 * does not know are a later daemon's and ignored; another version is refused. */
int state_load(const char *path, struct state *state, char error[STATE_ERROR_SIZE]);

/* 0 or -errno, the file of before in its place then; -ERANGE: nothing state_load() would take. */
int state_save(const char *path, const struct state *state);

#endif
