/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * demo_screen: lines that stay and, on a terminal, a table below them that is
 * drawn anew in its place.  Elsewhere the table is a block of lines like others.
 */
#ifndef BERKELEY_DEMO_SCREEN_H
#define BERKELEY_DEMO_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

enum tone { TONE_PLAIN, TONE_QUIET, TONE_STRONG, TONE_GOOD, TONE_PENDING, TONE_BAD, TONE_COUNT };

struct screen;

/* To standard output. */
struct screen *screen_new(void);
void screen_free(struct screen *screen);

/* Is the table redrawn in its place? */
bool screen_live(const struct screen *screen);

/* A paragraph above the table, broken between words; further lines are indented. */
void screen_say(struct screen *screen, enum tone tone, unsigned indent, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The table: begin, then its lines of one or more parts, then end. */
void screen_begin(struct screen *screen);
void screen_part(struct screen *screen, enum tone tone, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void screen_line_end(struct screen *screen);
void screen_end(struct screen *screen);

/* Columns that a text takes. */
unsigned screen_width(const char *text);

#endif
