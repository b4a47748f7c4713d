/* SPDX-License-Identifier: BSD-2-Clause */
/* text: figures for people, in the buffer or a constant. */
#ifndef BERKELEY_CTL_TEXT_H
#define BERKELEY_CTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_SIZE 64

/* The characters that the terminal is sent are UTF-8, whatever the locale; what depends on it is
 * whether it can be trusted to draw with more than ASCII.  At the start of the program. */
void text_open(void);
bool text_draws(void);
/* Columns of a terminal. */
size_t text_width(const char *text);
/* Bytes of the characters that fit into so many columns. */
size_t text_fit(const char *text, size_t columns);

/* Three digits: "3.1 µs", "+3.1 µs". */
const char *text_time(int64_t ns, char buffer[TEXT_SIZE]);
const char *text_signed_time(int64_t ns, char buffer[TEXT_SIZE]);
/* The same for whole seconds. */
const char *text_seconds(int64_t seconds, char buffer[TEXT_SIZE]);
/* "-27 ppb", "+12.3 ppm" */
const char *text_rate(double ppb, char buffer[TEXT_SIZE]);
/* "13:05:22" where the machine is. */
const char *text_clock(int64_t unix_ns, char buffer[TEXT_SIZE]);
/* "2026-11-23 13:05:22.1234567 UTC", rounded down or up to so many decimals, 0 to 9. */
const char *text_utc(int64_t unix_ns, unsigned decimals, bool up, char buffer[TEXT_SIZE]);

#endif
