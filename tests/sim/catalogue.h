/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * catalogue: the scenarios there are, by name.
 */
#ifndef BERKELEY_SIM_CATALOGUE_H
#define BERKELEY_SIM_CATALOGUE_H

#include "scenario.h"

/* A name in the directory BERKELEY_SCENARIOS (else tests/sim/scenarios), or what has a
 * slash or a dot in it: a path.  As scenario_load(). */
int catalogue_load(const char *name, struct scenario *scenario, char error[SCENARIO_ERROR_SIZE]);

/* A line each on standard output: name, tab, what it is about.  0 or -errno with the line. */
int catalogue_print(bool faults_only, char error[SCENARIO_ERROR_SIZE]);

#endif
