/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * truth: what nobody in the group can know.  Looks at all clocks at the same
 * instants, without touching them: on a grid of true time, and before and after
 * every tick and every CORRECT of a node.
 *
 * The group's time is the mean of the clocks that the master's last decision
 * counted, those left out that a fault of the scenario has made wrong and the
 * group has not dealt with yet.
 */
#ifndef BERKELEY_SIM_TRUTH_H
#define BERKELEY_SIM_TRUTH_H

#include "core/machine.h"

#include "scenario.h"

#define TRUTH_GRID_NS (INT64_C(250) * 1000000)

/* One instant of the grid. */
struct truth_row {
    int64_t at_ns;
    bool has_group;         /* the group has a time: what follows means something */
    double group_ns;        /* that time, against true time */
    double spread_in_ns;    /* largest minus smallest of the good clocks that are synchronised;
                             * NaN: fewer than two */
    double spread_all_ns;   /* ... of all good clocks whose daemon runs */
    unsigned count;
    struct {
        bool runs;          /* its daemon does */
        bool faulty;        /* and not dealt with yet */
        uint8_t state;      /* enum sync_state */
        uint8_t verdict;    /* enum clock_verdict, of the master's last decision */
        double error_ns;    /* its clock against the group's time; until then true time */
        int64_t bound_ns;   /* INT64_MAX: none published */
    } nodes[SCENARIO_NODES_MAX];
};

typedef void truth_watcher(const struct truth_row *row, void *context);

/* A published bound, of which there are two kinds: the daemon's, and the kernel's
 * maxerror as programs read it. */
struct truth_bound {
    uint64_t checks, violations;
    int worst_node;             /* -1: none was checked */
    int64_t worst_at_ns;
    double worst_ratio;         /* error / bound */
    int64_t worst_error_ns, worst_bound_ns;
};

struct truth_results {
    /* Never to be: */
    struct truth_bound bound, maxerror;
    uint64_t backward;          /* readings before an earlier one, the scenario's steps apart */
    int64_t backward_ns;        /* the largest */
    uint64_t too_fast;          /* stretches slewed above the limit in force */
    double slew_share;          /* the steepest, as a share of the limit */
    int slew_node;
    int64_t slew_at_ns;
    unsigned interference;      /* meddling that clock_kernel saw and nobody did */
    unsigned kernel_refusals;   /* orders that the kernel did not take */
    unsigned steps, panics;

    /* After `settle`: */
    uint64_t samples;
    /* of row.spread_in_ns; NaN: none */
    double spread_rms_ns, spread_p50_ns, spread_p99_ns, spread_max_ns;
    double error_p99_ns;        /* over all good clocks */
    double bound_p50_ns;        /* published; good clocks */
    double ratio_p99;           /* error / bound */

    double worst_ns;            /* the largest row.spread_in_ns after they first were all in */
    int64_t all_in_ns;          /* when that was; -1: never */
    double shift_ns;            /* of the good clocks' mean correction from the line it followed
                                 * after `settle`, within 600 s of the first event; NaN: no event */
    double overshoot;           /* past the final target, as a share of the initial offset */
    int overshoot_node;         /* -1: no clock was far enough off to tell */
    int64_t excluded_ns[SCENARIO_NODES_MAX]; /* when first; -1: never */
    unsigned in_at_end;         /* running, and in by the master's last decision */
    unsigned formed;            /* how often a group was formed */
    unsigned refusals[REFUSAL_COUNT_]; /* frames refused, by all */
    uint64_t frames;
    uint64_t fingerprint;       /* of every frame, stamp and order */
};

struct truth;

void truth_results(struct truth *truth, struct truth_results *results);

/* The first instant after which the spread of all good clocks stays within limit_ns to the
 * end; -1: none. */
int64_t truth_converged(const struct truth *truth, double limit_ns);

#endif
