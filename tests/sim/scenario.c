/* SPDX-License-Identifier: BSD-2-Clause */
#include "scenario.h"

#include "daemon/config_value.h"
#include "daemon/duration.h"
#include "scenario_event.h"
#include "scenario_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const groups[] = {"clock", "path", "limits", "events", "expect", NULL};
static const char *const delay_words[] = {"base",         "queue", "stall_chance", "stall",
                                          "burst_chance", "burst", "burst_queue",  "up",
                                          "down",         NULL};
static const char *const path_words[] = {"turnaround", "seal",   "seal_jitter", "wake", "own_stamps",
                                         "inside",     "up",     "down",        NULL};

/* What is said of the path as a whole holds for both directions; what is said of one wins. */
static int take_path(const struct scenario_reader *reader, const config_setting_t *path)
{
    struct scenario_path *to = &reader->scenario->path;
    const config_setting_t *up, *down;
    int r;

    r = scenario_take_group(reader, path, "path", scenario_keys_path, delay_words, to);
    if (r == 0)
        r = scenario_take_group(reader, path, "path", scenario_keys_delay, path_words, &to->up);
    if (r == 0)
        r = scenario_take_group(reader, path, "path", scenario_keys_delay, path_words, &to->down);
    if (r < 0)
        return r;
    up = config_setting_get_member(path, "up");
    down = config_setting_get_member(path, "down");
    if (up)
        r = scenario_take_group(reader, up, "path.up", scenario_keys_delay, NULL, &to->up);
    if (down && r == 0)
        r = scenario_take_group(reader, down, "path.down", scenario_keys_delay, NULL, &to->down);
    return r;
}

static int take_root(const struct scenario_reader *reader, const config_setting_t *root)
{
    struct scenario *to = reader->scenario;
    const struct {
        const char *name;
        const struct scenario_key *keys;
        void *base;
    } plain[] = {
        {"clock", scenario_keys_clock, &to->clock},
        {"limits", scenario_keys_limits, to},
        {"expect", scenario_keys_expect, &to->expect},
    };
    const config_setting_t *group;
    int r = scenario_take_group(reader, root, "", scenario_keys_top, groups, to);

    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]) && r == 0; i++) {
        group = config_setting_get_member(root, plain[i].name);
        if (group)
            r = scenario_take_group(reader, group, plain[i].name, plain[i].keys, NULL,
                                    plain[i].base);
    }
    group = config_setting_get_member(root, "path");
    if (group && r == 0)
        r = take_path(reader, group);
    group = config_setting_get_member(root, "events");
    if (group && r == 0)
        r = scenario_take_events(reader, group);
    return r;
}

static int refuse_syntax(const struct scenario_reader *reader, const config_t *tree)
{
    struct config_place place = {.file = reader->source};

    if (reader->text)
        place = config_text_place(reader->text, (unsigned)config_error_line(tree));
    return config_refuse(reader->error, place, NULL,
                         "found a %s here or before; allowed is NAME = VALUE; each name once, and "
                         "GROUP: { ... };",
                         config_error_text(tree));
}

static int read_tree(const struct scenario_reader *reader, const char *bytes)
{
    config_t tree;
    int r;

    config_init(&tree);
    if (config_read_string(&tree, bytes))
        r = take_root(reader, config_root_setting(&tree));
    else
        r = refuse_syntax(reader, &tree);
    config_destroy(&tree);
    return r;
}

static int refuse_duration(const char *source, char *error, const char *key, int64_t ns,
                           const char *allowed)
{
    char text[CONFIG_VALUE_SIZE];

    return config_refuse(error, (struct config_place){.file = source}, key,
                         "found \"%s\"; allowed is %s", duration_print(ns, text), allowed);
}

static int check_event(const struct scenario *scenario, size_t n, const char *source, char *error)
{
    const struct scenario_event *event = &scenario->events[n];
    const struct config_place place = {.file = source};
    char key[48];

    (void)snprintf(key, sizeof(key), "events[%zu].node", n);
    if (event->last >= scenario->nodes)
        return config_refuse(error, place, key, "found node %d; allowed is up to %d: %d nodes",
                             event->last, scenario->nodes - 1, scenario->nodes);
    (void)snprintf(key, sizeof(key), "events[%zu].at", n);
    if (event->at_ns >= scenario->length_ns)
        return refuse_duration(source, error, key, event->at_ns, "a time before the run's length");
    return 0;
}

