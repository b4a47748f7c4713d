/* SPDX-License-Identifier: BSD-2-Clause */
/* metrics_clocks: what a master tells of each clock of its group. */
#ifndef BERKELEY_DAEMON_METRICS_CLOCKS_H
#define BERKELEY_DAEMON_METRICS_CLOCKS_H

#include "daemon/metrics.h"

void metrics_clocks(const struct metrics_input *input, struct metrics_text *text);

/* Parts per 10^9 as a ratio; false if it is none. */
bool metrics_ratio(double ppb, struct metrics_number *number);

#endif
