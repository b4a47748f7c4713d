/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clock_emulated.h"

#include "daemon/clock_stamp.h"
#include "daemon/emulated_file.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#define PRECISION_READS 16
#define HOST_READS 3
#define FREQ_PER_PPB (65536.0 / 1000.0)

/* A view keeps its copy this far behind what was asked for, so that an instant
 * before the last one asked for can still be told. */
#define VIEW_BEHIND_NS (2 * NS_PER_S)

struct machine {
    struct emulated_file *file;
    uint64_t generation;        /* of the state that `copy` was taken from */
    struct emulated_state copy; /* advanced as it is read */
    struct clock_marks host;
};

struct emulated_view {
    struct emulated_file *file;
    uint64_t generation;
    struct emulated_state copy;
};

static int64_t host_now_ns(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void advance(struct emulated_state *state, int64_t host_ns)
{
    oscillator_advance(&state->oscillator, host_ns);
    timex_model_advance(&state->model, state->oscillator.raw_ns);
}

/* With modes the change is made in the file; the lock comes before the look at
 * the host's clock, so that changes are in the order of their instants. */
static int change(struct emulated_file *file, struct timex *timex, struct emulated_state *state,
                  uint64_t *generation)
{
    int r = emulated_file_begin(file, state);

    if (r < 0)
        return r;
    advance(state, host_now_ns());
    r = timex_model_adjust(&state->model, state->model.raw_ns, timex);
    if (r >= 0)
        *generation = emulated_file_commit(file, state);
    emulated_file_end(file);
    return r;
}

/* Takes over a newer state if somebody else changed it. */
static int machine_refresh(struct machine *machine)
{
    if (emulated_file_generation(machine->file) == machine->generation)
        return 0;
    return emulated_file_load(machine->file, &machine->copy, &machine->generation);
}

/* Brings the copy to now. */
static int catch_up(struct machine *machine)
{
    int r = machine_refresh(machine);

    if (r == 0)
        advance(&machine->copy, host_now_ns());
    return r;
}

/* What the copy showed at an instant it may be beyond already: back at its present rates. */
static void look_back(struct machine *machine, int64_t host_ns, struct reading *reading)
{
    const struct emulated_state *state = &machine->copy;
    int64_t back_ns, back_real_ns;

    advance(&machine->copy, host_ns);
    back_ns = state->oscillator.host_ns - host_ns;
    back_ns += timestamp_drift(back_ns, state->oscillator.frequency_ppb);
    back_real_ns =
        timex_model_read(&state->model, state->model.raw_ns + back_ns) - state->model.real_ns;
    reading->raw_ns = state->model.raw_ns - back_ns;
    reading->total_ns = state->model.real_ns - back_real_ns - reading->raw_ns;
}

/* The kernel that stamps is the host's. */
static int machine_convert(void *context, int64_t real_ns, struct reading *reading)
{
    struct machine *machine = context;
    int64_t host_ns, host_real_ns;
    struct reading host;
    int r = machine_refresh(machine);

    if (r < 0)
        return r;
    (void)clock_bracket(CLOCK_MONOTONIC_RAW, CLOCK_REALTIME, HOST_READS, &host_ns, &host_real_ns);
    host = (struct reading){.raw_ns = host_ns, .total_ns = host_real_ns - host_ns};
    clock_marks_note(&machine->host, &host);
    r = clock_stamp_raw(&machine->host, &host, real_ns, &host_ns);
    if (r == 0)
        look_back(machine, host_ns, reading);
    return r;
}

static int machine_adjust(void *context, struct timex *timex)
{
    struct machine *machine = context;
    int r;

    if (timex->modes != 0) {
        struct emulated_state state;
        r = change(machine->file, timex, &state, &machine->generation);
        if (r >= 0)
            machine->copy = state;
        return r;
    }
    r = catch_up(machine);
    return r < 0 ? r : timex_model_adjust(&machine->copy.model, machine->copy.model.raw_ns, timex);
}

static int machine_read(void *context, struct reading *reading)
{
    struct machine *machine = context;
    const struct timex_model *model = &machine->copy.model;
    int r = catch_up(machine);

    if (r < 0)
        return r;
    reading->raw_ns = model->raw_ns;
    reading->total_ns = model->real_ns - model->raw_ns;
    return 0;
}

static int machine_suspended(void *context, int64_t *ns)
{
    (void)context;
    *ns = 0;
    return 0;
}

static int machine_watch_fd(void *context)
{
    (void)context;
    return -1;
}

static void machine_acknowledge(void *context)
{
    (void)context;
}

static void machine_release(void *context)
{
    struct machine *machine = context;

    emulated_file_close(machine->file);
    free(machine);
}

static uint32_t precision_ns(void)
{
    int64_t narrowest_ns = UINT32_MAX;

    for (int i = 0; i < PRECISION_READS; i++) {
        int64_t before_ns = host_now_ns();
        int64_t width_ns = host_now_ns() - before_ns;
        if (width_ns < narrowest_ns)
            narrowest_ns = width_ns;
    }
    return narrowest_ns < 1 ? 1 : (uint32_t)narrowest_ns;
}

static int initial_state(const struct emulated_oscillator *wanted, struct emulated_state *state)
{
    int64_t host_ns, real_ns;

    *state = (struct emulated_state){0};
    (void)clock_bracket(CLOCK_MONOTONIC_RAW, CLOCK_REALTIME, HOST_READS, &host_ns, &real_ns);
    if (!oscillator_init(&state->oscillator, host_ns, wanted->frequency_ppb, wanted->wander_ppb,
                         wanted->seed) ||
        timestamp_add(real_ns, wanted->offset_ns, &real_ns) < 0 ||
        !(real_ns >= 0 && real_ns < TIMESTAMP_LIMIT_NS))
        return -ERANGE;
    timex_model_init(&state->model, state->oscillator.raw_ns, real_ns);
    return 0;
}

/* After a reboot of the host its RAW is behind the file's, whose machine stood
 * still meanwhile. */
static int resume(struct emulated_file *file)
{
    struct emulated_state state;
    int r = emulated_file_begin(file, &state);

    if (r < 0)
        return r;
    int64_t now_ns = host_now_ns();
    if (state.oscillator.host_ns > now_ns) {
        oscillator_rebase(&state.oscillator, now_ns);
        (void)emulated_file_commit(file, &state);
    }
    emulated_file_end(file);
    return 0;
}

int clock_emulated_port(const char *path, const struct emulated_oscillator *oscillator,
                        struct kernel_port *port)
{
    struct emulated_state initial;
    struct machine *machine;
    int r = initial_state(oscillator, &initial);

    if (r < 0)
        return r;
    machine = calloc(1, sizeof *machine);
    if (!machine)
        return -ENOMEM;
    r = emulated_file_create(path, &initial, &machine->file);
    if (r == 0)
        r = resume(machine->file);
    if (r == 0)
        r = catch_up(machine);
    if (r < 0) {
        machine_release(machine);
        return r;
    }
    *port = (struct kernel_port){
        .adjust = machine_adjust,
        .read = machine_read,
        .convert = machine_convert,
        .suspended = machine_suspended,
        .watch_fd = machine_watch_fd,
        .acknowledge = machine_acknowledge,
        .release = machine_release,
        .context = machine,
        .precision_ns = precision_ns(),
    };
    return 0;
}

int emulated_view_open(const char *path, struct emulated_view **out)
{
    struct emulated_view *view = calloc(1, sizeof *view);
    int r = view ? emulated_file_open(path, false, &view->file) : -ENOMEM;

    if (r < 0)
        emulated_view_close(view);
    else
        *out = view;
    return r;
}

void emulated_view_close(struct emulated_view *view)
{
    if (!view)
        return;
    emulated_file_close(view->file);
    free(view);
}

static int refresh(struct emulated_view *view)
{
    if (emulated_file_generation(view->file) == view->generation)
        return 0;
    return emulated_file_load(view->file, &view->copy, &view->generation);
}

int emulated_view_read(struct emulated_view *view, int64_t host_raw_ns, int64_t *real_ns,
                       struct timex *timex)
{
    struct emulated_state state;
    int64_t late_ns;
    int r = refresh(view);

    if (r == 0 && view->copy.oscillator.host_ns > host_raw_ns)
        r = emulated_file_load(view->file, &view->copy, &view->generation);
    if (r < 0)
        return r;
    advance(&view->copy, host_raw_ns - VIEW_BEHIND_NS);
    /* The daemon may have written since host_raw_ns was taken. */
    if (view->copy.oscillator.host_ns <= host_raw_ns ||
        !emulated_file_load_older(view->file, view->generation, &state))
        state = view->copy;
    late_ns = state.oscillator.host_ns - host_raw_ns;
    advance(&state, host_raw_ns);
    if (timex) {
        timex->modes = 0;
        (void)timex_model_adjust(&state.model, state.model.raw_ns, timex);
    }
    *real_ns = state.model.real_ns - (late_ns > 0 ? late_ns : 0);
    return 0;
}

int64_t emulated_view_backward(struct emulated_view *view)
{
    int r = refresh(view);

    return r < 0 ? r : view->copy.model.backward_ns;
}

static int meddle(const char *path, struct timex *timex)
{
    struct emulated_file *file;
    struct emulated_state state;
    uint64_t generation;
    int r = emulated_file_open(path, true, &file);

    if (r < 0)
        return r;
    r = change(file, timex, &state, &generation);
    emulated_file_close(file);
    return r < 0 ? r : 0;
}

int emulated_meddle_step(const char *path, int64_t delta_ns)
{
    struct timex timex = {.modes = ADJ_SETOFFSET | ADJ_NANO};
    int64_t part_ns = delta_ns % NS_PER_S;

    if (part_ns < 0)
        part_ns += NS_PER_S;
    timex.time.tv_sec = (delta_ns - part_ns) / NS_PER_S;
    timex.time.tv_usec = part_ns;
    return meddle(path, &timex);
}

int emulated_meddle_frequency(const char *path, double freq_ppb)
{
    struct timex timex = {.modes = ADJ_FREQUENCY};

    if (!isfinite(freq_ppb))
        return -EINVAL;
    timex.freq = timestamp_round(freq_ppb * FREQ_PER_PPB);
    return meddle(path, &timex);
}
