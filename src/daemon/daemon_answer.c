/* SPDX-License-Identifier: BSD-2-Clause */
/* What all answers are made of. */
#include "daemon/daemon_answer.h"

#include <json-c/json.h>
#include <math.h>
#include <stdio.h>

void answer_add(struct json_object *object, const char *key, struct json_object *value)
{
    (void)json_object_object_add_ex(object, key, value,
                                    JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

void answer_text(struct json_object *object, const char *key, const char *text)
{
    answer_add(object, key, json_object_new_string(text));
}

void answer_number(struct json_object *object, const char *key, int64_t number)
{
    answer_add(object, key, json_object_new_int64(number));
}

void answer_bool(struct json_object *object, const char *key, bool yes)
{
    answer_add(object, key, json_object_new_boolean(yes));
}

void answer_if(struct json_object *object, const char *key, bool known, int64_t number)
{
    answer_add(object, key, known ? json_object_new_int64(number) : NULL);
}

void answer_real(struct json_object *object, const char *key, double number)
{
    char text[64];

    (void)snprintf(text, sizeof text, "%.3f", number);
    answer_add(object, key, isfinite(number) ? json_object_new_double_s(number, text) : NULL);
}

int64_t answer_seconds(int64_t ns)
{
    return ns / NS_PER_S;
}

struct json_object *answer_begin(const struct daemon_control *control)
{
    struct json_object *answer = json_object_new_object();

    if (!answer)
        return NULL;
    answer_text(answer, "role", control->master ? "master" : "slave");
    answer_text(answer, "name", control->config->name);
    answer_text(answer, "group", control->config->group);
    return answer;
}
