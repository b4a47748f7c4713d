/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon_answer: the answers on the control socket, a function for each word, as control.h wants
 * them: context is a struct daemon_control.  Nobody but the daemon's middle includes this.
 */
#ifndef BERKELEY_DAEMON_DAEMON_ANSWER_H
#define BERKELEY_DAEMON_DAEMON_ANSWER_H

#include "daemon/control.h"
#include "daemon/daemon_control.h"

#include <stdbool.h>
#include <stdint.h>

struct json_object;

struct daemon_control {
    struct control *control;
    const struct config *config;
    bool master;
    struct daemon_source source;
};

struct json_object *answer_status(void *context, const char *argument);
struct json_object *answer_now(void *context, const char *argument);
struct json_object *answer_clocks(void *context, const char *argument, struct control_list *list);
struct json_object *answer_rounds(void *context, const char *argument);
struct json_object *answer_counters(void *context, const char *argument);
struct json_object *answer_trace(void *context, const char *argument);
struct json_object *answer_step(void *context, const char *argument);

/* What all answers begin with; NULL: out of memory. */
struct json_object *answer_begin(const struct daemon_control *control);

/* key: lives on, and is new in this object. */
void answer_add(struct json_object *object, const char *key, struct json_object *value);
void answer_text(struct json_object *object, const char *key, const char *text);
void answer_number(struct json_object *object, const char *key, int64_t number);
void answer_bool(struct json_object *object, const char *key, bool yes);
/* null stands for what is not known. */
void answer_if(struct json_object *object, const char *key, bool known, int64_t number);
/* Three decimals; null if it is no number. */
void answer_real(struct json_object *object, const char *key, double number);

/* Nanoseconds as whole seconds. */
int64_t answer_seconds(int64_t ns);

/* Why this clock is not counted, in a few words; "" if it is.  Borrowed until the next call. */
const char *answer_why(const struct clock_view *view);

#endif
