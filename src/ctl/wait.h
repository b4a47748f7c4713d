/* SPDX-License-Identifier: BSD-2-Clause */
/* wait: until this machine's clock is synchronised. */
#ifndef BERKELEY_CTL_WAIT_H
#define BERKELEY_CTL_WAIT_H

#include "ctl.h"

enum ctl_exit wait_run(const struct ctl_options *options);

#endif
