/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal_limit: which of many similar lines are said and which only counted.
 * A plain value of fixed size; the caller tells the time.
 */
#ifndef BERKELEY_DAEMON_JOURNAL_LIMIT_H
#define BERKELEY_DAEMON_JOURNAL_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define JOURNAL_LIMIT_LINES 5
#define JOURNAL_LIMIT_WINDOW_NS (60 * INT64_C(1000000000))

#define JOURNAL_LIMIT_SETS 512
#define JOURNAL_LIMIT_WAYS 8
#define JOURNAL_LIMIT_KINDS 64

struct journal_limit_slot {
    uint64_t key;
    int64_t began_ns;
    uint32_t said; /* 0: never used */
    uint32_t left_out;
};

/* Zero-initialise. */
struct journal_limit {
    struct journal_limit_slot lines[JOURNAL_LIMIT_SETS][JOURNAL_LIMIT_WAYS];
    struct journal_limit_slot kinds[JOURNAL_LIMIT_KINDS];
};

/* May this line be said at now_ns (any clock that never goes back)?  If so
 * *left_out tells how many like it were not since the last one that was.
 * Lines are alike by message_id and peer, by text and peer where message_id is
 * NULL; peer may be NULL.  When more peers than there is room for are heard
 * within a minute, those without a place share one per message_id. */
bool journal_limit_pass(struct journal_limit *limit, const char *message_id, const char *peer,
                        const char *text, int64_t now_ns, uint32_t *left_out);

#endif
