/* SPDX-License-Identifier: BSD-2-Clause */
#include "scenario_event.h"

#include <string.h>

#define LIST_SIZE 192

static const char *const event_words[] = {"what", "node", "nodes", NULL};

static int take_kind(const struct scenario_reader *reader, const config_setting_t *group,
                     const char *path, struct scenario_event *event)
{
    const config_setting_t *setting = config_setting_get_member(group, "what");
    const char *word = setting ? config_setting_get_string(setting) : NULL;
    char known[LIST_SIZE] = "", whole[SCENARIO_PATH_SIZE];
    size_t used = 0;

    for (int i = 0; word && scenario_kinds[i].word; i++)
        if (strcmp(scenario_kinds[i].word, word) == 0) {
            event->what = (enum scenario_what)i;
            return 0;
        }
    for (int i = 0; scenario_kinds[i].word && used < sizeof(known); i++)
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s\"%s\"", i ? ", " : "",
                                 scenario_kinds[i].word);
    return scenario_refuse(reader, setting ? setting : group, scenario_path(path, "what", whole),
                           setting ? "" : " without it", known);
}

static bool is_node(const config_setting_t *setting)
{
    const int type = config_setting_type(setting);

    return (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) &&
           config_setting_get_int64(setting) >= 0 &&
           config_setting_get_int64(setting) < SCENARIO_NODES_MAX;
}

static bool take_range(const config_setting_t *range, struct scenario_event *event)
{
    const config_setting_t *first, *last;

    if (config_setting_length(range) != 2 || config_setting_is_group(range))
        return false;
    first = config_setting_get_elem(range, 0);
    last = config_setting_get_elem(range, 1);
    if (!is_node(first) || !is_node(last))
        return false;
    event->first = (int)config_setting_get_int64(first);
    event->last = (int)config_setting_get_int64(last);
    return event->first <= event->last;
}

static int take_who(const struct scenario_reader *reader, const config_setting_t *group,
                    const char *path, struct scenario_event *event)
{
    const config_setting_t *node = config_setting_get_member(group, "node");
    const config_setting_t *nodes = config_setting_get_member(group, "nodes");
    const char *word = nodes ? config_setting_get_string(nodes) : NULL;
    char whole[SCENARIO_PATH_SIZE];

    if (node && !nodes && is_node(node)) {
        event->first = event->last = (int)config_setting_get_int64(node);
        return 0;
    }
    if (!node && word && strcmp(word, "slaves") == 0) {
        event->first = event->last = SCENARIO_ALL;
        return 0;
    }
    if (!node && nodes && take_range(nodes, event))
        return 0;
    return scenario_refuse(reader, node ? node : nodes ? nodes : group,
                           scenario_path(path, nodes ? "nodes" : "node", whole),
                           node && nodes     ? " beside nodes"
                           : !node && !nodes ? " without it"
                                             : "",
                           "node = 0 (the master) to 63, nodes = [FIRST, LAST] or \"slaves\"");
}

/* Each kind of event has keys it needs, and others that would mean nothing to it. */
static int check_keys(const struct scenario_reader *reader, const config_setting_t *group,
                      const char *path, const struct scenario_event *event)
{
    const struct scenario_kind *kind = &scenario_kinds[event->what];
    char whole[SCENARIO_PATH_SIZE], allowed[LIST_SIZE];

    for (const struct scenario_key *key = scenario_keys_event; key->name; key++) {
        const config_setting_t *setting = config_setting_get_member(group, key->name);
        const bool at = key->bit == 0;

        if (!setting && (at || (kind->needs & key->bit))) {
            (void)snprintf(allowed, sizeof(allowed), "a %s with %s", kind->word, key->name);
            return scenario_refuse(reader, group, scenario_path(path, key->name, whole),
                                   " without it", allowed);
        }
        if (setting && !at && !((kind->needs | kind->takes) & key->bit)) {
            (void)snprintf(allowed, sizeof(allowed), "a %s without %s", kind->word, key->name);
            return scenario_refuse(reader, setting, scenario_path(path, key->name, whole), "",
                                   allowed);
        }
    }
    return 0;
}

static int take_event(const struct scenario_reader *reader, const config_setting_t *group,
                      const char *path, struct scenario_event *event)
{
    int r;

    *event = (struct scenario_event){.known = true};
    r = scenario_take_group(reader, group, path, scenario_keys_event, event_words, event);
    if (r == 0)
        r = take_kind(reader, group, path, event);
    if (r == 0)
        r = take_who(reader, group, path, event);
    return r == 0 ? check_keys(reader, group, path, event) : r;
}

int scenario_take_events(const struct scenario_reader *reader, const config_setting_t *list)
{
    struct scenario *to = reader->scenario;
    const int count = config_setting_length(list);
    char path[SCENARIO_PATH_SIZE];
    int r = 0;

    if (!config_setting_is_list(list))
        return scenario_refuse(reader, list, "events", "", "a list ( { ... }, { ... } )");
    if (count > SCENARIO_EVENTS_MAX) {
        (void)snprintf(path, sizeof(path), " of %d", count);
        return scenario_refuse(reader, list, "events", path, "a list of up to 32 events");
    }
    to->event_count = 0;
    for (int i = 0; i < count && r == 0; i++) {
        (void)snprintf(path, sizeof(path), "events[%d]", i);
        r = take_event(reader, config_setting_get_elem(list, (unsigned)i), path, &to->events[i]);
        to->event_count += r == 0;
    }
    return r;
}
