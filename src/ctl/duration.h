/* SPDX-License-Identifier: BSD-2-Clause */
/* duration: "50 ms", "1.5s", "3min", as in berkeley.conf. */
#ifndef BERKELEY_CTL_DURATION_H
#define BERKELEY_CTL_DURATION_H

#include <stdint.h>

#define DURATION_ALLOWED "a number and a unit: ns, us, ms, s, min, h or d, as \"50 ms\""

/* Not negative.  0; -EINVAL: no such thing; -ERANGE: finer than 1 ns or beyond 292 years. */
int duration_parse(const char *text, int64_t *ns);

#endif
