/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/daemon_control.h"

#include "daemon/control.h"
#include "daemon/directory.h"
#include "daemon/daemon_answer.h"
#include "daemon/journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct control_word words[] = {
    {.word = "status", .answer = answer_status},
    {.word = "clocks", .answer_long = answer_clocks},
    {.word = "rounds", .takes_argument = true, .answer = answer_rounds},
    {.word = "now", .answer = answer_now},
    {.word = "counters", .answer = answer_counters},
    {.word = "trace", .changes = true, .takes_argument = true, .answer = answer_trace},
    {.word = "step", .changes = true, .takes_argument = true, .answer = answer_step},
};

bool daemon_control_path(const struct config *config, bool master, char path[CONFIG_PATH_SIZE])
{
    if (strcmp(config->control, CONFIG_STATE_NONE) == 0)
        return false;
    if (!*config->control)
        return directory_file("RUNTIME_DIRECTORY", master ? "master.sock" : "slave.sock", path,
                              CONFIG_PATH_SIZE) == 0;
    (void)snprintf(path, CONFIG_PATH_SIZE, "%s", config->control);
    return true;
}

struct daemon_control *daemon_control_open(sd_event *loop, const struct config *config, bool master,
                                           const struct daemon_source *source)
{
    struct daemon_control *control;
    char path[CONFIG_PATH_SIZE];
    int r = -ENOMEM;

    if (!daemon_control_path(config, master, path))
        return NULL;
    control = calloc(1, sizeof *control);
    if (control) {
        control->config = config;
        control->master = master;
        control->source = *source;
        r = control_open(loop, path, words, COUNT(words), control, &control->control);
    }
    if (r >= 0)
        return control;
    journal_say(LOG_WARNING, &(struct journal_fields){.error = -r},
                "Cannot listen on %s: %s. berkeleyctl cannot ask this daemon.", path, strerror(-r));
    free(control);
    return NULL;
}

void daemon_control_close(struct daemon_control *control)
{
    if (!control)
        return;
    control_close(control->control);
    free(control);
}
