/* SPDX-License-Identifier: BSD-2-Clause */
/* narrator: the machines' notes and summaries as sentences for people. */
#ifndef BERKELEY_DAEMON_NARRATOR_H
#define BERKELEY_DAEMON_NARRATOR_H

#include "core/machine.h"

#include <stddef.h>

#define NARRATOR_STATUS_SIZE 320

/* One journal line with its MESSAGE_ID and fields. */
void narrator_tell(const struct note *note);

/* STATUS=: "following time1, synchronised: offset +3.1 us, bound 41 us, 12 of 12 clocks". */
void narrator_status(const struct summary *summary, bool master,
                     char sentence[NARRATOR_STATUS_SIZE]);

#endif
