/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's actions, each by the adapter that can do it. */
#include "daemon/daemon_shell.h"

#include "daemon/journal.h"
#include "daemon/narrator.h"

/* What was just sent, told back to the machine with its departure stamp. */
static void report_sent(struct daemon *daemon, uint32_t peer, const uint8_t *bytes,
                        int64_t raw_ns)
{
    struct event event = {.kind = EVENT_SENT, .peer = peer, .now = daemon_read_clock(daemon)};

    wire_identify(bytes, &event.sent.type, &event.sent.sequence);
    event.sent.raw_ns = raw_ns;
    daemon->role->handle(daemon->machine, &event, &daemon->actions);
}

static void perform_send(struct daemon *daemon, const struct action *action)
{
    struct action sent = *action; /* the queue may grow and move below */
    int64_t raw_ns = 0;
    int r = transport_send(daemon->transport, sent.peer, sent.send.bytes, sent.send.length,
                           sent.send.stamped, &raw_ns);

    if (r < 0 || !sent.send.stamped)
        return;
    report_sent(daemon, sent.peer, sent.send.bytes, raw_ns);
    transport_collect(daemon->transport, sent.peer);
}

static void perform_steer(struct daemon *daemon, const struct action *action)
{
    int r = clock_steer(daemon->clock, &action->steer);

    daemon->soon = action->steer.soon;
    if (r < 0)
        journal_errno(r, "Cannot steer the clock: %m. It is tried again within a second.");
}

static void perform_step(struct daemon *daemon, const struct action *action)
{
    int r = clock_step(daemon->clock, action->step_ns);

    daemon->stepped_ns = action->step_ns;
    daemon->step_error = r;
    if (r < 0)
        journal_errno(r, "Cannot step the clock: %m");
}

static void perform_close(struct daemon *daemon, const struct action *action)
{
    transport_close(daemon->transport, action->peer);
}

static void perform_note(struct daemon *daemon, const struct action *action)
{
    const struct reading now = daemon_read_clock(daemon);

    chronicle_take(daemon->chronicle, &action->note, &now);
    narrator_tell(&action->note);
}

static void perform_panic(struct daemon *daemon, const struct action *action)
{
    (void)action;
    sd_event_exit(daemon->loop, EXIT_PANIC);
}

void daemon_perform(struct daemon *daemon)
{
    static void (*const performers[])(struct daemon *, const struct action *) = {
        [ACTION_SEND] = perform_send, [ACTION_CLOSE] = perform_close,
        [ACTION_STEER] = perform_steer, [ACTION_STEP] = perform_step,
        [ACTION_NOTE] = perform_note, [ACTION_PANIC] = perform_panic,
    };

    for (size_t i = 0; i < daemon->actions.count; i++) {
        const struct action *action = &daemon->actions.items[i];

        performers[action->kind](daemon, action);
    }
    if (daemon->actions.lost)
        journal_error("Out of memory: something was left undone.");
    actions_clear(&daemon->actions);
}
