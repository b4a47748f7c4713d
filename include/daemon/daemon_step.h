/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon_step: the one step that a person may ask for, before the clock was first synchronised:
 * `berkeleyctl step`.
 */
#ifndef BERKELEY_DAEMON_DAEMON_STEP_H
#define BERKELEY_DAEMON_DAEMON_STEP_H

#include <stdint.h>

struct daemon;

/* What the step would be now, and about how long the slew takes that does without.  0; or, as
 * discipline_may_step(), -EROFS, -EALREADY, -EEXIST, -ENODATA, -EBUSY: it is not allowed. */
int daemon_step_offer(struct daemon *daemon, int64_t *correction_ns, int64_t *slewing_ns);

/* Steps the clock at once.  confirmed_ns: what a person agreed to; *stepped_ns: what was done.  0;
 * the same errors; -ESTALE: it is something else by now; -EPERM: the process that sets the clock
 * has no permit from root; or why the clock could not be set.  step_error() has words for all. */
int daemon_step(struct daemon *daemon, int64_t confirmed_ns, int64_t *stepped_ns);

#endif
