/* SPDX-License-Identifier: BSD-2-Clause */
#include "estimator_hypothesis.h"

#include <math.h>

#define STAMP_SD_NS 20.0     /* reading two clocks is not more exact than this */
#define GATE_QUEUES 12.0     /* e^-12: one frame in 160000 queues longer, ... */
#define GATE_SD 6.0          /* ... on top of what the prediction may be wrong */
#define CONCEDE_SD 2.5
#define LATE_GROWTH 1.01     /* of lambda: frames are late because queues have grown */
#define QUEUE_MEMORY 400.0   /* frames: lambda to 5 % */
#define QUEUE_RECENT 36.0    /* frames: lambda to 1 / sqrt(2 * 36) = 12 % */
#define QUEUE_CHANGED 0.5    /* four times that: recent frames are of another queue */
#define QUEUE_PRIOR 4.0      /* frames that the first guess of lambda is worth */
#define QUEUE_FLOOR_NS 100.0 /* below, quantisation of stamps looks like queueing */
#define VARIANCE_LEAST 1e-9  /* ratio: what one frame may make of a variance */
#define FAR_BELOW (-1e3)     /* 1 - a h - h^2 is lost to rounding; it tends to 1 / a^2 */

struct queue queue_new(double mean_ns)
{
    return (struct queue){.mean_ns = mean_ns, .recent_ns = mean_ns, .count = QUEUE_PRIOR};
}

static void queue_learn(struct queue *queue, double wait_ns)
{
    queue->count = fmin(queue->count + 1, QUEUE_MEMORY);
    queue->mean_ns += (wait_ns - queue->mean_ns) / queue->count;
    queue->recent_ns += (wait_ns - queue->recent_ns) / fmin(queue->count, QUEUE_RECENT);
    if (fabs(queue->recent_ns - queue->mean_ns) > QUEUE_CHANGED * queue->mean_ns) {
        queue->mean_ns = queue->recent_ns;
        queue->count = fmin(queue->count, QUEUE_RECENT);
    }
    queue->mean_ns = fmax(queue->mean_ns, QUEUE_FLOOR_NS);
}

/* x <- F x, P <- F P F' + Q with theta' = theta + f dt and
 * Q = W^2 (dt^3/3, dt^2/2; dt^2/2, dt).  Backwards in time Q is that of |dt|. */
void hypothesis_predict(struct hypothesis *hypothesis, double dt_s)
{
    double(*p)[STATES] = hypothesis->p;
    double walk = hypothesis->wander_ppb * hypothesis->wander_ppb * fabs(dt_s);

    hypothesis->x[THETA] += dt_s * hypothesis->x[FREQ];
    p[THETA][THETA] += dt_s * (2 * p[THETA][FREQ] + dt_s * (p[FREQ][FREQ] + walk / 3));
    p[THETA][FREQ] += dt_s * (p[FREQ][FREQ] + walk / 2);
    p[THETA][DELAY] += dt_s * p[FREQ][DELAY];
    p[FREQ][FREQ] += walk;
    p[FREQ][THETA] = p[THETA][FREQ];
    p[DELAY][THETA] = p[THETA][DELAY];
}

void hypothesis_doubt(struct hypothesis *hypothesis, double factor)
{
    for (int i = 0; i < STATES; i++)
        for (int j = 0; j < STATES; j++)
            hypothesis->p[i][j] *= factor;
}

double hypothesis_expects(const struct hypothesis *hypothesis, enum direction direction)
{
    double theta_ns = hypothesis->x[THETA];

    return hypothesis->x[DELAY] + (direction == FORWARD ? theta_ns : -theta_ns);
}

/* P H' of z = +-theta + d; returns the variance of z + n. */
static double project(const struct hypothesis *hypothesis, enum direction direction,
                      double ph[STATES])
{
    double sign = direction == FORWARD ? 1 : -1;
    double edge_ns = hypothesis->sharpness * hypothesis->queue[direction].mean_ns;

    for (int i = 0; i < STATES; i++)
        ph[i] = sign * hypothesis->p[i][THETA] + hypothesis->p[i][DELAY];
    return sign * ph[THETA] + ph[DELAY] + edge_ns * edge_ns + STAMP_SD_NS * STAMP_SD_NS;
}

