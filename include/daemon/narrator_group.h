/* SPDX-License-Identifier: BSD-2-Clause */
/* narrator_group: what the master tells of its slaves, of the clocks, and of the group. */
#ifndef BERKELEY_DAEMON_NARRATOR_GROUP_H
#define BERKELEY_DAEMON_NARRATOR_GROUP_H

#include "core/machine.h"

void narrator_tell_slave(const struct note *note);
void narrator_tell_clock(const struct note *note);
void narrator_tell_group(const struct note *note);

#endif
