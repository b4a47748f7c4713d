/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics: what Prometheus is told, in its text format.
 *
 * Each name has its HELP and TYPE once, right before its samples.  What is not known is left out,
 * name and all: no alert on it holds then, but one on the state does.  Times are in seconds and
 * exact to the nanosecond; frequencies are ratios, seconds gained per second.
 *
 * The names are documented in berkeleyd(8): they do not change.
 */
#ifndef BERKELEY_DAEMON_METRICS_H
#define BERKELEY_DAEMON_METRICS_H

#include "core/machine.h"
#include "core/view.h"
#include "daemon/chronicle.h"
#include "daemon/metrics_text.h"
#include "daemon/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct metrics_input {
    bool master;
    const char *name, *group, *version;
    int64_t start_ns;        /* UNIX time of the daemon's start */
    bool files;              /* are written, ... */
    uint64_t files_unwritten; /* ... except for so many */
    const struct summary *summary;
    const struct transport_counters *counters;
    const struct chronicle_tally *tally;
    bool corrected;        /* so far ever, ... */
    int64_t correction_ns; /* ... and last by this much */
    /* master: clocks 0 .. views - 1; false: there is none of this number */
    size_t views;
    bool (*view)(void *context, size_t i, struct clock_view *view);
    void *context;
};

/* In place of what the text was.  0, or -ENOMEM with an empty text.  Clocks stand in the order of
 * their names, each once, the own before another of its name. */
int metrics_write(const struct metrics_input *input, struct metrics_text *text);

#endif
