/* SPDX-License-Identifier: BSD-2-Clause */
/* screen: a terminal that is drawn on and given back as it was. */
#ifndef BERKELEY_CTL_SCREEN_H
#define BERKELEY_CTL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum screen_event {
    SCREEN_TIME,   /* it is the deadline */
    SCREEN_REDRAW, /* the size is another one, or somebody else had the terminal */
    SCREEN_QUIT,   /* q */
    SCREEN_SIGNAL, /* that ends the program */
};

/* Of standard output, from now to screen_leave(); signals that end or stop the program are held
 * back meanwhile.  0 or -errno. */
int screen_enter(void);
void screen_leave(void);
/* After SCREEN_SIGNAL: left, and the signal does what it does. */
void screen_die(void);

void screen_size(size_t *columns, size_t *rows);
/* Lines, from the top left; what has no room is left away.  0 or -errno. */
int screen_draw(const char *text);
/* deadline: of CLOCK_MONOTONIC. */
enum screen_event screen_wait(int64_t deadline_ns);

#endif
