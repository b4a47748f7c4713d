/* SPDX-License-Identifier: BSD-2-Clause */
/* setup: configurations of nodes with emulated clocks, and what their logs tell of rounds. */
#ifndef BERKELEY_TESTS_SETUP_H
#define BERKELEY_TESTS_SETUP_H

#include "harness.h"

#define SETUP_INTERVAL 0.5 /* s, master.interval of all that setup_config() writes */

/* For a master as well as a slave on 127.0.0.1, without keys.  Returns the path, NAME.conf in
 * the directory; the clock is in NAME.clock, the control socket is NAME.control. */
const char *setup_config(struct harness *harness, const char *name, uint16_t port);
/* The same with keys, in NAME.key. */
const char *setup_keyed(struct harness *harness, const char *name, uint16_t port,
                        const struct secret_key *keys, size_t count);
/* Other keys in NAME.key of that configuration; the path. */
const char *setup_keys(struct harness *harness, const char *config, const struct secret_key *keys,
                       size_t count);
/* What is to be different, in CONFIG.d, instead of what was there before; the path of that. */
const char *setup_override(struct harness *harness, const char *config, const char *text);

/* The rounds told after byte `from` of standard error, at -v or log_level = "debug". */
struct rounds {
    unsigned first, last, count;
    bool gapless;
};

struct rounds setup_rounds(struct process *process, size_t from);
/* Waits until there were so many. */
bool setup_wait_rounds(struct harness *harness, struct process *process, size_t from,
                       unsigned count, double seconds);
/* Bytes of standard error so far. */
size_t setup_said(struct process *process);

double setup_now(void);
/* VmRSS of the process, KiB; 0 when it has ended. */
long setup_rss(const struct process *process);

#endif
