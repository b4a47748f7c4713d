/* SPDX-License-Identifier: BSD-2-Clause */
/* All clocks of the group, as the master sees them. */
#include "daemon/daemon_answer.h"

#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>

static const char *kind_name(uint8_t kind)
{
    switch (kind) {
    case CLOCK_KIND_KERNEL:
        return "kernel";
    case CLOCK_KIND_EMULATED:
        return "emulated";
    case CLOCK_KIND_OBSERVED:
        return "observed";
    default:
        return NULL;
    }
}

static void add_known(struct json_object *object, const char *key, const char *text)
{
    answer_add(object, key, text && *text ? json_object_new_string(text) : NULL);
}

static void add_identity(struct json_object *object, const struct clock_view *view)
{
    answer_text(object, "name", view->name);
    add_known(object, "address", view->address);
    answer_bool(object, "own", view->own);
    answer_bool(object, "reference", view->reference);
    add_known(object, "kind", kind_name(view->kind));
    answer_text(object, "state", sync_state_name(view->state));
    answer_text(object, "verdict", clock_verdict_name(view->verdict));
    add_known(object, "why", answer_why(view));
}

static void add_measured(struct json_object *object, const struct clock_view *view)
{
    const bool measured = view->measured;

    answer_if(object, "offset_ns", measured, view->offset_ns);
    answer_real(object, "rate_ppb", measured ? view->rate_ppb : NAN);
    answer_real(object, "frequency_ppb", view->freq_ppb);
    answer_if(object, "delay_ns", measured, view->delay_ns);
    answer_if(object, "jitter_ns", measured, view->jitter_ns);
    answer_if(object, "sd_ns", measured, view->sd_ns);
    answer_if(object, "bound_ns", view->bound_ns != INT64_MAX, view->bound_ns);
    answer_real(object, "weight", measured ? view->weight : NAN);
}

static struct json_object *tell(const struct clock_view *view)
{
    struct json_object *object = json_object_new_object();

    if (!object)
        return NULL;
    add_identity(object, view);
    add_measured(object, view);
    answer_number(object, "heard_ns", view->heard_ns);
    answer_number(object, "frames_refused", view->refused);
    return object;
}

static struct json_object *refuse(const struct daemon_control *control)
{
    struct summary summary = {0};

    control->source.summarise(control->source.context, &summary);
    if (!summary.connected)
        return control_complain("this is a slave, and without its master now; the clocks are known "
                                "to the master");
    return control_complain("this is a slave; the clocks are known to its master, %s",
                            summary.name);
}

/* As of one instant. */
struct snapshot {
    size_t count, told;
    struct clock_view views[];
};

static struct snapshot *take_snapshot(const struct daemon_source *source)
{
    const size_t most = source->views(source->context);
    struct snapshot *snapshot = malloc(sizeof *snapshot + most * sizeof snapshot->views[0]);
    struct reading now;

    if (!snapshot)
        return NULL;
    snapshot->count = snapshot->told = 0;
    source->read(source->context, &now);
    for (size_t i = 0; i < most; i++)
        snapshot->count +=
            source->view(source->context, i, &now, &snapshot->views[snapshot->count]);
    return snapshot;
}

static struct json_object *next(void *context)
{
    struct snapshot *snapshot = context;

    return snapshot->told < snapshot->count ? tell(&snapshot->views[snapshot->told++]) : NULL;
}

/* References have one of their own, if there are others at all. */
static void add_gate(struct json_object *answer, const struct snapshot *snapshot)
{
    const struct clock_view *view = snapshot->views;
    bool known;

    for (size_t i = 0; i < snapshot->count && view->reference; i++)
        view = &snapshot->views[i];
    known = snapshot->count > 0 && view->gate_ns > 0;
    answer_if(answer, "gate_ns", known, known ? view->gate_ns : 0);
    answer_real(answer, "gate_ppb", known ? view->gate_ppb : NAN);
}

struct json_object *answer_clocks(void *context, const char *argument, struct control_list *list)
{
    const struct daemon_control *control = context;
    struct summary summary = {0};
    struct snapshot *snapshot;
    struct json_object *answer;

    (void)argument;
    if (!control->master)
        return refuse(control);
    answer = answer_begin(control);
    snapshot = answer ? take_snapshot(&control->source) : NULL;
    if (!snapshot) {
        (void)json_object_put(answer);
        return NULL;
    }
    control->source.summarise(control->source.context, &summary);
    answer_number(answer, "round", summary.round);
    add_gate(answer, snapshot);
    answer_add(answer, "clocks", json_object_new_array());
    *list = (struct control_list){.next = next, .end = free, .context = snapshot};
    return answer;
}
