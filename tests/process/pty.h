/* SPDX-License-Identifier: BSD-2-Clause */
/* pty: berkeleyctl on a terminal. */
#ifndef BERKELEY_TESTS_PTY_H
#define BERKELEY_TESTS_PTY_H

#include "harness.h"

#include <termios.h>

struct pty;

/* words, environment ("NAME=value"): NULL at the end. */
struct pty *pty_start(struct harness *harness, unsigned short columns, unsigned short rows,
                      const char *const *environment, const char *const *words);
/* Of 80 x 24, by a shell that is given the program and its words as "$@". */
struct pty *pty_start_shell(struct harness *harness, const char *const *environment,
                            const char *script, const char *const *words);
pid_t pty_pid(const struct pty *pty);
/* All that was written so far; good until the next call. */
const char *pty_output(struct pty *pty);
/* What was written since the last mark has this in it, or will have. */
bool pty_wait_text(struct pty *pty, const char *text, double seconds);
void pty_mark(struct pty *pty);
/* What was written after the mark, from the last time the cursor went to the top left to the next
 * one, without control sequences; NULL: there was no such whole drawing.  The caller's to free. */
char *pty_drawing(struct pty *pty);
void pty_type(struct pty *pty, const char *keys);
void pty_resize(struct pty *pty, unsigned short columns, unsigned short rows);
struct termios pty_terminal(const struct pty *pty);
/* As process_wait_exit(). */
int pty_wait_exit(struct pty *pty, double seconds);

#endif
