/* SPDX-License-Identifier: BSD-2-Clause */
/* ctl: berkeleyctl as tests run it, away from terminals. */
#ifndef BERKELEY_TESTS_CTL_H
#define BERKELEY_TESTS_CTL_H

#include "harness.h"

#define CTL_SECONDS 30

const char *ctl_program(struct harness *harness);
/* words: NULL at the end. */
struct process *ctl_start(struct harness *harness, const char *const *words);
/* What it prints when all is well; fails the test otherwise. */
const char *ctl_output(struct harness *harness, const char *const *words);
/* It ends with this code, prints nothing, and says one line, which matches the extended regex. */
void ctl_refuses(struct harness *harness, int code, const char *regex, const char *const *words);
/* Says so if it does not. */
bool ctl_matches(const char *text, const char *regex);

#define CTL_WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
