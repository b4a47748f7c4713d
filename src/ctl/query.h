/* SPDX-License-Identifier: BSD-2-Clause */
/* query: a question to the daemons that run here, and their answers to standard output. */
#ifndef BERKELEY_CTL_QUERY_H
#define BERKELEY_CTL_QUERY_H

#include "ctl.h"

#include <limits.h>
#include <stdint.h>

struct json_object;

/* Of a directory's daemons: each that is there, or only the first, where a master comes first. */
enum query_whom { QUERY_EACH, QUERY_FIRST };

/* For people; false: the answer makes no sense. */
typedef bool query_show(const struct ctl_options *options, struct json_object *answer);

/* question: "WORD" or "WORD ARGUMENT".  With options->json each answer is printed as it is, one a
 * line.  What goes wrong is said to standard error.  The program's exit code. */
enum ctl_exit query_run(const struct ctl_options *options, const char *question,
                        enum query_whom whom, query_show *show);

/* The same in parts, for who asks again and again.  path: whom it asked last; 0 or as
 * client_ask(). */
int query_ask(const struct ctl_options *options, const char *question, int64_t patience_ms,
              char path[PATH_MAX], struct json_object **answer);
bool query_is_nobody(int error);
/* One line to standard error. */
enum ctl_exit query_fail(const char *path, int error);
enum ctl_exit query_nobody(const struct ctl_options *options);
void query_print_json(struct json_object *answer);
/* Whether the daemon refused the question; then says so, and *code is the program's. */
bool query_refused(const char *path, struct json_object *answer, enum ctl_exit *code);

#endif
