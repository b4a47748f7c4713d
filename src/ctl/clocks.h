/* SPDX-License-Identifier: BSD-2-Clause */
/* clocks: every clock of the group, as its master sees it, for people. */
#ifndef BERKELEY_CTL_CLOCKS_H
#define BERKELEY_CTL_CLOCKS_H

#include "ctl.h"

enum ctl_exit clocks_run(const struct ctl_options *options);

#endif
