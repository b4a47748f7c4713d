/* SPDX-License-Identifier: BSD-2-Clause */
/* duration: spans of time as people write them: "50 ms", "-1.5 s", "1 h", "500us". */
#ifndef BERKELEY_DAEMON_DURATION_H
#define BERKELEY_DAEMON_DURATION_H

#include <stdint.h>

#define DURATION_SIZE 32
#define DURATION_ALLOWED "a number and a unit: ns, us, ms, s, min, h or d, as \"50 ms\""

/* 0; -EINVAL if it is no such thing, is finer than 1 ns or lacks its unit; -ERANGE if it does not
 * fit. */
int duration_parse(const char *text, int64_t *ns);

/* In the largest unit that divides it; buffer holds DURATION_SIZE bytes, and is returned. */
const char *duration_print(int64_t ns, char *buffer);

#endif
