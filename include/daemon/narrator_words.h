/* SPDX-License-Identifier: BSD-2-Clause */
/* narrator_words: what the narrator's sentences are made of. */
#ifndef BERKELEY_DAEMON_NARRATOR_WORDS_H
#define BERKELEY_DAEMON_NARRATOR_WORDS_H

#include "core/machine.h"
#include "daemon/journal.h"

#define T(ns) journal_time((ns), (char[JOURNAL_TIME_SIZE]){0})
#define ST(ns) journal_signed_time((ns), (char[JOURNAL_TIME_SIZE]){0})
#define NARRATOR_APART_SIZE (JOURNAL_TIME_SIZE + 16)
#define APART(ns) narrator_apart((ns), (char[NARRATOR_APART_SIZE]){0})

/* "21 µs ahead of", "3.1 ms behind". */
const char *narrator_apart(int64_t offset_ns, char buffer[NARRATOR_APART_SIZE]);
/* A peer by its name, and where it connects from until it has told one. */
const char *narrator_who(const struct note *note);
/* The peer and the round, if there are. */
struct journal_fields narrator_fields(const struct note *note, const char *message_id);
/* Why a connection ended (enum bye_reason or 0), or a frame was refused (enum refusal). */
const char *narrator_reason(unsigned reason);
const char *narrator_refusal(unsigned refusal);

#endif
