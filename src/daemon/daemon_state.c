/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/daemon_state.h"

#include "daemon/directory.h"
#include "daemon/journal.h"
#include "daemon/message_ids.h"
#include "daemon/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-id128.h>

#define STATE_DIRECTORY "/var/lib/berkeley"
#define STATE_SUFFIX ".state"
/* The file may lie on flash, which wears: some 50,000 writes a year. */
#define SAVE_INTERVAL_NS (600 * NS_PER_S)

struct daemon_state {
    char path[DAEMON_STATE_PATH_SIZE];
    char boot[STATE_BOOT_SIZE];
    struct clock *clock;
    const struct role *role;
    void *machine;
    struct state saved;   /* as read, then as written */
    bool same_raw;        /* since then */
    bool learned;         /* the frequency was, at the last tick */
    int64_t tried_raw_ns; /* last saving */
    int failed;           /* why the last saving was not one, if it was not */
};

bool daemon_state_path(const struct config *config, char path[DAEMON_STATE_PATH_SIZE])
{
    const char *given = config->clock.state_file;
    int length;

    if (strcmp(given, CONFIG_STATE_NONE) == 0)
        return false;
    if (*given)
        length = snprintf(path, DAEMON_STATE_PATH_SIZE, "%s", given);
    else if (config->clock.kind == CONFIG_CLOCK_EMULATED && !*config->emulated.file)
        return false;
    else if (config->clock.kind == CONFIG_CLOCK_EMULATED)
        length = snprintf(path, DAEMON_STATE_PATH_SIZE, "%s" STATE_SUFFIX, config->emulated.file);
    else {
        int r = directory_file("STATE_DIRECTORY", "state", path, DAEMON_STATE_PATH_SIZE);

        if (r != -ENOENT)
            return r == 0;
        length = snprintf(path, DAEMON_STATE_PATH_SIZE, STATE_DIRECTORY "/state");
    }
    return length > 0 && (size_t)length < DAEMON_STATE_PATH_SIZE;
}

/* As long as this is the same, RAW goes on.  The unit tells it where /proc/sys is hidden.  An
 * emulated machine stands still while its host is down. */
static void tell_boot(const struct config *config, char boot[STATE_BOOT_SIZE])
{
    const char *told = getenv("BERKELEY_BOOT_ID");
    char host[SD_ID128_STRING_MAX];
    struct stat file;
    sd_id128_t id;

    boot[0] = '\0';
    if ((!told || sd_id128_from_string(told, &id) < 0) && sd_id128_get_boot(&id) < 0)
        return;
    sd_id128_to_string(id, host);
    if (config->clock.kind != CONFIG_CLOCK_EMULATED)
        (void)snprintf(boot, STATE_BOOT_SIZE, "%s", host);
    else if (stat(config->emulated.file, &file) == 0)
        (void)snprintf(boot, STATE_BOOT_SIZE, "%s-%jx", host, (uintmax_t)file.st_ino);
}

/* A machine without a battery for its clock starts years behind.  One that was not booted since
 * was set back by somebody, who is not contradicted. */
static void step_forward(struct daemon_state *state, const struct reading *now)
{
    const int64_t behind_ns = state->saved.real_ns - (now->raw_ns + now->total_ns);
    char text[JOURNAL_TIME_SIZE];
    int r;

    if (state->same_raw || behind_ns <= 0)
        return;
    r = clock_step(state->clock, behind_ns);
    if (r < 0) {
        journal_say(LOG_ERR, &(struct journal_fields){.error = -r},
                    "Cannot set the clock forward to the time saved: %s. It starts %s behind that.",
                    strerror(-r), journal_time(behind_ns, text));
        return;
    }
    journal_say(LOG_NOTICE,
                &(struct journal_fields){
                    .message_id = MESSAGE_SAVED_TIME, .has_offset = true, .offset_ns = -behind_ns},
                "The clock was %s behind the time saved in %s and is set forward to it.",
                journal_time(behind_ns, text), state->path);
}

