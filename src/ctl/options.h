/* SPDX-License-Identifier: BSD-2-Clause */
/* options: what may stand on the command line. */
#ifndef BERKELEY_CTL_OPTIONS_H
#define BERKELEY_CTL_OPTIONS_H

#include "ctl.h"

#define OPTIONS_DIRECTORY "/run/berkeley"

/* Options are named by one letter each: */
#define OPTIONS_BEFORE "sjhV" /* a command */
#define OPTIONS_ASKS "sjh"    /* every command that asks a daemon */

enum options_result { OPTIONS_TAKEN, OPTIONS_HELP, OPTIONS_VERSION, OPTIONS_WRONG };

void options_default(struct ctl_options *options);
/* Takes those named in `letters`; any other one is complained about on standard error, as the
 * command's (NULL: of none).  Words that are no options end up at the end, from argv[optind] on;
 * before a command the first one ends it. */
enum options_result options_take(int argc, char **argv, const char *letters, const char *command,
                                 struct ctl_options *options);
/* A line for each letter. */
void options_print_help(const char *letters);

#endif
