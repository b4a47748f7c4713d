/* SPDX-License-Identifier: BSD-2-Clause */
/* step: the one step by hand that a clock may be given before it was first synchronised. */
#ifndef BERKELEY_CTL_STEP_H
#define BERKELEY_CTL_STEP_H

#include "ctl.h"

#define STEP_CLOCK_DIRECTORY "/run/berkeley-clock"

enum ctl_exit step_run(const struct ctl_options *options);

#endif