static void load(struct daemon_state *state, const struct reading *now)
{
    char error[STATE_ERROR_SIZE];
    int r = state_load(state->path, &state->saved, error);

    if (r < 0 && r != -ENOENT)
        journal_say(LOG_WARNING,
                    &(struct journal_fields){.message_id = MESSAGE_STATE_FILE, .error = -r},
                    "%s; starting without what was saved.", error);
    if (r < 0)
        return;
    state->same_raw = state->boot[0] && strcmp(state->boot, state->saved.boot) == 0 &&
                      now->raw_ns >= state->saved.raw_ns;
    step_forward(state, now);
}

struct daemon_state *daemon_state_open(const struct config *config, struct clock *clock)
{
    struct daemon_state *state;
    struct reading now;

    /* What only observes has learned nothing of its own, and its clock is somebody else's. */
    if (!clock_adjusts(clock) || clock_read(clock, &now) < 0)
        return NULL;
    state = calloc(1, sizeof *state);
    if (!state)
        return NULL;
    if (!daemon_state_path(config, state->path)) {
        free(state);
        return NULL;
    }
    tell_boot(config, state->boot);
    state->clock = clock;
    state->tried_raw_ns = now.raw_ns;
    load(state, &now);
    return state;
}

void daemon_state_resume(struct daemon_state *state, const struct role *role, void *machine)
{
    const struct discipline_memory *memory;
    int r;

    if (!state)
        return;
    memory = &state->saved.memory;
    state->role = role;
    state->machine = machine;
    r = role->resume(machine, memory, state->same_raw);
    if (r < 0) {
        journal_say(
            LOG_WARNING, &(struct journal_fields){.message_id = MESSAGE_STATE_FILE, .error = -r},
            "%s holds what no clock can follow; starting without what was saved.", state->path);
        return;
    }
    state->learned = memory->learned;
    if (memory->learned)
        journal_info("The clock starts with the frequency it learned before, %+.3f ppm.",
                     memory->freq_ppb / 1e3);
}

static void save(struct daemon_state *state, const struct discipline_memory *memory,
                 const struct reading *now)
{
    struct state fresh = {
        .real_ns = state->saved.real_ns, .raw_ns = now->raw_ns, .memory = *memory};
    int r;

    memcpy(fresh.boot, state->boot, sizeof fresh.boot);
    /* A time that nobody vouches for may be far in the future, and would come back from there. */
    if (memory->synchronised)
        fresh.real_ns = now->raw_ns + now->total_ns;
    else
        fresh.memory.target = (struct target){0};
    state->tried_raw_ns = now->raw_ns;
    r = state_save(state->path, &fresh);
    if (r < 0 && r != state->failed)
        journal_say(LOG_WARNING,
                    &(struct journal_fields){.message_id = MESSAGE_STATE_FILE, .error = -r},
                    "Cannot save frequency and time to %s: %s. The next start will have to do "
                    "without.",
                    state->path, strerror(-r));
    state->failed = r;
    if (r == 0)
        state->saved = fresh;
}

void daemon_state_tick(struct daemon_state *state)
{
    struct discipline_memory memory = {0};
    struct reading now;
    bool news, due;

    if (!state || !state->machine || clock_read(state->clock, &now) < 0)
        return;
    state->role->recall(state->machine, &memory);
    news = memory.learned && !state->learned;
    due = memory.synchronised && now.raw_ns - state->tried_raw_ns >= SAVE_INTERVAL_NS;
    state->learned = memory.learned;
    if (news || due)
        save(state, &memory, &now);
}

void daemon_state_stop(struct daemon_state *state)
{
    struct discipline_memory memory = {0};
    struct reading now;

    if (!state || !state->machine || clock_read(state->clock, &now) < 0)
        return;
    state->role->recall(state->machine, &memory);
    if (memory.learned || memory.synchronised)
        save(state, &memory, &now);
}

void daemon_state_close(struct daemon_state *state)
{
    free(state);
}
