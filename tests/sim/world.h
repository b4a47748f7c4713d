/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world: a whole group in one process, in virtual time.  Node 0 is the master.
 * The same scenario and seed give the same run, bit for bit.
 *
 *     world = world_new(&scenario, seed);
 *     world_watch(world, print_row, out);       (for a table; may be left out)
 *     world_run_until(world, scenario.length_ns);
 *     truth_results(world_truth(world), &results);
 *     world_free(world);
 */
#ifndef BERKELEY_SIM_WORLD_H
#define BERKELEY_SIM_WORLD_H

#include "scenario.h"
#include "truth.h"

struct world;

/* The scenario is borrowed for the world's life.  NULL when out of memory. */
struct world *world_new(const struct scenario *scenario, uint64_t seed);
void world_free(struct world *world);

/* Calls back at each instant of the grid. */
void world_watch(struct world *world, truth_watcher *watcher, void *context);

/* 0, or -ENOMEM: the run is worth nothing then. */
int world_run_until(struct world *world, int64_t true_ns);

struct truth *world_truth(struct world *world);

#endif
