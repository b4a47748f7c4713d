/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * aside: a function that runs beside the test, in a process of its own.
 *
 * What it finds out goes into memory that both see.  It must not wait with harness_wait(), which
 * would take what is meant for the test.
 */
#ifndef BERKELEY_TESTS_ASIDE_H
#define BERKELEY_TESTS_ASIDE_H

#include "harness.h"

struct aside;

/* run: until it is done, or killed.  shared: `size` bytes that begin as those given. */
struct aside *aside_start(struct harness *harness, void (*run)(void *shared), const void *given,
                          size_t size);
pid_t aside_pid(const struct aside *aside);
void *aside_shared(const struct aside *aside);
bool aside_running(struct aside *aside);
/* SIGKILL; what it left in the memory stays. */
void aside_stop(struct aside *aside);

#endif
