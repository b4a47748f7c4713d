/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal: one line per thing that happened, to journald with fields when
 * standard error is connected to it, to standard error otherwise.
 */
#ifndef BERKELEY_DAEMON_JOURNAL_H
#define BERKELEY_DAEMON_JOURNAL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

/* Everything but the text; zero means absent. */
struct journal_fields {
    const char *message_id; /* 32 hex digits, from message_ids.h */
    const char *peer;       /* BERKELEY_PEER */
    const char *state;      /* BERKELEY_STATE */
    bool has_offset, has_delay, has_bound, has_round;
    int64_t offset_ns; /* BERKELEY_OFFSET_NS */
    int64_t delay_ns;  /* BERKELEY_DELAY_NS */
    int64_t bound_ns;  /* BERKELEY_BOUND_NS */
    uint32_t round;    /* BERKELEY_ROUND */
    int error;         /* ERRNO= */
};

/* level: LOG_ERR .. LOG_DEBUG; what is less urgent is not said. Decides between
 * journald and standard error ($JOURNAL_STREAM against fstat(2), as
 * systemd.exec(5) tells). */
void journal_open(int level);
void journal_set_level(int level);

/* Says it.  Of lines with the same message_id and peer (and of equal text where
 * there is no message_id) more than 5 within a minute are counted, not said; the
 * count is told with the first one after.  LOG_DEBUG is not limited.  Control
 * characters in the text, peer and state are escaped: one call, one line.
 * errno is left alone. */
void journal_say(int priority, const struct journal_fields *fields, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Without fields. */
#define journal_error(...) journal_say(LOG_ERR, NULL, __VA_ARGS__)
#define journal_warning(...) journal_say(LOG_WARNING, NULL, __VA_ARGS__)
#define journal_notice(...) journal_say(LOG_NOTICE, NULL, __VA_ARGS__)
#define journal_info(...) journal_say(LOG_INFO, NULL, __VA_ARGS__)
#define journal_debug(...) journal_say(LOG_DEBUG, NULL, __VA_ARGS__)

/* Says it as an error with ERRNO=, and returns -abs(error): `return journal_errno(r, "...: %m")`.
 * %m in the format is that error's text. */
int journal_errno(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For people: "3.1 µs", "402 ms", "12.5 s", "3 h 25 min" into buffer of
 * JOURNAL_TIME_SIZE; three digits count.  INT64_MAX: "unknown".  Returns buffer.
 * Signed forms carry + or -. */
#define JOURNAL_TIME_SIZE 32
const char *journal_time(int64_t ns, char *buffer);
const char *journal_signed_time(int64_t ns, char *buffer);

#endif
