/* SPDX-License-Identifier: BSD-2-Clause */
/* counters: what a daemon has counted since its start, for people. */
#ifndef BERKELEY_CTL_COUNTERS_H
#define BERKELEY_CTL_COUNTERS_H

struct json_object;

void counters_show(struct json_object *answer);

#endif
