/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace.h"

#include "field.h"
#include "query.h"

#include <stdio.h>
#include <string.h>

static bool show(const struct ctl_options *options, struct json_object *answer)
{
    char role[FIELD_SIZE];
    bool on;

    (void)options;
    if (!field_flag(answer, "trace", &on))
        return false;
    field_print_head(stdout, answer);
    if (!on) {
        puts(": the journal has its usual lines again.");
        return true;
    }
    if (!field_text(answer, "role", role))
        (void)snprintf(role, sizeof role, "*");
    (void)printf(": every round is in the journal now.\n"
                 "Read it with \"journalctl -f -u berkeley-%s\"; off again with "
                 "\"berkeleyctl trace off\".\n",
                 role);
    return true;
}

enum ctl_exit trace_run(const struct ctl_options *options)
{
    const char *word = options->argument;

    if (word && strcmp(word, "on") == 0)
        return query_run(options, "trace on", QUERY_EACH, show);
    if (word && strcmp(word, "off") == 0)
        return query_run(options, "trace off", QUERY_EACH, show);
    (void)fprintf(stderr, "berkeleyctl: trace: found %s%s%s; allowed is on or off\n",
                  word ? "\"" : "", word ? word : "nothing", word ? "\"" : "");
    return CTL_BAD_USAGE;
}
