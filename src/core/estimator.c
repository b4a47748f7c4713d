/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bank of hypotheses over W and rho, which nobody knows beforehand: each follows
 * the link under its own assumption, and the answer is their mean, weighted by how
 * well each has foretold the frames.
 */
#include "core/estimator.h"

#include "core/timestamp.h"
#include "estimator_challenger.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WANDERS 8             /* from 1e-10 to 2e-7: rubidium to a crystal in a draught */
#define WANDER_LEAST_PPB 0.1
#define WANDER_RATIO 3.0      /* what lies between is answered by the mean of its neighbours */
#define SHARPNESSES 4
#define BANK (WANDERS * SHARPNESSES)
#define FREQ_PRIOR_PPB 300e3  /* crystals: nearly all within 100 ppm; some are far worse */
#define QUEUE_SHARE 8.0       /* of the first round trip: a guess of lambda */
#define HOPELESS 13.0         /* log evidence behind the best: not followed, ... */
#define FRESH 12.0            /* ... and where it starts again, because links change, ... */
#define FRESH_FRAMES 64       /* ... every so many frames */
#define EARLY_TO_ADOPT 3      /* frames in a row: a hypothesis that has lost its way */
/* What the first n frames said was said before lambda was known: they count half among
 * 2 n, and nothing counts for ever, for paths change. */
#define DOUBT 1.0
#define DOUBT_FRAMES 2000.0
#define LOST_TO_RESTART 64    /* frames in a row that fit nothing, ... */
#define EARLY_TO_RESTART 32   /* ... of one direction that came impossibly early: no queue does that */
#define BETTER_START 8.0      /* times: a first round trip this much longer than a later one ... */
#define BETTER_START_FRAMES 64 /* ... soon after it was one that somebody slept through */
#define BACK_LIMIT_S 10.0     /* frames this much older than the newest are not used */
/* Doubles have 53 bits: within 2^40 ns = 1100 s of the origin theta is held to 2^-12 ns.
 * A clock 100 ppm fast gets there in four months. */
#define ORIGIN_RANGE_NS 0x1p40
#define JUMP_FLOOR_NS 50e3    /* less than a scheduler may do to stamps is not called a jump */
#define JUMP_QUEUES 10.0
#define JUMP_SD 6.0

static const double sharpness[SHARPNESSES] = {0.003, 0.05, 0.3, 1};

struct estimator {
    struct hypothesis bank[BANK];
    unsigned best;
    struct challenger challenger;
    bool started;
    unsigned samples;
    int64_t raw_ns;        /* of the newest frame, on the master's RAW */
    int64_t origin_ns;     /* what hypotheses' theta is relative to */
    double start_half_ns;  /* half of the round trip it started from */
    bool have_forward;     /* the newest frame of all */
    int64_t forward_master_ns, forward_slave_ns;
    bool have_prior;
    struct estimator_prior prior;
};

struct estimator *estimator_new(void)
{
    return calloc(1, sizeof(struct estimator));
}

void estimator_free(struct estimator *estimator)
{
    free(estimator);
}

void estimator_reset(struct estimator *estimator)
{
    *estimator = (struct estimator){0};
}

void estimator_expect(struct estimator *estimator, const struct estimator_prior *prior)
{
    estimator->have_prior = prior->offset_sd_ns > 0 && isfinite(prior->offset_sd_ns) &&
                            prior->freq_sd_ppb > 0 && isfinite(prior->freq_sd_ppb) &&
                            isfinite(prior->freq_ppb);
    estimator->prior = *prior;
}

static double seconds(int64_t span_ns)
{
    return (double)span_ns / 1e9;
}

/* The middle of the first round trip, certain to half of it. */
static void start_afresh(struct hypothesis *hypothesis, double half_ns)
{
    hypothesis->x[THETA] = -half_ns;
    hypothesis->x[DELAY] = half_ns;
    hypothesis->p[THETA][THETA] = hypothesis->p[DELAY][DELAY] = half_ns * half_ns;
    hypothesis->p[FREQ][FREQ] = FREQ_PRIOR_PPB * FREQ_PRIOR_PPB;
    hypothesis->queue[FORWARD] = hypothesis->queue[BACKWARD] =
        queue_new(2 * half_ns / QUEUE_SHARE);
}

