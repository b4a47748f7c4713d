/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/config_tree.h"

#include "daemon/config_value.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* lower <= upper + slack */
static const struct order {
    const char *lower, *upper;
    int64_t slack;
} orders[] = {
    {"slave.retry_min", "slave.retry_max", 0},
    {"clock.max_slew_ppm", "clock.initial_slew_ppm", 0},
    {"master.quorum", "master.max_slaves", 1}, /* the master counts too */
};

static struct config_place origin(const struct config_draft *draft,
                                  const struct config_entry *entry)
{
    const size_t index = (size_t)(entry - config_table);

    return (struct config_place){draft->origins[index].file, draft->origins[index].line};
}

static double number(const struct config_draft *draft, const struct config_entry *entry)
{
    const void *field = config_entry_value(entry, &draft->config);

    if (entry->type == ENTRY_NUMBER)
        return *(const double *)field;
    return (double)config_entry_get(entry, field);
}

static const char *slack_text(int64_t slack, char *buffer)
{
    buffer[0] = '\0';
    if (slack)
        (void)snprintf(buffer, CONFIG_VALUE_SIZE, " %c %" PRId64, slack < 0 ? '-' : '+',
                       slack < 0 ? -slack : slack);
    return buffer;
}

static int check_order(const struct config_draft *draft, const struct order *order, char *error)
{
    const struct config_entry *lower = config_entry_find(order->lower);
    const struct config_entry *upper = config_entry_find(order->upper);
    const struct config_entry *blamed, *other;
    char is[CONFIG_VALUE_SIZE], limit[CONFIG_VALUE_SIZE], slack[CONFIG_VALUE_SIZE];
    bool at_most;

    assert(lower && upper);
    if (number(draft, lower) <= number(draft, upper) + (double)order->slack)
        return 0;
    at_most = origin(draft, lower).line > 0;
    blamed = at_most ? lower : upper;
    other = at_most ? upper : lower;
    return config_refuse(
        error, origin(draft, blamed), blamed->key,
        "found %s; allowed is at %s %s%s, and %s is %s",
        config_value_print(blamed, config_entry_value(blamed, &draft->config), is),
        at_most ? "most" : "least", other->key,
        slack_text(at_most ? order->slack : -order->slack, slack), other->key,
        config_value_print(other, config_entry_value(other, &draft->config), limit));
}

static const char *remote_listen(const struct config *config)
{
    for (size_t i = 0; i < CONFIG_LISTEN_MAX; i++)
        if (config->master.listen[i][0] && !config_address_is_loopback(config->master.listen[i]))
            return config->master.listen[i];
    return NULL;
}

static const char *remote_master(const struct config *config)
{
    const char *address = config->slave.master;

    return config_address_is_numeric(address) && !config_address_is_loopback(address) ? address
                                                                                      : NULL;
}

const char *config_remote(const struct config *config, bool master, const char **key)
{
    const char *address = master ? remote_listen(config) : remote_master(config);

    if (address)
        *key = master ? "master.listen" : "slave.master";
    return address;
}

bool config_forbids_master(const struct config *config)
{
    return config->authentication == CONFIG_AUTH_LOOPBACK && remote_master(config);
}

/* Of both roles: which one the file is for is not known here. */
static int check_remote(const struct config_draft *draft, bool master, char *error)
{
    const struct config_entry *authentication = config_entry_find("authentication");
    const char *key, *address = config_remote(&draft->config, master, &key);
    char quoted[CONFIG_VALUE_SIZE];
    const struct config_entry *entry;

    if (!address)
        return 0;
    entry = config_entry_find(key);
    assert(entry && authentication);
    if (origin(draft, entry).line == 0)
        entry = authentication;
    return config_refuse(error, origin(draft, entry), key,
                         "found %s with authentication = \"loopback\"; allowed is a loopback "
                         "address (\"127.0.0.1\", \"::1\"), or authentication = \"key\" and a key, "
                         "which `berkeleyctl keygen` makes",
                         config_quote(address, quoted, sizeof(quoted)));
}

/* node_exporter passes over files of other names, without a word. */
static int check_metrics_file(const struct config_draft *draft, char *error)
{
    static const char key[] = "metrics.file", ending[] = ".prom";
    const char *path = draft->config.metrics.file;
    const size_t length = strlen(path), least = strlen(ending) + 1;
    char quoted[CONFIG_VALUE_SIZE];
    const struct config_entry *entry = config_entry_find(key);

    assert(entry);
    if (length == 0 || (length > least && path[length - least] != '/' &&
                        strcmp(path + length + 1 - least, ending) == 0))
        return 0;
    return config_refuse(error, origin(draft, entry), key,
                         "found %s; allowed is a path that ends in \"%s\", or \"\"",
                         config_quote(path, quoted, sizeof(quoted)), "NAME.prom");
}

int config_check(const struct config_draft *draft, char error[CONFIG_ERROR_SIZE])
{
    int r = 0;

    if (draft->config.authentication == CONFIG_AUTH_LOOPBACK) {
        r = check_remote(draft, true, error);
        if (r == 0)
            r = check_remote(draft, false, error);
    }
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]) && r == 0; i++)
        r = check_order(draft, &orders[i], error);
    return r == 0 ? check_metrics_file(draft, error) : r;
}
