/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/daemon_role.h"

#include "core/master.h"
#include "core/slave.h"

#include <string.h>
#include <systemd/sd-id128.h>

/* This application's own id, so that the machine id itself never leaves the machine. */
#define NODE_APPLICATION SD_ID128_MAKE(5e, 0d, 5b, 29, 7c, 14, 4f, 0e, 9d, 6a, 31, c2, 88, 4b, e7, 10)
#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static struct discipline_limits limits_from(const struct config *config)
{
    return (struct discipline_limits){.max_slew_ppm = config->clock.max_slew_ppm,
                                      .initial_slew_ppm = config->clock.initial_slew_ppm,
                                      .step_threshold_ns = config->clock.step_threshold_ns,
                                      .panic_threshold_ns = config->clock.panic_threshold_ns,
                                      .holdover_limit_ns = config->clock.holdover_limit_ns,
                                      .asymmetry_max_ns = config->clock.asymmetry_max_ns};
}

static uint64_t hash_name(const char *name, uint64_t hash)
{
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * FNV_PRIME;
    return hash;
}

/* The same for every start of this node, different for two nodes of one machine
 * and for two clones of one image that have different names. */
static void node_id(const char *name, uint8_t id[WIRE_ID_SIZE])
{
    sd_id128_t machine = SD_ID128_NULL;
    uint64_t halves[2] = {hash_name(name, FNV_OFFSET), hash_name(name, ~FNV_OFFSET)};

    (void)sd_id128_get_machine_app_specific(NODE_APPLICATION, &machine);
    memcpy(id, halves, WIRE_ID_SIZE);
    for (size_t i = 0; i < WIRE_ID_SIZE; i++)
        id[i] ^= machine.bytes[i];
}

static enum clock_kind kind_from(const struct config *config)
{
    return config->clock.kind == CONFIG_CLOCK_EMULATED ? CLOCK_KIND_EMULATED : CLOCK_KIND_KERNEL;
}

static struct master_config master_config_from(const struct config *config, bool adjusts)
{
    struct master_config master = {.interval_ns = config->master.interval_ns,
                                   .exchanges = (unsigned)config->master.exchanges,
                                   .quorum = (unsigned)config->master.quorum,
                                   .max_slaves = (unsigned)config->master.max_slaves,
                                   .hello_time_ns = config->limits.handshake_time_ns,
                                   .silence_ns = config->limits.silence_ns,
                                   .answer_time_ns = config->limits.answer_time_ns,
                                   .discipline = adjusts,
                                   .kind = kind_from(config),
                                   .limits = limits_from(config)};

    _Static_assert(sizeof config->master.references == sizeof master.references,
                   "names and their number are the same on both sides");
    memcpy(master.references, config->master.references, sizeof master.references);
    memcpy(master.name, config->name, sizeof master.name);
    memcpy(master.group, config->group, sizeof master.group);
    return master;
}

static struct slave_config slave_config_from(const struct config *config, bool adjusts,
                                             uint32_t precision_ns)
{
    struct slave_config slave = {.kind = adjusts ? kind_from(config) : CLOCK_KIND_OBSERVED,
                                 .precision_ns = precision_ns,
                                 .limits = limits_from(config),
                                 .hello_time_ns = config->limits.handshake_time_ns,
                                 .silence_ns = config->limits.silence_ns};

    memcpy(slave.name, config->name, sizeof slave.name);
    memcpy(slave.group, config->group, sizeof slave.group);
    node_id(slave.name, slave.id);
    return slave;
}

static void *master_create(const struct config *config, bool adjusts, uint32_t precision_ns,
                           const struct reading *now)
{
    struct master_config master = master_config_from(config, adjusts);

    (void)precision_ns;
    return master_new(&master, now);
}

static void master_reconfigure(void *machine, const struct config *config, bool adjusts)
{
    struct master_config master = master_config_from(config, adjusts);

    master_configure(machine, &master);
}

static void master_set_bound(void *machine, bool (*is_bound)(void *context, const char *name),
                             void *context)
{
    master_bind(machine, is_bound, context);
}

static void master_take(void *machine, const struct event *event, struct actions *actions)
{
    master_handle(machine, event, actions);
}

static int64_t master_wake(const void *machine)
{
    return master_wake_at(machine);
}

static void master_summarise(const void *machine, const struct reading *now,
                             struct summary *summary)
{
    master_summary(machine, now, summary);
}

static size_t master_count_views(const void *machine)
{
    return master_views(machine);
}

static bool master_show(const void *machine, size_t i, const struct reading *now,
                        struct clock_view *view)
{
    return master_view(machine, i, now, view);
}

static void master_remember(const void *machine, struct discipline_memory *memory)
{
    master_recall(machine, memory);
}

static int master_go_on(void *machine, const struct discipline_memory *memory, bool same_raw)
{
    return master_resume(machine, memory, same_raw);
}

static int master_offer_step(const void *machine, const struct reading *now, int64_t *correction_ns)
{
    return master_may_step(machine, now, correction_ns);
}

static int master_confirm_step(void *machine, int64_t confirmed_ns, const struct reading *now)
{
    return master_allow_step(machine, confirmed_ns, now);
}

static void master_destroy(void *machine)
{
    master_free(machine);
}

static void *slave_create(const struct config *config, bool adjusts, uint32_t precision_ns,
                          const struct reading *now)
{
    struct slave_config slave = slave_config_from(config, adjusts, precision_ns);

    return slave_new(&slave, now);
}

static void slave_reconfigure(void *machine, const struct config *config, bool adjusts)
{
    struct slave_config slave = slave_config_from(config, adjusts, 1);

    slave_configure(machine, &slave);
}

static void slave_take(void *machine, const struct event *event, struct actions *actions)
{
    slave_handle(machine, event, actions);
}

static int64_t slave_wake(const void *machine)
{
    (void)machine;
    return INT64_MAX;
}

static void slave_summarise(const void *machine, const struct reading *now, struct summary *summary)
{
    slave_summary(machine, now, summary);
}

static void slave_remember(const void *machine, struct discipline_memory *memory)
{
    slave_recall(machine, memory);
}

static int slave_go_on(void *machine, const struct discipline_memory *memory, bool same_raw)
{
    return slave_resume(machine, memory, same_raw);
}

static int slave_offer_step(const void *machine, const struct reading *now, int64_t *correction_ns)
{
    return slave_may_step(machine, now, correction_ns);
}

static int slave_confirm_step(void *machine, int64_t confirmed_ns, const struct reading *now)
{
    return slave_allow_step(machine, confirmed_ns, now);
}

static void slave_destroy(void *machine)
{
    slave_free(machine);
}

const struct role role_master = {.name = "master",
                                 .master = true,
                                 .create = master_create,
                                 .configure = master_reconfigure,
                                 .bind = master_set_bound,
                                 .handle = master_take,
                                 .wake_at = master_wake,
                                 .recall = master_remember,
                                 .resume = master_go_on,
                                 .may_step = master_offer_step,
                                 .allow_step = master_confirm_step,
                                 .summarise = master_summarise,
                                 .views = master_count_views,
                                 .view = master_show,
                                 .destroy = master_destroy};

const struct role role_slave = {.name = "slave",
                                .create = slave_create,
                                .configure = slave_reconfigure,
                                .handle = slave_take,
                                .wake_at = slave_wake,
                                .recall = slave_remember,
                                .resume = slave_go_on,
                                .may_step = slave_offer_step,
                                .allow_step = slave_confirm_step,
                                .summarise = slave_summarise,
                                .destroy = slave_destroy};
