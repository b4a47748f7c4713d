/* SPDX-License-Identifier: BSD-2-Clause */
/* keygen_file: writes key files so that each reader sees the old one or the new one, whole. */
#ifndef BERKELEY_CTL_KEYGEN_FILE_H
#define BERKELEY_CTL_KEYGEN_FILE_H

#include "keygen_text.h"

#include <stdbool.h>
#include <sys/stat.h>

/* Until the descriptor returned is closed, nobody else has the lock on files of this directory;
 * or -errno. */
int keygen_file_lock(const char *path);

/* Writes the file with the owner, group and mode of `like`; with_old: in place of one that is
 * there, else -EEXIST.  0 or -errno; a file that was there is untouched then. */
int keygen_file_write(const char *path, const struct keygen_text *text, const struct stat *like,
                      bool with_old);

/* Every byte; 0 or -errno. */
int keygen_file_put(int fd, const struct keygen_text *text);

#endif
