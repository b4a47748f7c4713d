/* SPDX-License-Identifier: BSD-2-Clause */
/* trace: every round told in the journal, or no longer. */
#ifndef BERKELEY_CTL_TRACE_H
#define BERKELEY_CTL_TRACE_H

#include "ctl.h"

enum ctl_exit trace_run(const struct ctl_options *options);

#endif
