/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon_segment: what other programs are told of this clock's bound, and where.  NULL stands for
 * nothing being told, and is allowed everywhere.  All failures are said in the journal, once.
 *
 * Bound.  That of the summary, and a drift that leads to the summary's late bound after
 * SUMMARY_LATE_NS: the bound is convex in time, and a chord lies above it.  Void after that, or
 * once a holdover that begins now, or that began when this daemon first saw it, would be beyond
 * clock.holdover_limit: so it is as good when the daemon is killed.
 *
 * Status.  Synchronised and holdover as the summary says, where this daemon keeps the clock:
 * nothing is promised of one that is only observed, nor of a reference, which another program may
 * move at any time.  Disrupted from a foreign step or a suspension to the next synchronisation.
 * Unknown otherwise, and once stopped.
 */
#ifndef BERKELEY_DAEMON_DAEMON_SEGMENT_H
#define BERKELEY_DAEMON_DAEMON_SEGMENT_H

#include "core/machine.h"
#include "daemon/chronicle.h"
#include "daemon/config.h"
#include "daemon/daemon_source.h"

#include <stdbool.h>

struct daemon_segment;

/* Where it is; false: nowhere.  That of an emulated clock has no usual place: nobody shall take it
 * for the machine's. */
bool daemon_segment_path(const struct config *config, char path[CONFIG_PATH_SIZE]);

/* config: borrowed, may change.  adjusts: the daemon steers the clock.  source: its summary. */
struct daemon_segment *daemon_segment_open(const struct config *config, bool adjusts,
                                           const struct daemon_source *source);

/* Once a second at least, and as soon as it is known that the clock was set. */
void daemon_segment_tick(struct daemon_segment *segment, const struct chronicle_tally *tally);

void daemon_segment_close(struct daemon_segment *segment);

#endif
