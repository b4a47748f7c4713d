/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon_state: when the saved state is read, used and written.  NULL stands for nothing being
 * kept, and is allowed everywhere.  All failures are said in the journal, each once.
 */
#ifndef BERKELEY_DAEMON_DAEMON_STATE_H
#define BERKELEY_DAEMON_DAEMON_STATE_H

#include "daemon/clock.h"
#include "daemon/config.h"
#include "daemon/daemon_role.h"

#define DAEMON_STATE_PATH_SIZE (CONFIG_PATH_SIZE + 8)

struct daemon_state;

/* Where it is kept; false: nowhere. */
bool daemon_state_path(const struct config *config, char path[DAEMON_STATE_PATH_SIZE]);

/* Reads what was saved.  On a machine booted since, a clock behind the saved time is stepped
 * forward to it.  NULL if the configuration wants nothing kept, or the clock only observes. */
struct daemon_state *daemon_state_open(const struct config *config, struct clock *clock);

/* Right after the machine was made: hands it what was saved.  It has to stay until the close. */
void daemon_state_resume(struct daemon_state *state, const struct role *role, void *machine);

/* Once a second: saves if it is time to. */
void daemon_state_tick(struct daemon_state *state);

/* Saves a last time. */
void daemon_state_stop(struct daemon_state *state);
void daemon_state_close(struct daemon_state *state);

#endif