/* Does the prior say more than the first round trip, and nothing else? */
static bool prior_helps(const struct estimator *estimator, double half_ns, double theta_ns)
{
    const struct estimator_prior *prior = &estimator->prior;
    double dt_s = seconds(estimator->forward_master_ns - prior->master_raw_ns);
    double sd_ns = hypot(prior->offset_sd_ns, dt_s * prior->freq_sd_ppb);

    return estimator->have_prior && dt_s >= 0 && sd_ns < half_ns &&
           fabs(theta_ns + dt_s * prior->freq_ppb + half_ns) <= half_ns + JUMP_SD * sd_ns;
}

static void start_informed(struct hypothesis *hypothesis, const struct estimator *estimator,
                           double theta_ns)
{
    const struct estimator_prior *prior = &estimator->prior;

    hypothesis->x[THETA] = theta_ns;
    hypothesis->x[FREQ] = prior->freq_ppb;
    hypothesis->p[THETA][THETA] = prior->offset_sd_ns * prior->offset_sd_ns;
    hypothesis->p[FREQ][FREQ] = prior->freq_sd_ppb * prior->freq_sd_ppb;
    hypothesis_predict(hypothesis, seconds(estimator->forward_master_ns - prior->master_raw_ns));
}

/* With the forward frame's offset as origin. */
static void start(struct estimator *estimator, double half_ns)
{
    int64_t theta_ns = 0;
    bool informed;

    estimator->origin_ns = estimator->forward_slave_ns - estimator->forward_master_ns;
    informed = timestamp_sub(estimator->prior.offset_ns, estimator->origin_ns, &theta_ns) == 0 &&
               prior_helps(estimator, half_ns, (double)theta_ns);
    for (unsigned i = 0; i < BANK; i++) {
        struct hypothesis *hypothesis = &estimator->bank[i];

        *hypothesis = (struct hypothesis){
            .wander_ppb = WANDER_LEAST_PPB * pow(WANDER_RATIO, (int)(i / SHARPNESSES)),
            .sharpness = sharpness[i % SHARPNESSES]};
        start_afresh(hypothesis, half_ns);
        if (informed)
            start_informed(hypothesis, estimator, (double)theta_ns);
    }
    estimator->start_half_ns = half_ns;
    estimator->best = BANK / 2;
    estimator->challenger = (struct challenger){0};
    estimator->raw_ns = estimator->forward_master_ns;
    estimator->samples = 0;
    estimator->started = true;
    estimator->have_prior = false;
}

static void move_origin(struct estimator *estimator)
{
    double theta_ns = estimator->bank[estimator->best].x[THETA];
    int64_t shift_ns = timestamp_round(theta_ns);

    if (fabs(theta_ns) < ORIGIN_RANGE_NS ||
        timestamp_add(estimator->origin_ns, shift_ns, &estimator->origin_ns) < 0)
        return;
    for (unsigned i = 0; i < BANK; i++)
        estimator->bank[i].x[THETA] -= (double)shift_ns;
    estimator->challenger.hypothesis.x[THETA] -= (double)shift_ns;
}

static void adopt_all(struct estimator *estimator, const struct hypothesis *other)
{
    for (unsigned i = 0; i < BANK; i++) {
        hypothesis_adopt(&estimator->bank[i], other);
        estimator->bank[i].evidence = fmax(estimator->bank[i].evidence, -FRESH);
    }
}

/* Evidence is kept relative to the best; the hopeless rest, and get a new chance
 * now and then from where the best is: what the link was like need not stay true. */
static void rank(struct estimator *estimator)
{
    struct hypothesis *bank = estimator->bank;
    bool refresh = estimator->samples % FRESH_FRAMES == 0;
    double level;

    for (unsigned i = 0; i < BANK; i++)
        if (!bank[i].idle && bank[i].evidence > bank[estimator->best].evidence)
            estimator->best = i;
    level = bank[estimator->best].evidence;
    for (unsigned i = 0; i < BANK; i++) {
        bool fresh = bank[i].idle ? refresh : bank[i].early >= EARLY_TO_ADOPT;

        if (!bank[i].idle)
            bank[i].evidence -= level;
        bank[i].idle |= bank[i].evidence < -HOPELESS;
        if (!fresh || i == estimator->best)
            continue;
        bank[i].evidence = -FRESH;
        hypothesis_adopt(&bank[i], &bank[estimator->best]);
    }
}

