/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the answers about the daemon come from. */
#include "daemon/daemon_shell.h"

#include "daemon/daemon_step.h"
#include "daemon/journal.h"

#include <syslog.h>

void daemon_summarise(struct daemon *daemon, struct summary *summary)
{
    struct reading now = daemon_read_clock(daemon);

    daemon->role->summarise(daemon->machine, &now, summary);
}

static void summarise(void *context, struct summary *summary)
{
    daemon_summarise(context, summary);
}

static void count(void *context, struct transport_counters *counters)
{
    const struct daemon *daemon = context;

    transport_count(daemon->transport, counters);
}

static void read_clock(void *context, struct reading *now)
{
    *now = daemon_read_clock(context);
}

static bool adjusts(void *context)
{
    const struct daemon *daemon = context;

    return clock_adjusts(daemon->clock);
}

static size_t views(void *context)
{
    const struct daemon *daemon = context;

    return daemon->role->views(daemon->machine);
}

static bool view(void *context, size_t i, const struct reading *now, struct clock_view *out)
{
    const struct daemon *daemon = context;

    return daemon->role->view(daemon->machine, i, now, out);
}

static int wanted_level(const struct daemon *daemon)
{
    return daemon->options->log_level >= 0 ? daemon->options->log_level : daemon->config.log_level;
}

void daemon_set_level(const struct daemon *daemon)
{
    journal_set_level(daemon->trace ? LOG_DEBUG : wanted_level(daemon));
}

static bool traces(void *context)
{
    const struct daemon *daemon = context;

    return daemon->trace || wanted_level(daemon) >= LOG_DEBUG;
}

static void trace(void *context, bool on)
{
    struct daemon *daemon = context;

    if (daemon->trace == on)
        return;
    daemon->trace = true;
    daemon_set_level(daemon);
    if (on)
        journal_notice("Every round is logged from now on, as was asked for by \"berkeleyctl trace "
                       "on\"; \"berkeleyctl trace off\" ends it.");
    else
        journal_notice("No longer every round is logged, as was asked for by \"berkeleyctl trace "
                       "off\".");
    daemon->trace = on;
    daemon_set_level(daemon);
}

static int offer_step(void *context, int64_t *correction_ns, int64_t *slewing_ns)
{
    return daemon_step_offer(context, correction_ns, slewing_ns);
}

static int step(void *context, int64_t confirmed_ns, int64_t *stepped_ns)
{
    return daemon_step(context, confirmed_ns, stepped_ns);
}

void daemon_source(struct daemon *daemon, struct daemon_source *source)
{
    *source = (struct daemon_source){.summarise = summarise,
                                     .count = count,
                                     .read = read_clock,
                                     .adjusts = adjusts,
                                     .views = views,
                                     .view = view,
                                     .chronicle = daemon->chronicle,
                                     .traces = traces,
                                     .trace = trace,
                                     .step_offer = offer_step,
                                     .step = step,
                                     .context = daemon};
}
