/* SPDX-License-Identifier: BSD-2-Clause */
/* journal_escape: text of unknown origin made fit for one line of a log. */
#ifndef BERKELEY_DAEMON_JOURNAL_ESCAPE_H
#define BERKELEY_DAEMON_JOURNAL_ESCAPE_H

#include <stddef.h>

/* Copies text; every byte of what is not printable UTF-8 (control characters,
 * line and paragraph separators, what turns the writing direction, broken
 * sequences) becomes \xNN.  What does not fit into size (at least 8) is cut at
 * a character and ends in "...".  Returns out. */
const char *journal_escape(const char *text, char *out, size_t size);

#endif
