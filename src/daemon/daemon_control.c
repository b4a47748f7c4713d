/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/daemon_control.h"

#include "daemon/control.h"
#include "daemon/journal.h"

#include <errno.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct daemon_control {
    struct control *control;
    const struct config *config;
    bool master;
    struct daemon_control_source source;
};

static void add(struct json_object *object, const char *key, struct json_object *value)
{
    (void)json_object_object_add(object, key, value);
}

static void add_text(struct json_object *object, const char *key, const char *text)
{
    add(object, key, json_object_new_string(text));
}

static void add_number(struct json_object *object, const char *key, int64_t number)
{
    add(object, key, json_object_new_int64(number));
}

/* null stands for what is not known. */
static void add_if(struct json_object *object, const char *key, bool known, int64_t number)
{
    add(object, key, known ? json_object_new_int64(number) : NULL);
}

static void add_real(struct json_object *object, const char *key, double number)
{
    char text[64];

    (void)snprintf(text, sizeof text, "%.3f", number);
    add(object, key, isfinite(number) ? json_object_new_double_s(number, text) : NULL);
}

static struct json_object *introduce(const struct daemon_control *control)
{
    struct json_object *answer = json_object_new_object();

    if (!answer)
        return NULL;
    add_text(answer, "role", control->master ? "master" : "slave");
    add_text(answer, "name", control->config->name);
    add_text(answer, "group", control->config->group);
    return answer;
}

static void add_other_side(struct json_object *answer, const struct summary *summary, bool master)
{
    if (master) {
        add_number(answer, "slaves", summary->slaves);
        return;
    }
    add(answer, "connected", json_object_new_boolean(summary->connected));
    add(answer, "master", summary->connected ? json_object_new_string(summary->name) : NULL);
}

static struct json_object *answer_status(void *context, const char *argument)
{
    const struct daemon_control *control = context;
    struct json_object *answer = introduce(control);
    struct summary summary = {0};
    bool known;

    (void)argument;
    if (!answer)
        return NULL;
    control->source.summarise(control->source.context, &summary);
    known = summary.bound_ns != INT64_MAX;
    add_text(answer, "version", BERKELEY_VERSION);
    add_text(answer, "state", sync_state_name(summary.state));
    add_text(answer, "verdict", clock_verdict_name(summary.verdict));
    add_other_side(answer, &summary, control->master);
    add_if(answer, "offset_ns", known, -summary.outstanding_ns);
    add_if(answer, "bound_ns", known, summary.bound_ns);
    add_real(answer, "frequency_ppb", summary.freq_ppb);
    add_number(answer, "round", summary.round);
    add_number(answer, "counted", summary.counted);
    add_number(answer, "present", summary.present);
    return answer;
}

#define COUNTER(name) {#name, offsetof(struct transport_counters, name)}

static struct json_object *tell_counters(const struct transport_counters *counters)
{
    static const struct {
        const char *key;
        size_t offset;
    } table[] = {
        COUNTER(accepted), COUNTER(refused_loopback), COUNTER(refused_denied),
        COUNTER(refused_often), COUNTER(refused_full), COUNTER(refused_handshakes),
        COUNTER(handshakes_done), COUNTER(handshakes_failed), COUNTER(handshakes_late),
        COUNTER(unknown_keys), COUNTER(wrong_keys), COUNTER(frames_in), COUNTER(frames_out),
        COUNTER(frames_unsent), COUNTER(floods), COUNTER(garbled), COUNTER(revoked),
    };
    struct json_object *object = json_object_new_object();

    _Static_assert(COUNT(table) * sizeof(uint64_t) == sizeof *counters, "every counter is told");
    for (size_t i = 0; object && i < COUNT(table); i++) {
        uint64_t value;

        memcpy(&value, (const char *)counters + table[i].offset, sizeof value);
        add(object, table[i].key, json_object_new_uint64(value));
    }
    return object;
}

static struct json_object *tell_refusals(const uint64_t refused[REFUSAL_COUNT_])
{
    struct json_object *object = json_object_new_object();

    for (unsigned i = REFUSAL_NONE + 1; object && i < REFUSAL_COUNT_; i++)
        add(object, refusal_name(i), json_object_new_uint64(refused[i]));
    return object;
}

static struct json_object *answer_counters(void *context, const char *argument)
{
    const struct daemon_control *control = context;
    struct json_object *answer = introduce(control);
    struct transport_counters counters = {0};
    struct summary summary = {0};

    (void)argument;
    if (!answer)
        return NULL;
    control->source.summarise(control->source.context, &summary);
    control->source.count(control->source.context, &counters);
    add(answer, "network", tell_counters(&counters));
    add(answer, "frames_refused", tell_refusals(summary.refused));
    return answer;
}

static const struct control_word words[] = {
    {.word = "status", .answer = answer_status},
    {.word = "counters", .answer = answer_counters},
};

bool daemon_control_path(const struct config *config, bool master, char path[CONFIG_PATH_SIZE])
{
    const char *directories = getenv("RUNTIME_DIRECTORY"); /* systemd.exec(5) */
    int length;

    if (strcmp(config->control, CONFIG_STATE_NONE) == 0)
        return false;
    if (*config->control)
        length = snprintf(path, CONFIG_PATH_SIZE, "%s", config->control);
    else if (directories && *directories == '/')
        length = snprintf(path, CONFIG_PATH_SIZE, "%.*s/%s.sock", (int)strcspn(directories, ":"),
                          directories, master ? "master" : "slave");
    else
        return false;
    return length > 0 && length < CONFIG_PATH_SIZE;
}

struct daemon_control *daemon_control_open(sd_event *loop, const struct config *config, bool master,
                                           const struct daemon_control_source *source)
{
    struct daemon_control *control;
    char path[CONFIG_PATH_SIZE];
    int r = -ENOMEM;

    if (!daemon_control_path(config, master, path))
        return NULL;
    control = calloc(1, sizeof *control);
    if (control) {
        control->config = config;
        control->master = master;
        control->source = *source;
        r = control_open(loop, path, words, COUNT(words), control, &control->control);
    }
    if (r >= 0)
        return control;
    journal_say(LOG_WARNING, &(struct journal_fields){.error = -r},
                "Cannot listen on %s: %s. berkeleyctl cannot ask this daemon.", path, strerror(-r));
    free(control);
    return NULL;
}

void daemon_control_close(struct daemon_control *control)
{
    if (!control)
        return;
    control_close(control->control);
    free(control);
}
