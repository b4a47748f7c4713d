/* SPDX-License-Identifier: BSD-2-Clause */
#include "estimator_challenger.h"

#include <math.h>

#define LIFE 128            /* frames in quiet times: a small change needs as many to show, ... */
#define LIFE_ODD 24         /* ... one of the clock is plain at once, or not at all */
#define BURN_IN 6           /* frames that it may fit itself to before they count */
#define LEAD 20.0           /* log evidence: e^20 to 1 against chance */
#define SPAN_LEAST_S 0.25   /* a single burst of frames proves nothing */
#define EARLY 3             /* frames in a row */
#define EARLY_BOTH 2
#define LATE_ONE_WAY 32
#define LOST 8
#define FREE_QUEUES 5.0     /* how far a quantity is set free, in mean queueing times */
/* No path changes by more, and its square still leaves doubles the digits of a stamp's. */
#define FREE_MOST_NS 1e9
#define FREE_RATE_PPB 1e3   /* a crystal's jump: 1 ppm; or what moved it as far in a second */
#define FREE_RATE_MOST_PPB 1e6

static unsigned larger(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

/* A path's change shows in both directions, a clock's in each the other way. */
static bool clock_moved(const struct challenger *challenger)
{
    const unsigned *early = challenger->early;
    const unsigned *late = challenger->late;
    bool early_both = early[FORWARD] >= EARLY_BOTH && early[BACKWARD] >= EARLY_BOTH;

    return (larger(early[FORWARD], early[BACKWARD]) >= EARLY && !early_both) ||
           (late[FORWARD] >= LATE_ONE_WAY && late[BACKWARD] == 0) ||
           (late[BACKWARD] >= LATE_ONE_WAY && late[FORWARD] == 0);
}

/* Frames that fit are no reason to look for a large change. */
static void release(struct hypothesis *hypothesis, enum challenge kind, enum direction direction,
                    const struct fitting *fitting)
{
    double(*p)[STATES] = hypothesis->p;
    double queues_ns = hypothesis->queue[FORWARD].mean_ns + hypothesis->queue[BACKWARD].mean_ns;
    double off_ns = fitting->fit == FIT_USED ? 0 : fitting->innovation_ns;
    double half_ns = fmin(fabs(off_ns), FREE_MOST_NS) / 2;
    double free_ns = hypot(FREE_QUEUES * queues_ns, half_ns);

    hypothesis->early = 0;
    if (kind == CHALLENGE_PATH) {
        hypothesis->x[DELAY] += off_ns;
        p[DELAY][DELAY] += free_ns * free_ns;
    }
    if (kind == CHALLENGE_RATE)
        p[FREQ][FREQ] += FREE_RATE_PPB * FREE_RATE_PPB;
    if (kind == CHALLENGE_CLOCK) {
        /* All of it is theta's, until the other direction says otherwise. */
        hypothesis->x[THETA] += direction == FORWARD ? off_ns : -off_ns;
        p[THETA][THETA] += free_ns * free_ns;
        p[DELAY][DELAY] += free_ns * free_ns;
        p[FREQ][FREQ] += pow(hypot(FREE_RATE_PPB, fmin(fabs(off_ns), FREE_RATE_MOST_PPB)), 2);
    }
}

static void start(struct challenger *challenger, enum challenge kind,
                  const struct hypothesis *best, enum direction direction,
                  const struct fitting *fitting)
{
    challenger->kind = kind;
    challenger->hypothesis = *best;
    challenger->age = 0;
    challenger->span_s = 0;
    challenger->lead = 0;
    release(&challenger->hypothesis, kind, direction, fitting);
}

static void count(struct challenger *challenger, enum direction direction, enum fit fit)
{
    challenger->early[direction] = fit == FIT_EARLY ? challenger->early[direction] + 1 : 0;
    challenger->late[direction] = fit == FIT_LATE ? challenger->late[direction] + 1 : 0;
    challenger->lost = fit == FIT_USED ? 0 : challenger->lost + 1;
}

bool challenger_observe(struct challenger *challenger, const struct hypothesis *best,
                        enum direction direction, double y_ns, const struct fitting *fitting)
{
    unsigned *early = challenger->early;
    struct fitting own;
    bool odd, alarm;

    count(challenger, direction, fitting->fit);
    odd = clock_moved(challenger);
    alarm = (fitting->fit == FIT_EARLY && larger(early[FORWARD], early[BACKWARD]) == EARLY) ||
            challenger->lost == LOST;
    if (alarm || challenger->kind == CHALLENGE_NONE ||
        challenger->age >= (odd ? LIFE_ODD : LIFE)) {
        challenger->routine =
            challenger->routine == CHALLENGE_PATH ? CHALLENGE_RATE : CHALLENGE_PATH;
        start(challenger,
              odd ? CHALLENGE_CLOCK : challenger->lost ? CHALLENGE_PATH : challenger->routine,
              best, direction, fitting);
        return false;
    }
    own = hypothesis_update(&challenger->hypothesis, direction, y_ns);
    if (++challenger->age > BURN_IN)
        challenger->lead += own.evidence - fitting->evidence;
    return challenger->lead > LEAD && challenger->span_s >= SPAN_LEAST_S &&
           challenger->hypothesis.x[DELAY] > 0;
}

void challenger_predict(struct challenger *challenger, double dt_s, double doubt)
{
    if (challenger->kind == CHALLENGE_NONE)
        return;
    hypothesis_predict(&challenger->hypothesis, dt_s);
    hypothesis_doubt(&challenger->hypothesis, doubt);
    challenger->span_s += dt_s;
}

void challenger_rest(struct challenger *challenger)
{
    *challenger = (struct challenger){.routine = challenger->routine};
}