/* x <- x + PH k, P <- P - PH c PH' */
static void correct(struct hypothesis *hypothesis, const double ph[STATES], double k, double c)
{
    for (int i = 0; i < STATES; i++) {
        hypothesis->x[i] += ph[i] * k;
        for (int j = 0; j < STATES; j++)
            hypothesis->p[i][j] -= c * ph[i] * ph[j];
    }
}

/* Before the frame z ~ N(m, s^2); after it z has the density of
 * N(mu = m + s^2 / lambda, s^2) cut off above y.  With a = (y - mu) / s and
 * h = phi(a) / Phi(a): mean mu - s h, variance s^2 (1 - a h - h^2), evidence
 * -ln lambda + (m - y) / lambda + s^2 / 2 lambda^2 + ln Phi(a). */
static double absorb(struct hypothesis *hypothesis, enum direction direction, double y_ns,
                     const double ph[STATES], double variance)
{
    struct queue *queue = &hypothesis->queue[direction];
    double lambda = queue->mean_ns;
    double m = hypothesis_expects(hypothesis, direction);
    double s = sqrt(variance);
    double mu = m + variance / lambda;
    double a = (y_ns - mu) / s;
    double log_phi;
    double h = normal_hazard(a, &log_phi);
    double ratio = a < FAR_BELOW ? 1 / (a * a) : 1 - h * (a + h);
    double z = mu - s * h;

    ratio = fmin(fmax(ratio, VARIANCE_LEAST), 1);
    correct(hypothesis, ph, (z - m) / variance, (1 - ratio) / variance);
    queue_learn(queue, y_ns - z);
    return -log(lambda) + (m - y_ns) / lambda + variance / (2 * lambda * lambda) + log_phi;
}

/* Log density of y if z ~ N(m, s^2) and more. */
static double density(double early_ns, double lambda, double variance)
{
    double s = sqrt(variance);
    double log_phi;

    normal_hazard(-early_ns / s - s / lambda, &log_phi);
    return -log(lambda) + early_ns / lambda + variance / (2 * lambda * lambda) + log_phi;
}

struct fitting hypothesis_update(struct hypothesis *hypothesis, enum direction direction,
                                 double y_ns)
{
    struct queue *queue = &hypothesis->queue[direction];
    double ph[STATES];
    double variance = project(hypothesis, direction, ph);
    double margin_ns = GATE_SD * sqrt(variance);
    /* The most that one frame may count against a hypothesis. */
    struct fitting fitting = {.evidence = -log(queue->mean_ns) - GATE_QUEUES};
    double worst = fitting.evidence;
    double early_ns;

    fitting.innovation_ns = y_ns - hypothesis_expects(hypothesis, direction);
    if (!(fitting.innovation_ns <= GATE_QUEUES * queue->mean_ns + margin_ns)) {
        fitting.fit = FIT_LATE;
        hypothesis->early = 0;
        queue->mean_ns *= LATE_GROWTH;
        queue->recent_ns *= LATE_GROWTH;
        return fitting;
    }
    early_ns = -fitting.innovation_ns;
    if (early_ns > margin_ns) {
        fitting.fit = FIT_EARLY;
        hypothesis->early++;
        if (!(early_ns < queue->mean_ns))
            return fitting;
    } else {
        hypothesis->early = 0;
    }
    if (early_ns > CONCEDE_SD * sqrt(variance)) {
        double excess = early_ns / CONCEDE_SD;

        fitting.evidence = fmax(density(early_ns, queue->mean_ns, variance), worst);
        hypothesis_doubt(hypothesis, excess * excess / variance);
        variance = project(hypothesis, direction, ph);
        absorb(hypothesis, direction, y_ns, ph, variance);
        return fitting;
    }
    fitting.evidence = fmax(absorb(hypothesis, direction, y_ns, ph, variance), worst);
    return fitting;
}

void hypothesis_adopt(struct hypothesis *hypothesis, const struct hypothesis *other)
{
    struct hypothesis before = *hypothesis;

    *hypothesis = *other;
    hypothesis->wander_ppb = before.wander_ppb;
    hypothesis->sharpness = before.sharpness;
    hypothesis->evidence = before.evidence;
    hypothesis->early = 0;
    hypothesis->idle = false;
}
