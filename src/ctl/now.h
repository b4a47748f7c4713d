/* SPDX-License-Identifier: BSD-2-Clause */
/* now: the group's time, as the earliest and latest that it can be. */
#ifndef BERKELEY_CTL_NOW_H
#define BERKELEY_CTL_NOW_H

#include "ctl.h"

enum ctl_exit now_run(const struct ctl_options *options);

#endif
