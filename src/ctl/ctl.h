/* SPDX-License-Identifier: BSD-2-Clause */
/* ctl: what all commands of berkeleyctl share. */
#ifndef BERKELEY_CTL_CTL_H
#define BERKELEY_CTL_CTL_H

#include <stdbool.h>
#include <stdint.h>

enum ctl_exit {
    CTL_OK = 0,
    CTL_ERROR = 1,
    CTL_LATE = 2,
    CTL_NO_DAEMON = 3,
    CTL_BAD_USAGE = 64,
    CTL_PERMISSION = 77,
};

enum ctl_color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

/* A command looks at those it takes. */
struct ctl_options {
    const char *socket;   /* or the directory of both */
    bool json;
    const char *argument; /* the word after the command; NULL: none */
    const char *sort;     /* NULL: as it is best read */
    enum ctl_color color;
    int64_t interval_ns;
    int64_t max_error_ns; /* INT64_MAX: any */
    int64_t timeout_ns;   /* INT64_MAX: none */
    const char *file;     /* NULL: none given */
    bool yes;             /* without asking */
    const char *clock;    /* socket of berkeleyd --clock; NULL: as is usual */
};

#endif
