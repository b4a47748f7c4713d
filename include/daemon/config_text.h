/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config_text: a configuration file and what it includes as one text that
 * libconfig can be trusted with; private to the config room.
 *
 * libconfig alone would cut integers to 32 bits in silence, stop at a NUL byte,
 * take a comment without an end for the rest of the file, look for includes in
 * the working directory, and end the process at one that is a directory.
 */
#ifndef BERKELEY_DAEMON_CONFIG_TEXT_H
#define BERKELEY_DAEMON_CONFIG_TEXT_H

#include "daemon/config.h"

#define CONFIG_FILE_MAX (1 << 20) /* bytes, includes counted in */
#define CONFIG_INCLUDE_MAX 8      /* depth */

struct config_place {
    const char *file;
    unsigned line; /* from 1; 0 = the file as a whole */
};

struct config_text;

/* 0 or -errno with the line in `error`: -ENOENT only for the file itself, -EACCES also for what
 * it includes, -ENOMEM, else -EINVAL. */
int config_text_read(const char *path, struct config_text **text, char error[CONFIG_ERROR_SIZE]);
void config_text_free(struct config_text *text);

/* Includes resolved, every integer 64 bits wide, no NUL within. */
const char *config_text_bytes(const struct config_text *text);

/* Where a line of it was; the file name lives as long as the text. */
struct config_place config_text_place(const struct config_text *text, unsigned line);

/* The line as it was written, without leading blanks; false if nothing but a comment is on it. */
bool config_text_line(const struct config_text *text, unsigned line, char *buffer, size_t size);

/* Writes "file:line: key: ..." (key NULL: without) and returns -EINVAL. */
int config_refuse(char error[CONFIG_ERROR_SIZE], struct config_place place, const char *key,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
