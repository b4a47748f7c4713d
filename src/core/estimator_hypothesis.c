/* SPDX-License-Identifier: BSD-2-Clause */
#include "estimator_hypothesis.h"

#include <math.h>

#define STAMP_SD_NS 20.0     /* reading two clocks is not more exact than this */
#define GATE_QUEUES 12.0     /* e^-12: one frame in 160000 queues longer, ... */
#define GATE_SD 6.0          /* ... on top of what the prediction may be wrong */
#define GATE_SD_LEAST 3.0    /* up to here nothing else need explain it */
#define CONCEDE_SD 2.0       /* earlier than that: the hypothesis was too sure of itself */
#define MOVED_SHARE 0.75     /* by measurement: the 99 % of errors are then near 1.7 sd */
#define LATE_GROWTH 1.01     /* of lambda: frames are late because queues have grown */
#define QUEUE_MEMORY 400.0   /* frames: lambda to 5 % */
#define QUEUE_RECENT 36.0    /* frames: lambda to 1 / sqrt(2 * 36) = 12 % */
#define QUEUE_CHANGED 0.5    /* four times that: recent frames are of another queue */
#define QUEUE_PRIOR 4.0      /* frames that the first guess of lambda is worth */
#define QUEUE_FLOOR_NS 100.0 /* below, quantisation of stamps looks like queueing */
#define VARIANCE_LEAST 1e-9  /* what one frame may make of a variance, at most */
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
    hypothesis->moved[THETA][THETA] +=
        dt_s * (2 * hypothesis->moved[THETA][FREQ] + dt_s * hypothesis->moved[FREQ][FREQ]);
    hypothesis->moved[THETA][FREQ] += dt_s * hypothesis->moved[FREQ][FREQ];
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

/* A queue of long waits in one direction looks like drift, and its end moves theta by
 * more than P allows, whose tails are a normal's.  So what frames moved counts as
 * uncertain until others have confirmed it: M <- r M + (PH k)(PH k)'. */
static void remember(struct hypothesis *hypothesis, const double ph[STATES], double k, double ratio)
{
    for (int i = THETA; i <= FREQ; i++)
        for (int j = i; j <= FREQ; j++)
            hypothesis->moved[i][j] =
                ratio * hypothesis->moved[i][j] + k * k * ph[i] * ph[j];
}

/* Before the frame z ~ N(m, s^2); after it z has the density of
 * N(mu = m + s^2 / lambda, s^2) cut off above y.  With a = (y - mu) / s and
 * h = phi(a) / Phi(a): mean mu - s h, variance s^2 (1 - a h - h^2), evidence
 * (m - y) / lambda + s^2 / 2 lambda^2 + ln Phi(a) above -ln lambda. */
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
    remember(hypothesis, ph, (z - m) / variance, ratio);
    correct(hypothesis, ph, (z - m) / variance, (1 - ratio) / variance);
    queue_learn(queue, y_ns - z);
    return (m - y_ns) / lambda + variance / (2 * lambda * lambda) + log_phi;
}

/* That evidence alone, for y = m - early. */
static double density(double early_ns, double lambda, double variance)
{
    double s = sqrt(variance);
    double log_phi;

    normal_hazard(-early_ns / s - s / lambda, &log_phi);
    return early_ns / lambda + variance / (2 * lambda * lambda) + log_phi;
}

/* Earlier than can be: the hypothesis was too sure of itself.  It learns that before
 * it learns from the frame, but is judged by what it had foretold. */
static double concede(struct hypothesis *hypothesis, enum direction direction, double y_ns,
                      double variance, double early_ns)
{
    double excess_ns = early_ns / CONCEDE_SD;
    double evidence = density(early_ns, hypothesis->queue[direction].mean_ns, variance);
    double ph[STATES];

    hypothesis_doubt(hypothesis, excess_ns * excess_ns / variance);
    variance = project(hypothesis, direction, ph);
    absorb(hypothesis, direction, y_ns, ph, variance);
    return evidence;
}

/* By the queue that is known, and by what the prediction may be wrong.  Or if it is likelier that
 * it is of another queue, in which frames are as late as this one on average: such a one would
 * move a prediction that is known much less well than the queue by all that it is late. */
static bool is_late(double late_ns, double lambda, double variance)
{
    double sd_ns = sqrt(variance);

    if (!(late_ns <= GATE_QUEUES * lambda + GATE_SD * sd_ns))
        return true;
    return late_ns > GATE_SD_LEAST * sd_ns && sd_ns > lambda &&
           density(-late_ns, lambda, variance) + log(late_ns / lambda) < -GATE_QUEUES;
}

static void wait_longer(struct queue *queue)
{
    queue->mean_ns *= LATE_GROWTH;
    queue->recent_ns *= LATE_GROWTH;
}

struct fitting hypothesis_update(struct hypothesis *hypothesis, enum direction direction,
                                 double y_ns)
{
    struct queue *queue = &hypothesis->queue[direction];
    double ph[STATES];
    double variance = project(hypothesis, direction, ph);
    double sd_ns = sqrt(variance);
    double early_ns = hypothesis_expects(hypothesis, direction) - y_ns;
    double level = -log(queue->mean_ns);
    double evidence = -GATE_QUEUES; /* the most that one frame may count against it */
    struct fitting fitting = {.fit = FIT_USED, .innovation_ns = -early_ns};

    hypothesis->early = early_ns > GATE_SD * sd_ns ? hypothesis->early + 1 : 0;
    if (is_late(-early_ns, queue->mean_ns, variance)) {
        fitting.fit = FIT_LATE;
        wait_longer(queue);
    } else if (hypothesis->early > 0) {
        fitting.fit = FIT_EARLY;
        if (early_ns < queue->mean_ns)
            (void)concede(hypothesis, direction, y_ns, variance, early_ns);
    } else if (early_ns > CONCEDE_SD * sd_ns) {
        evidence = fmax(evidence, concede(hypothesis, direction, y_ns, variance, early_ns));
    } else {
        evidence = fmax(evidence, absorb(hypothesis, direction, y_ns, ph, variance));
    }
    fitting.evidence = level + evidence;
    return fitting;
}

void hypothesis_confess(struct hypothesis *hypothesis, const struct hypothesis *before)
{
    for (int i = 0; i < STATES; i++)
        for (int j = 0; j < STATES; j++)
            hypothesis->p[i][j] +=
                (hypothesis->x[i] - before->x[i]) * (hypothesis->x[j] - before->x[j]);
}

double hypothesis_variance(const struct hypothesis *hypothesis, int which)
{
    return hypothesis->p[which][which] + MOVED_SHARE * hypothesis->moved[which][which];
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
