/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path: one direction of the way between a slave and the master, as TCP shows
 * it: nothing is lost, what its segment was lost for comes later.
 */
#ifndef BERKELEY_SIM_PATH_H
#define BERKELEY_SIM_PATH_H

#include "dice.h"
#include "scenario.h"

#define PATH_NEVER INT64_MAX
#define PATH_USER_TIMEOUT_NS INT64_C(10000000000) /* src/daemon/transport.c */
#define PATH_KEEPALIVE_NS INT64_C(11000000000)    /* its probes at 5, 7, 9 s; at 11 s it is over */

struct path {
    struct scenario_delay delay;
    int64_t burst_end_ns;
    int64_t cut_end_ns; /* nothing crosses before */
    struct dice dice;
};

void path_init(struct path *path, const struct scenario_delay *delay, struct dice dice);

/* When what is sent now arrives; PATH_NEVER if TCP gives up before. */
int64_t path_cross(struct path *path, int64_t now_ns);

#endif
