/* SPDX-License-Identifier: BSD-2-Clause */
/* ctl: what all commands of berkeleyctl share. */
#ifndef BERKELEY_CTL_CTL_H
#define BERKELEY_CTL_CTL_H

#include <stdbool.h>

enum ctl_exit {
    CTL_OK = 0,
    CTL_ERROR = 1,
    CTL_NO_DAEMON = 3,
    CTL_BAD_USAGE = 64,
    CTL_PERMISSION = 77,
};

struct ctl_options {
    const char *socket; /* or the directory of both */
    bool json;
};

#endif
