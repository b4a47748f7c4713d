/* SPDX-License-Identifier: BSD-2-Clause */
/* keygen_text: key files as text in memory for secrets, edited so that what is not meant stays
 * byte for byte. */
#ifndef BERKELEY_CTL_KEYGEN_TEXT_H
#define BERKELEY_CTL_KEYGEN_TEXT_H

#include <stddef.h>

struct keygen_text {
    char *bytes; /* keyring_memory */
    size_t length;
    size_t size;
};

/* A line with a random key; name may be NULL.  0 or -errno. */
int keygen_text_line(const char *identity, const char *name, struct keygen_text *line);
/* The line before the first key of the text, or at its end. */
int keygen_text_insert(const char *text, size_t length, const struct keygen_text *line,
                       struct keygen_text *made);
/* Without the line of this identity; -ENOENT if there is none. */
int keygen_text_remove(const char *text, size_t length, const char *identity,
                       struct keygen_text *made);
/* Wipes; a text of zeros is allowed. */
void keygen_text_free(struct keygen_text *text);

#endif