static bool jumped(const struct hypothesis *before, const struct hypothesis *after)
{
    double queues_ns = before->queue[FORWARD].mean_ns + before->queue[BACKWARD].mean_ns;
    double sd_ns = sqrt(before->p[THETA][THETA]) + sqrt(after->p[THETA][THETA]);

    return fabs(after->x[THETA] - before->x[THETA]) >
           JUMP_FLOOR_NS + JUMP_QUEUES * queues_ns + JUMP_SD * sd_ns;
}

/* One frame for all.  True if the clock jumped. */
static bool absorb(struct estimator *estimator, enum direction direction, int64_t master_raw_ns,
                   double y_ns)
{
    double dt_s = seconds(master_raw_ns - estimator->raw_ns);
    double doubt = 1 + DOUBT / fmin(estimator->samples + 2, DOUBT_FRAMES);
    struct hypothesis before;
    struct fitting best = {0};
    bool won, moved;

    if (dt_s < -BACK_LIMIT_S)
        return false;
    for (unsigned i = 0; i < BANK; i++) {
        struct hypothesis *hypothesis = &estimator->bank[i];
        struct fitting fitting;

        if (hypothesis->idle)
            continue;
        hypothesis_predict(hypothesis, dt_s);
        hypothesis_doubt(hypothesis, doubt);
        fitting = hypothesis_update(hypothesis, direction, y_ns);
        hypothesis->evidence += fitting.evidence;
        if (i == estimator->best)
            best = fitting;
    }
    estimator->raw_ns = master_raw_ns;
    estimator->samples++;
    before = estimator->bank[estimator->best];
    challenger_predict(&estimator->challenger, dt_s, doubt);
    won = challenger_observe(&estimator->challenger, &before, direction, y_ns, &best);
    rank(estimator);
    if (!won)
        return false;
    if (estimator->challenger.kind == CHALLENGE_CLOCK)
        estimator->samples = estimator->challenger.age; /* it is another clock from here on */
    else
        hypothesis_confess(&estimator->challenger.hypothesis, &before);
    adopt_all(estimator, &estimator->challenger.hypothesis);
    moved = estimator->challenger.kind == CHALLENGE_CLOCK &&
            jumped(&before, &estimator->challenger.hypothesis);
    challenger_rest(&estimator->challenger);
    return moved;
}

/* Nothing fits any more, or a liar's figures have left the range of doubles. */
static bool is_lost(const struct estimator *estimator)
{
    const struct hypothesis *best = &estimator->bank[estimator->best];
    const struct challenger *challenger = &estimator->challenger;

    return challenger->lost >= LOST_TO_RESTART || challenger->early[FORWARD] >= EARLY_TO_RESTART ||
           challenger->early[BACKWARD] >= EARLY_TO_RESTART || !isfinite(best->x[THETA]) ||
           !(best->p[THETA][THETA] > 0);
}

/* Half the round trip that ends with this frame from the slave, and how far back its
 * way was; false if there is none. */
static bool round_trip(struct estimator *estimator, int64_t master_raw_ns, int64_t slave_raw_ns,
                       double *half_ns, int64_t *back_ns)
{
    int64_t there_ns, rtt_ns;

    if (!estimator->have_forward)
        return false;
    estimator->have_forward = false;
    if (timestamp_sub(estimator->forward_slave_ns, estimator->forward_master_ns, &there_ns) < 0 ||
        timestamp_sub(master_raw_ns, slave_raw_ns, back_ns) < 0 ||
        timestamp_add(there_ns, *back_ns, &rtt_ns) < 0 || rtt_ns <= 0 ||
        master_raw_ns < estimator->forward_master_ns)
        return false;
    *half_ns = (double)rtt_ns / 2;
    return true;
}

/* A first pair of frames, from which there is an estimate; or one so much better soon
 * afterwards that everything rests on it rather than on that. */
static bool begins(struct estimator *estimator, int64_t master_raw_ns, int64_t slave_raw_ns)
{
    double half_ns;
    int64_t back_ns;

    if (!round_trip(estimator, master_raw_ns, slave_raw_ns, &half_ns, &back_ns))
        return false;
    if (estimator->started && (estimator->samples > BETTER_START_FRAMES ||
                               half_ns * BETTER_START > estimator->start_half_ns))
        return false;
    start(estimator, half_ns);
    (void)absorb(estimator, FORWARD, estimator->forward_master_ns, 0);
    (void)absorb(estimator, BACKWARD, master_raw_ns, (double)(back_ns + estimator->origin_ns));
    return true;
}

