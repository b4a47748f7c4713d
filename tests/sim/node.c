/* SPDX-License-Identifier: BSD-2-Clause */
#include "node.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define BOOT_SPAN_NS (1e6 * 1e9)
#define PRECISION_NS 20
#define PANIC_THRESHOLD_NS (1000 * NS_PER_S) /* the defaults of src/daemon/config_table.c */
#define HOLDOVER_LIMIT_NS (3600 * NS_PER_S)
#define SAVE_INTERVAL_NS (600 * NS_PER_S) /* src/daemon/daemon_state.c */

static int64_t raw_now(struct node *node, int64_t now_ns)
{
    if (node->true_ns != now_ns) {
        node->true_ns = now_ns;
        node->raw_ns = crystal_raw(&node->crystal, now_ns);
    }
    return node->raw_ns;
}

static int port_adjust(void *context, struct timex *timex)
{
    struct node *node = context;

    return timex_model_adjust(&node->model, node->raw_ns, timex);
}

static int port_read(void *context, struct reading *reading)
{
    struct node *node = context;

    timex_model_advance(&node->model, node->raw_ns);
    *reading =
        (struct reading){.raw_ns = node->raw_ns, .total_ns = node->model.real_ns - node->raw_ns};
    return 0;
}

static int port_suspended(void *context, int64_t *ns)
{
    *ns = ((struct node *)context)->suspended_ns;
    return 0;
}

static int port_watch_fd(void *context)
{
    (void)context;
    return -1;
}

static void port_ignore(void *context)
{
    (void)context;
}

static struct kernel_port port_of(struct node *node)
{
    return (struct kernel_port){.adjust = port_adjust,
                                .read = port_read,
                                .suspended = port_suspended,
                                .watch_fd = port_watch_fd,
                                .acknowledge = port_ignore,
                                .release = port_ignore,
                                .context = node,
                                .precision_ns = PRECISION_NS};
}

static double chosen(const struct scenario_list *list, unsigned index, double drawn)
{
    return (int)index < list->count ? list->values[index] : drawn;
}

static void init_clock(struct node *node, const struct scenario_clock *clock, uint64_t seed)
{
    struct dice dice = dice_new(seed, DICE_CLOCK, node->index);
    int64_t raw_ns = llround(dice_unit(&dice) * BOOT_SPAN_NS);
    double offset_ns = dice_around(&dice, (double)clock->offset_ns);
    double frequency_ppm = dice_around(&dice, clock->frequency_ppm);

    offset_ns = chosen(&clock->offsets_ns, node->index, offset_ns);
    frequency_ppm = chosen(&clock->frequencies_ppm, node->index, frequency_ppm);
    crystal_init(&node->crystal, raw_ns, frequency_ppm / 1e6, clock->wander,
                 dice_new(seed, DICE_CRYSTAL, node->index));
    node->raw_ns = raw_ns;
    timex_model_init(&node->model, raw_ns, NODE_EPOCH_NS + llround(offset_ns));
    node->noise_ns = clock->noise_ns;
}

void node_init(struct node *node, unsigned index, const struct scenario *scenario, uint64_t seed)
{
    *node = (struct node){.index = index, .wake_raw_ns = INT64_MAX, .stamp_ns = INT64_MIN};
    node->limits = (struct discipline_limits){.max_slew_ppm = scenario->max_slew_ppm,
                                              .initial_slew_ppm = scenario->initial_slew_ppm,
                                              .panic_threshold_ns = PANIC_THRESHOLD_NS,
                                              .holdover_limit_ns = HOLDOVER_LIMIT_NS,
                                              .asymmetry_max_ns = scenario->asymmetry_max_ns};
    (void)snprintf(node->name, sizeof node->name, "node-%02u", index);
    init_clock(node, &scenario->clock, seed);
    path_init(&node->up, &scenario->path.up, dice_new(seed, DICE_UP, index));
    path_init(&node->down, &scenario->path.down, dice_new(seed, DICE_DOWN, index));
    node->stamp_dice = dice_new(seed, DICE_STAMP, index);
    node->timer_dice = dice_new(seed, DICE_TIMER, index);
    node->connect_dice = dice_new(seed, DICE_CONNECT, index);
    node->lie_dice = dice_new(seed, DICE_LIE, index);
    node->seal_dice = dice_new(seed, DICE_SEAL, index);
}

static void drop_daemon(struct node *node)
{
    master_free(node->master);
    slave_free(node->slave);
    actions_free(&node->actions);
    clock_free(node->clock);
    node->master = NULL;
    node->slave = NULL;
    node->clock = NULL;
    node->actions = (struct actions){0};
}

void node_free(struct node *node)
{
    drop_daemon(node);
}

