/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * estimator_challenger: a copy of the best hypothesis in which something has been
 * set free runs beside the bank, and replaces it when it predicts clearly better.
 */
#ifndef BERKELEY_CORE_ESTIMATOR_CHALLENGER_H
#define BERKELEY_CORE_ESTIMATOR_CHALLENGER_H

#include "estimator_hypothesis.h"

enum challenge {
    CHALLENGE_NONE,
    CHALLENGE_PATH,  /* d is another */
    CHALLENGE_RATE,  /* f is another */
    CHALLENGE_CLOCK, /* the clock moved: theta, f and d are others */
};

struct challenger {
    enum challenge kind;
    enum challenge routine;     /* what the next one in quiet times sets free */
    struct hypothesis hypothesis;
    unsigned age;               /* frames */
    double span_s;              /* since its start */
    double lead;                /* log evidence ahead of the best, after the burn-in */
    unsigned early[2], late[2]; /* of the best, in a row, per direction */
    unsigned lost;              /* frames in a row that said nothing to the best */
};

/* After best was updated with this frame.  True if the challenger has won: its
 * hypothesis is to be adopted, and challenger_rest() called. */
bool challenger_observe(struct challenger *challenger, const struct hypothesis *best,
                        enum direction direction, double y_ns, const struct fitting *fitting);
void challenger_predict(struct challenger *challenger, double dt_s, double doubt);
void challenger_rest(struct challenger *challenger);

#endif
