/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/daemon_wire.h"

#include "daemon/journal.h"
#include "daemon/message_ids.h"

#include <errno.h>
#include <string.h>

#define FRAMES_PER_SECOND 100 /* five times what the fast phase needs */
#define HANDSHAKES 16         /* connections beyond max_slaves that may be saying HELLO */

static struct transport_limits limits_of(const struct config *config, bool master)
{
    return (struct transport_limits){
        .max_peers = master ? (uint32_t)config->master.max_slaves + HANDSHAKES : 1,
        .frames_per_second = FRAMES_PER_SECOND,
        .loopback_only = config->authentication == CONFIG_AUTH_LOOPBACK};
}

static int connect_to_master(struct transport *transport, const struct config *config)
{
    int r = transport_connect(transport, config->slave.master,
                              (uint16_t)config->slave.port, config->slave.retry_min_ns,
                              config->slave.retry_max_ns);

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

int daemon_wire_open(sd_event *loop, const struct transport_handler *handler,
                     const struct config *config, bool master, struct transport **out)
{
    struct transport_limits limits = limits_of(config, master);
    int r = transport_new(loop, handler, &limits, out);

    if (r < 0)
        return r;
    if (config->authentication == CONFIG_AUTH_NONE)
        journal_say(LOG_WARNING, &(struct journal_fields){.message_id = MESSAGE_AUTH_NONE},
                    "authentication = \"none\": whoever reaches this machine's network can turn its "
                    "clock.");
    return master ? listen_everywhere(*out, config) : connect_to_master(*out, config);
}

void daemon_wire_apply(struct transport *transport, const struct config *config, bool master)
{
    struct transport_limits limits = limits_of(config, master);

    transport_limit(transport, &limits);
    if (!master)
        (void)connect_to_master(transport, config);
}
