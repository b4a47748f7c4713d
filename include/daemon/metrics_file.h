/* SPDX-License-Identifier: BSD-2-Clause */
/* metrics_file: a file for node_exporter's textfile collector, which reads each *.prom. */
#ifndef BERKELEY_DAEMON_METRICS_FILE_H
#define BERKELEY_DAEMON_METRICS_FILE_H

#include <stddef.h>

/* Puts a new file, readable by everybody, in the place of the old one, by way of PATH.new.  0 or
 * -errno; the old one stays then. */
int metrics_file_write(const char *path, const char *bytes, size_t length);
/* Nobody shall take old numbers for those of now. */
void metrics_file_remove(const char *path);

#endif
