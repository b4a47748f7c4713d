/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/daemon_shell.h"

#include "daemon/daemon_clock.h"
#include "daemon/daemon_control.h"
#include "daemon/daemon_keys.h"
#include "daemon/daemon_reload.h"
#include "daemon/daemon_signals.h"
#include "daemon/daemon_state.h"
#include "daemon/daemon_wire.h"
#include "daemon/journal.h"
#include "daemon/message_ids.h"
#include "daemon/narrator.h"
#include "daemon/notify.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#define TICK_US UINT64_C(1000000)
#define BLIND_TICKS 45 /* the units' watchdog has ended a clock process that hangs by then */

struct reading daemon_read_clock(struct daemon *daemon)
{
    struct reading now = {0};
    int r = clock_read(daemon->clock, &now);

    if (r >= 0 && (!timestamp_valid(now.raw_ns) || !timestamp_valid(now.total_ns)))
        r = -ERANGE;
    if (r >= 0)
        return now;
    journal_errno(r, "This machine's clock shows a time that cannot be used (allowed: 1970 to "
                     "2116): %m. Set it roughly, then start again.");
    sd_event_exit(daemon->loop, EXIT_ERROR);
    return (struct reading){0};
}

static void arm_wake(struct daemon *daemon)
{
    int64_t at_ns = daemon->role->wake_at(daemon->machine);
    int64_t wait_ns;

    if (at_ns == INT64_MAX) {
        sd_event_source_set_enabled(daemon->wake, SD_EVENT_OFF);
        return;
    }
    wait_ns = at_ns - daemon_read_clock(daemon).raw_ns;
    wait_ns = wait_ns > 0 ? wait_ns : 0;
    sd_event_source_set_time_relative(daemon->wake, (uint64_t)(wait_ns / NS_PER_US) + 1);
    sd_event_source_set_enabled(daemon->wake, SD_EVENT_ONESHOT);
}

/* One event through the machine, and what follows from it. */
static void dispatch(struct daemon *daemon, struct event *event)
{
    assert(!daemon->dispatching);
    daemon->dispatching = true;
    event->now = daemon_read_clock(daemon);
    daemon->role->handle(daemon->machine, event, &daemon->actions);
    daemon_perform(daemon);
    arm_wake(daemon);
    daemon->dispatching = false;
}

static void on_up(void *context, uint32_t peer, const char *address, const char *owner)
{
    struct event event = {.kind = EVENT_UP, .peer = peer};
    struct daemon *daemon = context;

    daemon->unreachable[0] = '\0';
    strncpy(event.up.address, address, sizeof event.up.address - 1);
    strncpy(event.up.owner, owner, sizeof event.up.owner - 1);
    dispatch(context, &event);
}

static void on_down(void *context, uint32_t peer, int error)
{
    struct event event = {.kind = EVENT_DOWN, .peer = peer};

    if (error < 0)
        journal_say(LOG_DEBUG, &(struct journal_fields){.error = -error}, "Connection %u ended: %s.",
                    peer, strerror(-error));
    if (error == -EBADMSG)
        event.down.reason = BYE_PROTOCOL;
    else if (error == -EBUSY)
        event.down.reason = BYE_FLOOD;
    else if (error == -EKEYREVOKED || error == -ENOKEY)
        event.down.reason = BYE_KEY;
    dispatch(context, &event);
}

static void on_frame(void *context, uint32_t peer, const uint8_t *bytes, size_t length,
                     const struct reading *arrived, enum stamp_source source)
{
    struct event event = {.kind = EVENT_FRAME, .peer = peer};

    event.frame.bytes = bytes;
    event.frame.length = length;
    event.frame.arrived = *arrived;
    event.frame.source = source;
    dispatch(context, &event);
}

/* From the loop, or while what was just sent is being told. */
static void on_stamped(void *context, uint32_t peer, uint8_t type, uint32_t sequence,
                       int64_t raw_ns)
{
    struct daemon *daemon = context;
    struct event event = {.kind = EVENT_STAMPED, .peer = peer};

    event.sent.type = type;
    event.sent.sequence = sequence;
    event.sent.raw_ns = raw_ns;
    if (!daemon->dispatching) {
        dispatch(daemon, &event);
        return;
    }
    event.now = daemon_read_clock(daemon);
    daemon->role->handle(daemon->machine, &event, &daemon->actions);
}

static void on_unreachable(void *context, const char *what, int64_t retry_ns)
{
    struct daemon *daemon = context;
    bool news = strncmp(daemon->unreachable, what, UNREACHABLE_SIZE - 1) != 0;

    snprintf(daemon->unreachable, UNREACHABLE_SIZE, "%s", what);
    journal_say(news ? LOG_NOTICE : LOG_DEBUG,
                &(struct journal_fields){.message_id = MESSAGE_UNREACHABLE},
                "Cannot reach the master %s. Trying again in %s.", what,
                journal_time(retry_ns, (char[JOURNAL_TIME_SIZE]){0}));
}

