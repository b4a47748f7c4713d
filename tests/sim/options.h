/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options: the simulator's command line.
 */
#ifndef BERKELEY_SIM_OPTIONS_H
#define BERKELEY_SIM_OPTIONS_H

#include "scenario.h"

#define EXIT_BROKEN 1
#define EXIT_USAGE 2
#define EXIT_SCENARIO 78
#define OPTIONS_CHANGES_MAX 32

struct options {
    const char *scenario; /* a name or a path; NULL with `list` */
    uint64_t first_seed, last_seed;
    const char *csv, *png;
    int64_t step_ns;      /* between rows of the CSV */
    bool text, quiet, figures, list, faults;
    const char *changes[OPTIONS_CHANGES_MAX]; /* "key=value", made of the other options too */
    size_t change_count;
    char *made[OPTIONS_CHANGES_MAX]; /* those of them that are ours to free */
    size_t made_count;
};

/* 0: go on; else the exit status plus 1, after --help or a line on stderr. */
int options_parse(struct options *options, int argc, char *argv[]);
void options_free(struct options *options);

#endif
