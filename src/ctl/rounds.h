/* SPDX-License-Identifier: BSD-2-Clause */
/* rounds: the last rounds, for people. */
#ifndef BERKELEY_CTL_ROUNDS_H
#define BERKELEY_CTL_ROUNDS_H

#include "ctl.h"

enum ctl_exit rounds_run(const struct ctl_options *options);

#endif