static struct slave *new_slave(const struct node *node, const struct master_config *master,
                               const struct reading *now)
{
    struct slave_config config = {
        .kind = CLOCK_KIND_KERNEL, .precision_ns = PRECISION_NS, .limits = node->limits};

    memcpy(config.name, node->name, sizeof config.name);
    memcpy(config.group, master->group, sizeof config.group);
    memset(config.id, (int)node->index + 1, sizeof config.id);
    return slave_new(&config, now);
}

/* The same boot: RAW has gone on. */
static void resume(struct node *node)
{
    node->learned = node->saved && node->memory.learned;
    node->saved_raw_ns = node->raw_ns;
    if (!node->saved)
        return;
    if (node->master)
        (void)master_resume(node->master, &node->memory, true);
    else
        (void)slave_resume(node->slave, &node->memory, true);
}

void node_save(struct node *node, bool stops)
{
    struct discipline_memory memory = {0};
    bool due;

    if (node->master)
        master_recall(node->master, &memory);
    else
        slave_recall(node->slave, &memory);
    due = memory.synchronised && node->raw_ns - node->saved_raw_ns >= SAVE_INTERVAL_NS;
    due |= memory.learned && (stops || !node->learned);
    node->learned = memory.learned;
    if (!due)
        return;
    node->saved_raw_ns = node->raw_ns;
    node->memory = memory;
    node->saved = true;
}

int node_start(struct node *node, const struct master_config *config, int64_t now_ns)
{
    struct kernel_port port = port_of(node);
    struct reading now = node_read(node, now_ns);
    int r = clock_kernel_open(&port, true, &node->clock);

    if (r < 0)
        return r;
    node->generation++;
    node->wake_raw_ns = INT64_MAX;
    node->panicked = false;
    if (node->index == 0)
        node->master = master_new(config, &now);
    else
        node->slave = new_slave(node, config, &now);
    if (!node_runs(node))
        return -ENOMEM;
    resume(node);
    return 0;
}

void node_end(struct node *node, int64_t now_ns)
{
    struct kernel_port port = port_of(node);

    (void)raw_now(node, now_ns);
    drop_daemon(node);
    node->generation++;
    (void)clock_kernel_tidy(&port);
}

struct reading node_read(struct node *node, int64_t now_ns)
{
    struct reading reading;

    (void)raw_now(node, now_ns);
    (void)port_read(node, &reading);
    return reading;
}

struct reading node_stamp(struct node *node, int64_t now_ns)
{
    struct reading reading = node_read(node, now_ns);

    if (node->noise_ns > 0)
        reading.raw_ns += llround(dice_normal(&node->stamp_dice) * (double)node->noise_ns);
    if (reading.raw_ns < node->stamp_ns)
        reading.raw_ns = node->stamp_ns;
    node->stamp_ns = reading.raw_ns;
    return reading;
}

struct reading node_claim(struct node *node, struct reading reading)
{
    if (node->stuck)
        reading.total_ns = node->stuck_ns - reading.raw_ns;
    reading.total_ns += node->lie_ns;
    if (node->lie_random_ns > 0)
        reading.total_ns += llround(dice_around(&node->lie_dice, (double)node->lie_random_ns));
    return reading;
}

void node_handle(struct node *node, struct event *event, int64_t now_ns)
{
    event->now = node_read(node, now_ns);
    if (node->master)
        master_handle(node->master, event, &node->actions);
    else if (node->slave)
        slave_handle(node->slave, event, &node->actions);
}

void node_summary(const struct node *node, const struct reading *now, struct summary *summary)
{
    if (node->master)
        master_summary(node->master, now, summary);
    else
        slave_summary(node->slave, now, summary);
}

void node_set(struct node *node, int64_t now_ns, int64_t by_ns)
{
    struct timex timex = {.modes = ADJ_SETOFFSET | ADJ_NANO};
    int64_t part_ns = by_ns % NS_PER_S;

    if (part_ns < 0)
        part_ns += NS_PER_S;
    timex.time.tv_sec = (by_ns - part_ns) / NS_PER_S;
    timex.time.tv_usec = part_ns;
    (void)timex_model_adjust(&node->model, raw_now(node, now_ns), &timex);
}

void node_sleep(struct node *node, int64_t now_ns)
{
    timex_model_advance(&node->model, raw_now(node, now_ns));
    crystal_sleep(&node->crystal, now_ns, true);
}

void node_awake(struct node *node, int64_t now_ns, int64_t slept_ns, int64_t rtc_error_ns)
{
    crystal_sleep(&node->crystal, now_ns, false);
    node->true_ns = now_ns;
    node->raw_ns = crystal_raw(&node->crystal, now_ns);
    node->suspended_ns += slept_ns;
    node->model.real_ns += slept_ns + rtc_error_ns;
}
