/* SPDX-License-Identifier: BSD-2-Clause */
/* counters: what a daemon has counted since its start, for people. */
#ifndef BERKELEY_CTL_COUNTERS_H
#define BERKELEY_CTL_COUNTERS_H

#include "ctl.h"

enum ctl_exit counters_run(const struct ctl_options *options);

#endif
