/* SPDX-License-Identifier: BSD-2-Clause */
/* query: one word to the daemons that run here, and their answers to standard output. */
#ifndef BERKELEY_CTL_QUERY_H
#define BERKELEY_CTL_QUERY_H

#include "ctl.h"

struct json_object;

/* show: for people; with options->json each answer is printed as it is, one a line.  What goes
 * wrong is said to standard error.  The program's exit code. */
enum ctl_exit query_run(const struct ctl_options *options, const char *word,
                        void (*show)(struct json_object *answer));

#endif
