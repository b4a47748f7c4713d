/* SPDX-License-Identifier: BSD-2-Clause */
/* truth_state: what the parts of truth share, and what the world tells them. */
#ifndef BERKELEY_SIM_TRUTH_STATE_H
#define BERKELEY_SIM_TRUTH_STATE_H

#include "history.h"
#include "truth.h"

struct world;

/* A clock at one instant. */
struct sample {
    int64_t at_ns; /* INT64_MIN: none */
    int64_t raw_ns, corrected_ns;
    int64_t maxerror_ns; /* INT64_MAX: the kernel says that it is not synchronised */
    double off_ns;       /* against true time */
};

/* What became of one node. */
struct fortune {
    bool good;           /* throughout */
    bool steady;         /* nothing sets its clock: its A is a line */
    bool counted;        /* by the master's last decision */
    bool in;             /* by the last that was about it */
    uint8_t verdict;
    uint32_t round;      /* of that verdict */

    bool faulty;         /* its clock is not one of the group's */
    bool wild;           /* nor can it know its own bound */
    bool was_out;        /* the group has noticed */
    bool unseen;         /* its clock was set, and its daemon has not looked yet */
    int64_t fault_end_ns;

    struct sample now;   /* the last */
    struct sample slewed; /* where the stretch began whose slope is looked at */
    int64_t freq_scaled; /* in force since */
    int64_t in_since_ns; /* synchronised since the daemon's start; INT64_MAX: not yet */
    int64_t excluded_ns;

    uint64_t born;       /* grid instant of its daemon's first start */
    bool was_born;
    double start_ns;     /* for a latecomer: its error then, ... */
    double beyond_ns;    /* ... and how far it went to the other side */
};

struct truth {
    struct world *world;
    truth_watcher *watcher;
    void *context;
    struct fortune fortunes[SCENARIO_NODES_MAX];
    bool expects_meddling; /* the daemon that looks at its clock now will find it set */
    bool formed;
    bool has_group;
    double group_ns;       /* against true time, at the last look */
    double spread_ns;      /* of its members */
    struct history history;
    struct histogram errors, bounds, ratios;
    struct truth_row row;
    struct truth_results results;
};

/* truth.c */
struct truth *truth_new(struct world *world);
void truth_free(struct truth *truth);
void truth_watch(struct truth *truth, truth_watcher *watcher, void *context);
void truth_grid(struct truth *truth);
/* Around what happens to a node. */
void truth_before(struct truth *truth, unsigned node);
void truth_after(struct truth *truth, unsigned node);
void truth_looking(struct truth *truth, unsigned node); /* the tick begins, ... */
void truth_ticked(struct truth *truth, unsigned node);  /* ... is over */
/* Its clock was set, or jumped: what was read before is no measure any more. */
void truth_set(struct truth *truth, unsigned node);
void truth_stepped(struct truth *truth, unsigned node, int64_t by_ns);
/* What to add to its clock to make it the group's. */
int64_t truth_lag(struct truth *truth, unsigned node);

/* truth_check.c */
const struct sample *truth_sample(struct truth *truth, unsigned node);
void truth_find_group(struct truth *truth);
/* The node's claims and its slope, right now. */
void truth_check(struct truth *truth, unsigned node);
void truth_rebase_slope(struct truth *truth, unsigned node);

/* truth_standing.c: who belongs to the group's time. */
void truth_fault(struct truth *truth, unsigned node, const struct scenario_event *event,
                 int64_t end_ns);
void truth_note(struct truth *truth, unsigned node, const struct note *note);
void truth_heal(struct truth *truth, unsigned node);
void truth_started(struct truth *truth, unsigned node);
void truth_ended(struct truth *truth, unsigned node);

/* truth_trace.c: the fingerprint, and an ear on the journal. */
void truth_frame(struct truth *truth, const uint8_t *bytes, size_t length);
void truth_arrival(struct truth *truth, const struct reading *arrived);
void truth_order(struct truth *truth, unsigned node, const struct order *order);
void truth_listen(struct truth *truth);

#endif
