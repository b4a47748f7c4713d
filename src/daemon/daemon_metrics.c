/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/daemon_metrics.h"

#include "core/timestamp.h"
#include "daemon/journal.h"
#include "daemon/metrics.h"
#include "daemon/metrics_file.h"
#include "daemon/metrics_http.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FILE_PERIOD_US UINT64_C(15000000)
#define FILE_ACCURACY_US UINT64_C(1000000)

struct daemon_metrics {
    const struct config *config;
    bool master;
    struct daemon_source source;
    struct metrics_http *http;
    sd_event_source *file_timer;
    struct metrics_text text;
    int64_t started_ns, start_ns; /* by CLOCK_BOOTTIME, and UNIX time */
    uint64_t unwritten, unwritten_on_end;
};

static int64_t now_ns(clockid_t clock)
{
    struct timespec now = {0};

    (void)clock_gettime(clock, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* The same for as long as nobody sets the clock: who sees another one takes it for a restart. */
static int64_t find_start(struct daemon_metrics *metrics)
{
    int64_t start_ns = now_ns(CLOCK_REALTIME) - (now_ns(CLOCK_BOOTTIME) - metrics->started_ns);

    if (timestamp_abs(start_ns - metrics->start_ns) >= NS_PER_S)
        metrics->start_ns = start_ns;
    return metrics->start_ns;
}

/* All clocks as of one instant. */
struct sight {
    const struct daemon_source *source;
    struct reading now;
};

static bool view(void *context, size_t i, struct clock_view *out)
{
    const struct sight *sight = context;

    return sight->source->view(sight->source->context, i, &sight->now, out);
}

static int write_text(struct daemon_metrics *metrics)
{
    const struct daemon_source *source = &metrics->source;
    struct sight sight = {.source = source};
    struct transport_counters counters = {0};
    struct summary summary = {0};
    struct metrics_input input = {.master = metrics->master,
                                  .name = metrics->config->name,
                                  .group = metrics->config->group,
                                  .version = BERKELEY_VERSION,
                                  .start_ns = find_start(metrics),
                                  .files = metrics->config->metrics.file[0],
                                  .files_unwritten = metrics->unwritten,
                                  .summary = &summary,
                                  .counters = &counters,
                                  .tally = chronicle_tally(source->chronicle),
                                  .views = metrics->master ? source->views(source->context) : 0,
                                  .view = view,
                                  .context = &sight};
    int64_t corrected_raw_ns;

    source->read(source->context, &sight.now);
    source->summarise(source->context, &summary);
    source->count(source->context, &counters);
    input.corrected = chronicle_correction(source->chronicle, &input.correction_ns,
                                           &corrected_raw_ns);
    return metrics_write(&input, &metrics->text);
}

static int on_text(void *context, const char **bytes, size_t *length)
{
    struct daemon_metrics *metrics = context;
    int r = write_text(metrics);

    *bytes = metrics->text.bytes;
    *length = metrics->text.length;
    return r;
}

/* --- the file --- */

static void tell_of_file(struct daemon_metrics *metrics, int error)
{
    const char *path = metrics->config->metrics.file;

    if (error < 0) {
        metrics->unwritten++;
        if (++metrics->unwritten_on_end == 1)
            journal_say(LOG_WARNING, &(struct journal_fields){.error = -error},
                        "Cannot write the metrics to %s: %s. node_exporter has none to tell; it is "
                        "tried again every 15 s.",
                        path, strerror(-error));
        return;
    }
    if (metrics->unwritten_on_end > 0)
        journal_notice("The metrics are in %s again, after %" PRIu64 " failed attempt%s.", path,
                       metrics->unwritten_on_end, metrics->unwritten_on_end == 1 ? "" : "s");
    metrics->unwritten_on_end = 0;
}

static int on_file(sd_event_source *source, uint64_t usec, void *context)
{
    struct daemon_metrics *metrics = context;
    int r = write_text(metrics);

    (void)usec;
    if (r >= 0)
        r = metrics_file_write(metrics->config->metrics.file, metrics->text.bytes,
                               metrics->text.length);
    if (r < 0)
        metrics_file_remove(metrics->config->metrics.file);
    tell_of_file(metrics, r);
    (void)sd_event_source_set_time_relative(source, FILE_PERIOD_US);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* The first one as soon as the daemon runs. */
static int open_file(struct daemon_metrics *metrics, sd_event *loop)
{
    int r;

    if (!metrics->config->metrics.file[0])
        return 0;
    r = sd_event_add_time_relative(loop, &metrics->file_timer, CLOCK_MONOTONIC, 0,
                                   FILE_ACCURACY_US, on_file, metrics);
    return r < 0 ? r : sd_event_source_set_priority(metrics->file_timer, SD_EVENT_PRIORITY_IDLE);
}

/* --- HTTP --- */

static void listen_on(struct daemon_metrics *metrics, const char *address)
{
    const unsigned port = (unsigned)metrics->config->metrics.port;
    const bool colons = strchr(address, ':') != NULL;
    int r = metrics_http_listen(metrics->http, address, (uint16_t)port);

    if (r < 0)
        journal_say(LOG_WARNING, &(struct journal_fields){.error = -r},
                    "Cannot listen on %s port %u for metrics: %s. Prometheus cannot fetch them "
                    "there; the clock is kept all the same.",
                    address, port, strerror(-r));
    else
        journal_info("Metrics are at http://%s%s%s:%u/metrics.", colons ? "[" : "", address,
                     colons ? "]" : "", port);
}

static int open_http(struct daemon_metrics *metrics, sd_event *loop)
{
    const struct metrics_http_source source = {.text = on_text, .context = metrics};
    int r;

    if (!metrics->config->metrics.listen[0][0])
        return 0;
    r = metrics_http_open(loop, &source, &metrics->http);
    for (size_t i = 0; r >= 0 && i < CONFIG_METRICS_MAX; i++)
        if (metrics->config->metrics.listen[i][0])
            listen_on(metrics, metrics->config->metrics.listen[i]);
    return r;
}

struct daemon_metrics *daemon_metrics_open(sd_event *loop, const struct config *config, bool master,
                                           const struct daemon_source *source)
{
    struct daemon_metrics *metrics;
    int r = -ENOMEM;

    if (!config->metrics.listen[0][0] && !config->metrics.file[0])
        return NULL;
    metrics = calloc(1, sizeof *metrics);
    if (metrics) {
        metrics->config = config;
        metrics->master = master;
        metrics->source = *source;
        metrics->started_ns = now_ns(CLOCK_BOOTTIME);
        r = open_file(metrics, loop);
        if (r >= 0)
            r = open_http(metrics, loop);
    }
    if (r >= 0)
        return metrics;
    journal_say(LOG_WARNING, &(struct journal_fields){.error = -r},
                "Cannot give metrics: %s. The clock is kept all the same.", strerror(-r));
    daemon_metrics_close(metrics);
    return NULL;
}

void daemon_metrics_close(struct daemon_metrics *metrics)
{
    if (!metrics)
        return;
    metrics_http_close(metrics->http);
    if (metrics->file_timer)
        metrics_file_remove(metrics->config->metrics.file);
    sd_event_source_disable_unref(metrics->file_timer);
    metrics_text_free(&metrics->text);
    free(metrics);
}
