/* SPDX-License-Identifier: BSD-2-Clause */
/* keyring_parse: the lines of a key file, byte by byte. */
#ifndef BERKELEY_DAEMON_KEYRING_PARSE_H
#define BERKELEY_DAEMON_KEYRING_PARSE_H

#include "daemon/keyring.h"

/* What is between two line ends; into the text. */
struct keyring_line {
    const char *text;
    size_t length; /* without what ends it */
    size_t number; /* from 1 */
    size_t place;  /* of its first byte */
    size_t next;   /* of the first one after what ends it */
};

/* The line that begins at line->next (all zeros: the first); false at the end of the text. */
bool keyring_parse_next(const char *text, size_t length, struct keyring_line *line);
/* Nothing but blanks, or a comment: it holds no key. */
bool keyring_parse_is_empty(const struct keyring_line *line);
/* NULL and *key set, or what was found and what is allowed, in words of our own only. */
const char *keyring_parse_line(const struct keyring_line *line, struct key *key);
/* May this be an identity or a name? */
bool keyring_parse_is_word(const char *text);

#endif
