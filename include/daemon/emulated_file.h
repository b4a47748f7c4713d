/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emulated_file: the state of an emulated machine in a file mapped shared.
 *
 * A writer puts the new state into the one of two slots that is not in use and
 * then makes it the one in use, so that a writer killed at any instant leaves
 * a whole state behind, and readers wait for nobody.  Writers exclude each
 * other by a lock on the file that dies with its owner.
 */
#ifndef BERKELEY_DAEMON_EMULATED_FILE_H
#define BERKELEY_DAEMON_EMULATED_FILE_H

#include "daemon/oscillator.h"
#include "daemon/timex_model.h"

#include <stdbool.h>
#include <stdint.h>

struct emulated_state {
    struct oscillator oscillator;
    struct timex_model model;
};

struct emulated_file;

/* Opens for writing; creates with `initial` if there is none.  path NULL or "":
 * private memory.  0; -EBADMSG if it is something else or damaged; -errno. */
int emulated_file_create(const char *path, const struct emulated_state *initial,
                         struct emulated_file **file);

/* Opens one that exists. Likewise. */
int emulated_file_open(const char *path, bool writable, struct emulated_file **file);
void emulated_file_close(struct emulated_file *file);

/* Goes up with every commit. */
uint64_t emulated_file_generation(const struct emulated_file *file);

/* The newest state and its generation; 0 or -EBADMSG. */
int emulated_file_load(const struct emulated_file *file, struct emulated_state *state,
                       uint64_t *generation);

/* The state before that one, if it is still there. */
bool emulated_file_load_older(const struct emulated_file *file, uint64_t generation,
                              struct emulated_state *state);

/* A change: lock and load, change *state, commit (or not), unlock.  0 or -errno,
 * and not locked then. */
int emulated_file_begin(struct emulated_file *file, struct emulated_state *state);
uint64_t emulated_file_commit(struct emulated_file *file, const struct emulated_state *state);
void emulated_file_end(struct emulated_file *file);

#endif
