/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon_metrics: what the daemon tells Prometheus, over HTTP and in a file, as configured.  NULL
 * stands for nothing of the kind, and is allowed everywhere.
 */
#ifndef BERKELEY_DAEMON_DAEMON_METRICS_H
#define BERKELEY_DAEMON_DAEMON_METRICS_H

#include "daemon/config.h"
#include "daemon/daemon_source.h"

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

struct daemon_metrics;

/* config: borrowed.  Where metrics cannot be given the daemon works without; the journal says
 * so. */
struct daemon_metrics *daemon_metrics_open(sd_event *loop, const struct config *config, bool master,
                                           const struct daemon_source *source);
/* Removes the file: a daemon that has ended has no numbers. */
void daemon_metrics_close(struct daemon_metrics *metrics);

#endif
