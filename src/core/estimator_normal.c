/* SPDX-License-Identifier: BSD-2-Clause */
#include "estimator_hypothesis.h"

#include <math.h>

#define ROOT_2PI 2.50662827463100050242
#define LOG_ROOT_2PI 0.91893853320467274178
#define ONE_SIDED 8.0     /* Phi(8) = 1 - 6e-16: nothing is cut off */
#define TAIL (-5.0)       /* below, Phi is too small for erfc() to be the quick way */
#define TAIL_TERMS 12     /* of the fraction; relative error < 1e-9 at TAIL and beyond */

/* Phi(-x) / phi(x) = 1/(x + 1/(x + 2/(x + 3/(x + ...)))) */
static double tail_hazard(double x)
{
    double fraction = x;

    for (int k = TAIL_TERMS; k >= 1; k--)
        fraction = x + k / fraction;
    return fraction;
}

double normal_hazard(double a, double *log_phi)
{
    double below, hazard;

    if (a > ONE_SIDED) {
        *log_phi = 0;
        return 0;
    }
    if (a < TAIL) {
        hazard = tail_hazard(-a);
        *log_phi = -a * a / 2 - LOG_ROOT_2PI - log(hazard);
        return hazard;
    }
    below = erfc(-a * M_SQRT1_2) / 2;
    *log_phi = log(below);
    return exp(-a * a / 2) / (ROOT_2PI * below);
}
