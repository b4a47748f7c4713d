/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * demo_nodes: the master and its slaves, each a berkeleyd process with an
 * emulated clock, and what their clocks show to somebody who sees them all.
 */
#ifndef BERKELEY_DEMO_NODES_H
#define BERKELEY_DEMO_NODES_H

#include "../process/harness.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NODES_COUNT 5 /* the first is the master */

struct node {
    char name[16];
    int64_t start_offset_ns; /* of its clock, as configured */
    double frequency_ppm;
    pid_t pid;         /* 0: no daemon runs */
    int64_t offset_ns; /* of its clock from the mean of all */
    int64_t bound_ns;  /* its daemon's */
    bool synchronised; /* as its kernel would tell programs: not STA_UNSYNC */
};

struct nodes;

/* Offsets and frequencies by the seed.  Starts them all. */
struct nodes *nodes_new(struct harness *harness, uint64_t seed);
void nodes_free(struct nodes *nodes);

const struct node *nodes_get(const struct nodes *nodes, size_t n);
uint16_t nodes_port(const struct nodes *nodes);
bool nodes_all_synchronised(const struct nodes *nodes);

/* All clocks at one instant, and whether the daemons still run.  False if one
 * ended that should not have, or a clock cannot be read: nodes_fault() tells. */
bool nodes_look(struct nodes *nodes);
const char *nodes_fault(const struct nodes *nodes);

/* Are all clocks there?  Before, nodes_look() has nothing to show. */
bool nodes_seen(const struct nodes *nodes);
/* Largest minus smallest clock when last looked at. */
int64_t nodes_spread(const struct nodes *nodes);
/* Largest step back of any clock, by its file or seen from look to look; 0 = never. */
int64_t nodes_backward(const struct nodes *nodes);

void nodes_kill(struct nodes *nodes, size_t n);
void nodes_restart(struct nodes *nodes, size_t n);
/* Did the one that was restarted find the master again? */
bool nodes_follows(const struct nodes *nodes, size_t n);

/* The next line of the master's journal nobody has seen yet, or NULL. */
char *nodes_next_line(struct nodes *nodes);

/* What berkeleyctl prints for this word of that daemon; NULL if it fails: nodes_fault() tells. */
const char *nodes_ask(struct nodes *nodes, size_t n, const char *word);

/* SIGTERM to all, SIGKILL to those who take too long. */
void nodes_stop(struct nodes *nodes);
/* What the daemons were told and what they said, in a directory that stays; its name. */
const char *nodes_keep_logs(struct nodes *nodes);

#endif
