/* SPDX-License-Identifier: BSD-2-Clause */
/* fake: a control socket that answers what the test says. */
#ifndef BERKELEY_TESTS_FAKE_H
#define BERKELEY_TESTS_FAKE_H

#include "harness.h"

struct fake;

/* Listens on `name` in the harness' directory, in a thread of its own, until the harness ends. */
struct fake *fake_open(struct harness *harness, const char *name);
const char *fake_path(const struct fake *fake);
/* From now on this is the answer to every question, with a line's end put behind it. */
void fake_answer(struct fake *fake, const char *text);
/* How many times it was asked this, without the line's end. */
unsigned fake_asked(struct fake *fake, const char *question);
/* As if the daemon had ended: the file is gone as well. */
void fake_close(struct fake *fake);

#endif