int scenario_check(const struct scenario *scenario, const char *source,
                   char error[SCENARIO_ERROR_SIZE])
{
    const struct scenario_expect *expect = &scenario->expect;
    const struct config_place place = {.file = source};
    int r = 0;

    if (scenario->settle_ns >= scenario->length_ns)
        return refuse_duration(source, error, "settle", scenario->settle_ns,
                               "less than the run's length");
    if (expect->in_at_end > scenario->nodes)
        return config_refuse(error, place, "expect.in_at_end",
                             "found %d; allowed is up to the number of nodes, %d",
                             expect->in_at_end, scenario->nodes);
    for (size_t i = 0; expect->excluded[i] >= 0; i++)
        if (expect->excluded[i] >= scenario->nodes)
            return config_refuse(error, place, "expect.excluded",
                                 "found node %d; allowed is up to %d", expect->excluded[i],
                                 scenario->nodes - 1);
    for (size_t i = 0; i < scenario->event_count && r == 0; i++)
        r = check_event(scenario, i, source, error);
    return r;
}

static void take_name(struct scenario *scenario, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');

    (void)snprintf(scenario->name, sizeof(scenario->name), "%.*s",
                   dot ? (int)(dot - name) : (int)strlen(name), name);
}

int scenario_load(const char *path, struct scenario *scenario, char error[SCENARIO_ERROR_SIZE])
{
    struct scenario draft;
    struct config_text *text;
    struct scenario_reader reader = {.source = path, .scenario = &draft, .error = error};
    int r = config_text_read(path, &text, error);

    if (r < 0)
        return r;
    reader.text = text;
    scenario_defaults(&draft);
    take_name(&draft, path);
    r = read_tree(&reader, config_text_bytes(text));
    config_text_free(text);
    if (r == 0)
        r = scenario_check(&draft, path, error);
    if (r == 0)
        *scenario = draft;
    return r;
}

/* Durations are quoted, as the shell took the quotes away; integers get all their 64 bits. */
static void write_value(FILE *out, const char *value)
{
    int64_t ns;

    if (duration_parse(value, &ns) != -EINVAL)
        (void)fprintf(out, "\"%s\";", value);
    else
        (void)fprintf(out, "%s%s;", value, value[strspn(value, "-+0123456789")] ? "" : "L");
}

int scenario_set(struct scenario *scenario, const char *setting, char error[SCENARIO_ERROR_SIZE])
{
    struct scenario draft = *scenario;
    const struct scenario_reader reader = {.source = setting, .scenario = &draft, .error = error};
    const char *value = strchr(setting, '=');
    char *text = NULL;
    size_t size = 0, depth = 0;
    FILE *out;
    int r;

    if (!value || value[1] == '\0')
        return config_refuse(error, (struct config_place){.file = setting}, NULL,
                             "found no value; allowed is KEY=VALUE, as in clock.wander=1e-8");
    out = open_memstream(&text, &size);
    if (!out)
        return -ENOMEM;
    for (const char *at = setting; at < value; at++) {
        if (*at == '.')
            (void)fputs(": { ", out);
        else
            (void)fputc(*at, out);
        depth += *at == '.';
    }
    (void)fputs(" = ", out);
    write_value(out, value + 1);
    for (; depth > 0; depth--)
        (void)fputs(" };", out);
    r = fclose(out) == 0 ? read_tree(&reader, text) : -ENOMEM;
    free(text);
    if (r == 0)
        *scenario = draft;
    return r;
}

/* These make a clock wrong; what only cuts it off or delays its frames does not. */
static bool makes_wrong(const struct scenario_event *event)
{
    switch (event->what) {
    case SCENARIO_STEP:
    case SCENARIO_FREQUENCY:
    case SCENARIO_STUCK:
    case SCENARIO_LIE:
    case SCENARIO_LIE_RANDOM:
    case SCENARIO_SUSPEND:
        return true;
    case SCENARIO_START:
    case SCENARIO_RESTART:
        return event->by_ns != 0;
    case SCENARIO_STOP:
    case SCENARIO_KILL:
    case SCENARIO_PARTITION:
    case SCENARIO_BREAK:
    case SCENARIO_DEAF:
    case SCENARIO_PATH:
    default:
        return false;
    }
}

bool scenario_is_good(const struct scenario *scenario, int node)
{
    for (size_t i = 0; i < scenario->event_count; i++) {
        const struct scenario_event *event = &scenario->events[i];
        const bool named = event->first == SCENARIO_ALL
                               ? node > 0
                               : node >= event->first && node <= event->last;

        if (named && makes_wrong(event))
            return false;
    }
    return true;
}
