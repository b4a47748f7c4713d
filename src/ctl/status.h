/* SPDX-License-Identifier: BSD-2-Clause */
/* status: what a daemon thinks of its clock and its group, for people. */
#ifndef BERKELEY_CTL_STATUS_H
#define BERKELEY_CTL_STATUS_H

#include "ctl.h"

#include <stddef.h>
#include <stdio.h>

struct json_object;

enum ctl_exit status_run(const struct ctl_options *options);

/* The lines, what matters most first. */
void status_print(FILE *out, struct json_object *answer);
/* "holdover for 12 s: the master is gone" */
void status_state(const struct json_object *answer, char *buffer, size_t size);

#endif