static void on_stamp(void *context, struct reading *reading)
{
    *reading = daemon_read_clock(context);
}

static int on_convert(void *context, int64_t real_ns, struct reading *reading)
{
    struct daemon *daemon = context;

    return clock_convert(daemon->clock, real_ns, reading);
}

static void tell_status(struct daemon *daemon)
{
    char sentence[NARRATOR_STATUS_SIZE];
    struct summary summary;

    daemon_summarise(daemon, &summary);
    narrator_status(&summary, daemon->role->master, sentence);
    notify_status(sentence);
}

/* A machine without ticks knows neither silence nor the end of holdover. */
static void go_blind(struct daemon *daemon, int error)
{
    if (daemon->blind == 0)
        journal_errno(error, "Cannot look at the clock: %m. It is tried again every second.");
    if (++daemon->blind < BLIND_TICKS)
        return;
    journal_error("The clock was out of reach for too long: this daemon ends, and its unit starts "
                  "it again.");
    sd_event_exit(daemon->loop, EXIT_ERROR);
}

void daemon_look(struct daemon *daemon)
{
    struct event event = {.kind = EVENT_TICK};
    int r = clock_look(daemon->clock, &event.tick);

    daemon->pause_ns = DISCIPLINE_TICK_NS;
    daemon->soon = false;
    if (r < 0) {
        go_blind(daemon, r);
        return;
    }
    if (daemon->blind > 0)
        journal_notice("The clock can be looked at again.");
    daemon->blind = 0;
    event.tick.observed = !clock_adjusts(daemon->clock);
    dispatch(daemon, &event);
    daemon->pause_ns = discipline_pause(&event.tick.now, daemon->soon);
    daemon_segment_tick(daemon->segment, chronicle_tally(daemon->chronicle));
    daemon_state_tick(daemon->state);
    tell_status(daemon);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *context)
{
    const struct daemon *daemon = context;

    (void)usec;
    daemon_look(context);
    sd_event_source_set_time_relative(source, (uint64_t)(daemon->pause_ns / NS_PER_US));
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_wake(sd_event_source *source, uint64_t usec, void *context)
{
    struct event event = {.kind = EVENT_WAKE};

    (void)source;
    (void)usec;
    dispatch(context, &event);
    return 0;
}

static int on_clock_set(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct daemon *daemon = context;

    (void)source;
    (void)fd;
    (void)events;
    clock_acknowledge(daemon->clock);
    daemon_look(daemon);
    return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
    struct daemon *daemon = context;
    struct event event = {.kind = EVENT_STOP};

    (void)source;
    (void)info;
    notify_stopping();
    dispatch(daemon, &event);
    daemon_state_stop(daemon->state);
    return sd_event_exit(daemon->loop, EXIT_OK);
}

static void apply(struct daemon *daemon, const struct config *fresh, struct keyring *keyring)
{
    daemon_reload_tell(&daemon->config, fresh);
    daemon->config = *fresh;
    daemon->keyed |= keyring != NULL;
    daemon_set_level(daemon);
    daemon->role->configure(daemon->machine, fresh, clock_adjusts(daemon->clock));
    daemon_wire_apply(daemon->transport, fresh, daemon->role->master, keyring, daemon->keyed);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
    struct daemon *daemon = context;
    struct keyring *keyring;
    struct config fresh;

    (void)source;
    (void)info;
    notify_reloading();
    if (daemon_reload(daemon->options->config_path, &daemon->config, &fresh) &&
        daemon_keys_reload(&fresh, daemon->role->master, daemon->keyed, &keyring) >= 0) {
        apply(daemon, &fresh, keyring);
        journal_say(LOG_NOTICE, &(struct journal_fields){.message_id = MESSAGE_CONFIG_RELOADED},
                    "Configuration reloaded from %s.", daemon->options->config_path);
    }
    notify_ready();
    return 0;
}

static int open_loop(struct daemon *daemon)
{
    int r = sd_event_new(&daemon->loop);

    signal(SIGPIPE, SIG_IGN);
    return r < 0 ? r
                 : daemon_signals_open(daemon->loop, on_stop, on_reload, daemon, daemon->signals);
}

static bool is_bound(void *context, const char *name)
{
    const struct daemon *daemon = context;

    return transport_binds(daemon->transport, name);
}

static int open_machine(struct daemon *daemon)
{
    struct reading now = daemon_read_clock(daemon);

    daemon->machine = daemon->role->create(&daemon->config, clock_adjusts(daemon->clock),
                                           clock_precision_ns(daemon->clock), &now);
    daemon->chronicle = chronicle_new(&now);
    if (!daemon->machine || !daemon->chronicle)
        return -ENOMEM;
    if (daemon->role->bind)
        daemon->role->bind(daemon->machine, is_bound, daemon);
    daemon_state_resume(daemon->state, daemon->role, daemon->machine);
    return 0;
}

static int open_timers(struct daemon *daemon)
{
    int fd = clock_watch_fd(daemon->clock);
    int r = sd_event_add_time_relative(daemon->loop, &daemon->wake, CLOCK_MONOTONIC, 0, 1, on_wake,
                                       daemon);

    if (r >= 0)
        r = sd_event_add_time_relative(daemon->loop, &daemon->tick, CLOCK_MONOTONIC, TICK_US, 1,
                                       on_tick, daemon);
    if (r >= 0 && fd >= 0)
        r = sd_event_add_io(daemon->loop, &daemon->clock_set, fd, EPOLLIN, on_clock_set, daemon);
    return r < 0 ? r : notify_watchdog(daemon->loop);
}

static int open_transport(struct daemon *daemon)
{
    const struct transport_handler handler = {
        .up = on_up,
        .down = on_down,
        .frame = on_frame,
        .stamped = on_stamped,
        .unreachable = on_unreachable,
        .stamp = on_stamp,
        .convert = daemon->config.timestamps == CONFIG_STAMPS_KERNEL ? on_convert : NULL,
        .context = daemon};
    struct keyring *keyring = daemon->keyring;

    daemon->keyed = keyring != NULL;
    daemon->keyring = NULL;
    return daemon_wire_open(daemon->loop, &handler, &daemon->config, daemon->role->master, keyring,
                            &daemon->transport);
}

/* Where others look in: the daemon does its work without, too. */
static void open_windows(struct daemon *daemon)
{
    bool master = daemon->role->master;
    struct daemon_source source;

    daemon_source(daemon, &source);
    daemon->control = daemon_control_open(daemon->loop, &daemon->config, master, &source);
    daemon->metrics = daemon_metrics_open(daemon->loop, &daemon->config, master, &source);
    daemon->segment = daemon_segment_open(&daemon->config, clock_adjusts(daemon->clock), &source);
}

static int open_all(struct daemon *daemon)
{
    bool adjust = daemon->config.clock.discipline && !daemon->options->observe;
    int r = daemon_clock_open(&daemon->config, adjust, &daemon->clock);

    if (r < 0)
        return r;
    daemon->state = daemon_state_open(&daemon->config, daemon->clock);
    r = open_loop(daemon);
    if (r >= 0)
        r = open_machine(daemon);
    if (r >= 0)
        r = open_timers(daemon);
    if (r < 0)
        return journal_errno(r, "Cannot start: %m");
    r = open_transport(daemon);
    if (r >= 0)
        open_windows(daemon);
    return r;
}

static void close_all(struct daemon *daemon)
{
    daemon_segment_close(daemon->segment);
    daemon_metrics_close(daemon->metrics);
    daemon_control_close(daemon->control);
    transport_free(daemon->transport);
    keyring_free(daemon->keyring);
    daemon_state_close(daemon->state);
    if (daemon->machine)
        daemon->role->destroy(daemon->machine);
    chronicle_free(daemon->chronicle);
    actions_free(&daemon->actions);
    sd_event_source_unref(daemon->clock_set);
    sd_event_source_unref(daemon->tick);
    sd_event_source_unref(daemon->wake);
    daemon_signals_close(daemon->signals);
    if (daemon->clock)
        clock_free(daemon->clock);
    sd_event_unref(daemon->loop);
}

static int run_loop(struct daemon *daemon)
{
    int r;

    daemon_look(daemon);
    journal_say(LOG_NOTICE, &(struct journal_fields){.message_id = MESSAGE_STARTED},
                "berkeleyd %s started as %s of group %s, as %s.", BERKELEY_VERSION,
                daemon->role->name, daemon->config.group, daemon->config.name);
    notify_ready();
    r = sd_event_loop(daemon->loop);
    if (r < 0) {
        journal_errno(r, "The event loop failed: %m");
        return EXIT_ERROR;
    }
    journal_say(LOG_NOTICE, &(struct journal_fields){.message_id = MESSAGE_STOPPED},
                clock_adjusts(daemon->clock) ? "Stopped; the clock keeps the frequency it learned."
                                             : "Stopped; the clock was not touched.");
    return r;
}

int daemon_run(const struct daemon_options *options, const struct config *config)
{
    struct daemon daemon = {.options = options, .role = options->role, .config = *config};
    int code = EXIT_ERROR;
    int r = daemon_keys_load(config, options->role->master, &daemon.keyring);

    if (r < 0)
        return r == -EACCES ? EXIT_PERMISSION : EXIT_BAD_CONFIG;
    r = open_all(&daemon);
    if (r >= 0)
        code = run_loop(&daemon);
    else if (r == -EACCES || r == -EPERM)
        code = EXIT_PERMISSION;
    close_all(&daemon);
    return code;
}
