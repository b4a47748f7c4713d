/* SPDX-License-Identifier: BSD-2-Clause */
/* watch: the status again and again, and a plot of it. */
#ifndef BERKELEY_CTL_WATCH_H
#define BERKELEY_CTL_WATCH_H

#include "ctl.h"

enum ctl_exit watch_run(const struct ctl_options *options);

#endif
