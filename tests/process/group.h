/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * group: a master and its slaves as real programs, each with an emulated clock
 * of its own, and the truth about these clocks.
 *
 * The clocks are made before anybody is started, so that what they would show
 * had they been left alone is known exactly.  Bit n of a subset is node n; node 0
 * is the master.  Wherever something is waited for in vain, what is known of
 * the group goes to standard error.
 */
#ifndef BERKELEY_TESTS_GROUP_H
#define BERKELEY_TESTS_GROUP_H

#include "harness.h"

#include <sys/timex.h>

#define GROUP_MAX 8
#define NODE(n) (UINT64_C(1) << (n))
/* Nodes `first` up to and including `last`. */
#define NODES(first, last) ((NODE((last) + 1) - 1) & ~(NODE(first) - 1))

struct node {
    int64_t offset_ns; /* of its clock from the host's at the start */
    double frequency_ppm;
    bool observes;
    const char *master; /* where it looks for the master; NULL: 127.0.0.1 */
};

struct group_options {
    const char *name; /* nodes are called NAME0, NAME1 ... */
    struct node nodes[GROUP_MAX];
    size_t count;
    double wander_ppm;
    const char *listen;            /* the master's list; NULL: "127.0.0.1" */
    const struct secret_key *keys; /* in the key file of each node, which is its own */
    size_t key_count;              /* 0: without keys */
};

struct group;

/* All nodes, all at once. */
struct group *group_start(struct harness *harness, const struct group_options *options);
/* That node again, after its end. */
void group_restart(struct group *group, size_t n);
uint16_t group_port(const struct group *group);
/* Other keys for that node, and SIGHUP. */
void group_rekey(struct group *group, size_t n, const struct secret_key *keys, size_t count);

struct process *group_process(struct group *group, size_t n);
struct clocks *group_clocks(struct group *group);
const char *group_clock_path(struct group *group, size_t n);

/* From now on only look at lines that follow, of all nodes. */
void group_mark(struct group *group);
/* Has each of them said such a line after the mark, or does it? */
bool group_wait_line(struct group *group, uint64_t subset, const char *regex, double seconds);
/* Do all of their kernels say for more than a second on end that they are
 * synchronised?  Holdover counts as that. */
bool group_wait_synchronised(struct group *group, uint64_t subset, double seconds);
bool group_wait_spread(struct group *group, uint64_t subset, int64_t limit_ns, double seconds);

/* What adjtimex(2) would say on that machine now. */
struct timex group_timex(struct group *group, size_t n);
bool group_unsynchronised(struct group *group, size_t n);

/* The mean of some clocks, as it would go on at the mean rate of the oscillators
 * (their own, or those of all that formed the group). */
struct course {
    uint64_t clocks, oscillators;
    int64_t raw_ns;  /* host's, of the start */
    int64_t lead_ns; /* then: ahead of the oscillators' clocks, had nobody ever adjusted these */
};

/* From their making, and from now on. */
struct course group_course_made(struct group *group, uint64_t clocks);
struct course group_course(struct group *group, uint64_t clocks, uint64_t oscillators);
/* How far they have been moved from it together.  Not counted are 50 ppm: the
 * group has a rate of its own, measured in its first two seconds by stamps that
 * a busy machine spoils by some 50 us, and keeps it. */
int64_t group_moved(struct group *group, const struct course *course);

/* For that long, does each clock stay as near to the mean of all of the subset
 * as its kernel's maxerror says?  The largest of the bounds told goes to *bound_ns. */
bool group_bounds_hold(struct group *group, uint64_t subset, double seconds, int64_t *bound_ns);
/* The node's maxerror as its daemon wrote it, without the kernel's growth since. */
int64_t group_bound(struct group *group, size_t n);
/* Did none of the clocks ever step back? */
bool group_never_back(struct group *group, uint64_t subset);

#endif
