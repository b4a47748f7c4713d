/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * estimator_hypothesis: the estimate of one link under one assumption of how much
 * the frequency wanders (W) and how sharp the edge of the delays is (rho).
 *
 * State x = (theta, f, d) in ns, ppb (ns per s), ns; theta relative to an origin
 * that the caller keeps.  A frame that crosses forward gives
 * y = theta + d + n + e, backward y = -theta + d + n + e, with n Gaussian of sd
 * rho * lambda and e >= 0 exponential of mean lambda.
 */
#ifndef BERKELEY_CORE_ESTIMATOR_HYPOTHESIS_H
#define BERKELEY_CORE_ESTIMATOR_HYPOTHESIS_H

#include "core/estimator.h"

enum { THETA, FREQ, DELAY, STATES };

/* How late the frames of a direction come on average, beyond the base delay. */
struct queue {
    double mean_ns;   /* lambda, over up to the last QUEUE_MEMORY frames */
    double recent_ns; /* over the last few */
    double count;
};

struct hypothesis {
    double wander_ppb; /* W: of f, after one second */
    double sharpness;  /* rho */
    double x[STATES];
    double p[STATES][STATES];
    double moved[2][2]; /* second moments of what the last frames corrected theta and f by */
    struct queue queue[2]; /* of each enum direction */
    double evidence;       /* log, relative to a level common to the bank */
    unsigned early;        /* frames in a row that came impossibly early */
    bool idle;             /* evidence hopeless: not followed for now */
};

enum fit {
    FIT_USED,
    FIT_LATE,  /* says nothing of the offset */
    FIT_EARLY, /* contradicts the hypothesis */
};

/* What one frame did to a hypothesis. */
struct fitting {
    enum fit fit;
    double evidence;      /* log density of the frame */
    double innovation_ns; /* y - m: before the update */
};

void hypothesis_predict(struct hypothesis *hypothesis, double dt_s);
/* Multiplies all variances. */
void hypothesis_doubt(struct hypothesis *hypothesis, double factor);
struct fitting hypothesis_update(struct hypothesis *hypothesis, enum direction direction,
                                 double y_ns);
/* What a change of mind moved is uncertain until frames have confirmed it. */
void hypothesis_confess(struct hypothesis *hypothesis, const struct hypothesis *before);
/* Takes over the other's state but keeps its own W, rho and evidence. */
void hypothesis_adopt(struct hypothesis *hypothesis, const struct hypothesis *other);
/* +theta + d or -theta + d. */
double hypothesis_expects(const struct hypothesis *hypothesis, enum direction direction);
/* Of theta or f, as far as it can be told: P, and what the last frames moved. */
double hypothesis_variance(const struct hypothesis *hypothesis, int which);
struct queue queue_new(double mean_ns);

/* h = phi(a) / Phi(a) of the normal distribution, and log Phi(a). */
double normal_hazard(double a, double *log_phi);

#endif
