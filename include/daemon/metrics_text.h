/* SPDX-License-Identifier: BSD-2-Clause */
/* metrics_text: the lines of Prometheus' text format 0.0.4, one after the other. */
#ifndef BERKELEY_DAEMON_METRICS_TEXT_H
#define BERKELEY_DAEMON_METRICS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define METRICS_DIGITS_MAX 18

/* Grows.  Zero-initialise; free with metrics_text_free(). */
struct metrics_text {
    char *bytes; /* without a NUL at the end */
    size_t length, capacity;
    bool lost; /* out of memory: something is missing */
};

/* value / 10^digits, exactly. */
struct metrics_number {
    int64_t value;
    unsigned digits; /* at most METRICS_DIGITS_MAX */
};

struct metrics_label {
    const char *name, *value;
};

/* The HELP and TYPE lines. */
void metrics_text_family(struct metrics_text *text, const char *name, const char *type,
                         const char *help);
/* NAME NUMBER, or NAME{LABEL="VALUE",...} NUMBER. */
void metrics_text_sample(struct metrics_text *text, const char *name,
                         const struct metrics_label *labels, size_t count,
                         struct metrics_number number);
void metrics_text_clear(struct metrics_text *text); /* keeps the memory */
void metrics_text_free(struct metrics_text *text);

#endif
