/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/daemon_wire.h"

#include "daemon/journal.h"
#include "daemon/message_ids.h"

#include <errno.h>
#include <string.h>

static size_t prefixes(const char texts[CONFIG_PREFIXES_MAX][CONFIG_PREFIX_SIZE],
                       struct prefix fill[GUARD_PREFIXES_MAX])
{
    size_t count = 0;

    _Static_assert(CONFIG_PREFIXES_MAX <= GUARD_PREFIXES_MAX, "all of them have a place");
    for (size_t i = 0; i < CONFIG_PREFIXES_MAX && texts[i][0]; i++)
        if (prefix_parse(texts[i], &fill[count]) == 0) /* the configuration saw to it */
            count++;
    return count;
}

static void fill_rules(struct guard_rules *rules, const struct config *config)
{
    *rules = (struct guard_rules){.per_second = (unsigned)config->limits.connections_per_second};
    rules->allowed = prefixes(config->master.allow, rules->allow);
    rules->denied = prefixes(config->master.deny, rules->deny);
}

static struct transport_limits limits_of(const struct config *config, bool master, bool keyed,
                                         struct guard_rules *rules)
{
    uint32_t handshakes = (uint32_t)config->limits.handshakes;

    fill_rules(rules, config);
    return (struct transport_limits){
        .max_peers = master ? (uint32_t)config->master.max_slaves + handshakes : 1,
        .frames_per_second = (unsigned)config->limits.frames_per_second,
        .handshakes = handshakes,
        .handshake_time_ns = config->limits.handshake_time_ns,
        .buffer = (size_t)config->limits.buffer,
        .loopback_only = !keyed && config->authentication != CONFIG_AUTH_NONE,
        .rules = rules};
}

static int connect_to_master(struct transport *transport, const struct config *config)
{
    int r = transport_connect(transport, config->slave.master, (uint16_t)config->slave.port,
                              config->slave.retry_min_ns, config->slave.retry_max_ns);

    return r < 0 ? journal_errno(r, "Cannot connect to %s: %m", config->slave.master) : 0;
}

/* A machine without IPv6 still listens on IPv4: one address that works is enough. */
static int listen_everywhere(struct transport *transport, const struct config *config)
{
    unsigned working = 0;
    int failure = -EINVAL;

    for (size_t i = 0; i < CONFIG_LISTEN_MAX && config->master.listen[i][0]; i++) {
        const char *address = config->master.listen[i];
        int r = transport_listen(transport, address, (uint16_t)config->master.port);

        working += r >= 0;
        if (r >= 0)
            continue;
        failure = r;
        journal_say(LOG_WARNING, &(struct journal_fields){.error = -r},
                    "Cannot listen on %s port %d: %s.", address, (int)config->master.port,
                    strerror(-r));
    }
    return working > 0 ? 0 : failure;
}

static int secure(struct transport *transport, struct keyring *keyring, const struct config *config)
{
    int r = keyring ? transport_secure(transport, keyring, config->name) : 0;

    if (r < 0)
        keyring_free(keyring);
    return r < 0 ? journal_errno(r, "Cannot use the keys: %m") : 0;
}

int daemon_wire_open(sd_event *loop, const struct transport_handler *handler,
                     const struct config *config, bool master, struct keyring *keyring,
                     struct transport **out)
{
    struct guard_rules rules;
    struct transport_limits limits = limits_of(config, master, keyring != NULL, &rules);
    int r = transport_new(loop, handler, &limits, out);

    if (r < 0) {
        keyring_free(keyring);
        return r;
    }
    r = secure(*out, keyring, config);
    if (r < 0)
        return r;
    if (config->authentication == CONFIG_AUTH_NONE)
        journal_say(LOG_WARNING, &(struct journal_fields){.message_id = MESSAGE_AUTH_NONE},
                    "authentication = \"none\": whoever reaches this machine's network can turn its "
                    "clock.");
    return master ? listen_everywhere(*out, config) : connect_to_master(*out, config);
}

void daemon_wire_apply(struct transport *transport, const struct config *config, bool master,
                       struct keyring *keyring, bool keyed)
{
    struct guard_rules rules;
    struct transport_limits limits = limits_of(config, master, keyed, &rules);

    transport_limit(transport, &limits);
    (void)secure(transport, keyring, config);
    if (!master)
        (void)connect_to_master(transport, config);
}
