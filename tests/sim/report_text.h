/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report_text: lengths of time as a person reads them; private to the report.
 */
#ifndef BERKELEY_SIM_REPORT_TEXT_H
#define BERKELEY_SIM_REPORT_TEXT_H

#include <stdint.h>

#define REPORT_TEXT_SIZE 32

/* "1.25 us": three digits; "none" for NaN.  Returns the buffer. */
const char *report_ns(double ns, char buffer[REPORT_TEXT_SIZE]);
/* "421.250 s"; "never" if negative. */
const char *report_time(int64_t ns, char buffer[REPORT_TEXT_SIZE]);

#endif