bool estimator_observe(struct estimator *estimator, enum direction direction, int64_t master_raw_ns,
                       int64_t slave_raw_ns)
{
    int64_t y_ns;
    bool moved;

    if (!timestamp_valid(master_raw_ns) || !timestamp_valid(slave_raw_ns))
        return false;
    if (direction == BACKWARD && begins(estimator, master_raw_ns, slave_raw_ns))
        return false;
    if (direction == FORWARD) {
        estimator->have_forward = true;
        estimator->forward_master_ns = master_raw_ns;
        estimator->forward_slave_ns = slave_raw_ns;
    }
    if (!estimator->started ||
        timestamp_sub(slave_raw_ns - master_raw_ns, estimator->origin_ns, &y_ns) < 0)
        return false;
    moved = absorb(estimator, direction, master_raw_ns,
                   direction == FORWARD ? (double)y_ns : -(double)y_ns);
    move_origin(estimator);
    if (!is_lost(estimator))
        return moved;
    estimator_reset(estimator);
    return true;
}

/* Means over the bank, weighted by evidence; of squares with the weights'
 * cube roots: how the link will go on is less certain than how it went. */
struct mixture {
    double weight;
    double theta, freq, delay;
    double root_weight;
    double root_theta, root_freq;
    double theta_square, freq_square; /* of the hypotheses' own uncertainties and means */
    double wander_square;
};

/* Relative to the best one's, so that the squares keep their digits. */
static void mix(struct mixture *mixture, const struct hypothesis *hypothesis,
                const struct hypothesis *best)
{
    double root = exp(hypothesis->evidence / 3);
    double weight = root * root * root;
    double theta = hypothesis->x[THETA] - best->x[THETA];
    double freq = hypothesis->x[FREQ] - best->x[FREQ];

    mixture->weight += weight;
    mixture->theta += weight * theta;
    mixture->freq += weight * freq;
    mixture->delay += weight * hypothesis->x[DELAY];
    mixture->root_weight += root;
    mixture->root_theta += root * theta;
    mixture->root_freq += root * freq;
    mixture->theta_square += root * (hypothesis_variance(hypothesis, THETA) + theta * theta);
    mixture->freq_square += root * (hypothesis_variance(hypothesis, FREQ) + freq * freq);
    mixture->wander_square += weight * hypothesis->wander_ppb * hypothesis->wander_ppb;
}

static struct mixture mixture_at(const struct estimator *estimator, double dt_s,
                                 struct hypothesis *best)
{
    struct mixture mixture = {0};

    *best = estimator->bank[estimator->best];
    hypothesis_predict(best, dt_s);
    for (unsigned i = 0; i < BANK; i++) {
        struct hypothesis hypothesis = estimator->bank[i];

        if (hypothesis.idle)
            continue;
        hypothesis_predict(&hypothesis, dt_s);
        mix(&mixture, &hypothesis, best);
    }
    return mixture;
}

/* The sd around the mean of what has this sum and this sum of squares. */
static double spread(double square, double sum, double mean, double weight)
{
    return sqrt(fmax(0, square - 2 * mean * sum + mean * mean * weight) / weight);
}

int estimator_estimate(const struct estimator *estimator, int64_t master_raw_ns,
                       struct estimate *estimate)
{
    struct hypothesis best;
    struct mixture sum;
    double theta, freq;
    int64_t offset_ns;

    if (!estimator->started)
        return -ENODATA;
    sum = mixture_at(estimator, seconds(master_raw_ns - estimator->raw_ns), &best);
    theta = sum.theta / sum.weight;
    freq = sum.freq / sum.weight;
    if (timestamp_add(estimator->origin_ns, timestamp_round(best.x[THETA] + theta), &offset_ns) < 0)
        return -ENODATA;
    *estimate = (struct estimate){
        .offset_ns = offset_ns,
        .freq_ppb = best.x[FREQ] + freq,
        .delay_ns = fmax(0, sum.delay / sum.weight),
        .offset_sd_ns = spread(sum.theta_square, sum.root_theta, theta, sum.root_weight),
        .freq_sd_ppb = spread(sum.freq_square, sum.root_freq, freq, sum.root_weight),
        .wander_ppb = sqrt(sum.wander_square / sum.weight),
        .jitter_ns = fmin(best.queue[FORWARD].mean_ns, best.queue[BACKWARD].mean_ns),
        .samples = estimator->samples};
    return 0;
}
