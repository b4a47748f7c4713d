/* SPDX-License-Identifier: BSD-2-Clause */
#include "now.h"

#include "field.h"
#include "now_segment.h"
#include "query.h"
#include "text.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#define SEGMENT "clockbound" /* beside the sockets */

/* Two digits of the bound. */
static unsigned decimals_for(int64_t bound_ns)
{
    unsigned decimals = 9;

    for (int64_t ns = bound_ns; ns >= 100 && decimals > 0; ns /= 10)
        decimals--;
    return decimals;
}

static void print_interval(const struct json_object *answer)
{
    char text[TEXT_SIZE];
    int64_t earliest_ns, latest_ns, bound_ns;
    unsigned decimals;

    if (!field_number(answer, "earliest_ns", &earliest_ns) ||
        !field_number(answer, "latest_ns", &latest_ns) ||
        !field_number(answer, "bound_ns", &bound_ns)) {
        int64_t time_ns;

        if (field_number(answer, "time_ns", &time_ns))
            field_print(stdout, "Clock", "%s", text_utc(time_ns, 3, false, text));
        field_print(stdout, "Bound", "unknown: this can be any time");
        return;
    }
    decimals = decimals_for(bound_ns);
    field_print(stdout, "Earliest", "%s", text_utc(earliest_ns, decimals, false, text));
    field_print(stdout, "Latest", "%s", text_utc(latest_ns, decimals, true, text));
    field_print(stdout, "Bound", "%s to either side", text_time(bound_ns, text));
}

static bool show(const struct ctl_options *options, struct json_object *answer)
{
    char text[FIELD_SIZE];

    (void)options;
    if (field_text(answer, "file", text))
        (void)printf("By %s", text);
    else
        field_print_head(stdout, answer);
    (void)putchar('\n');
    if (field_text(answer, "state", text))
        field_print(stdout, "State", "%s", text);
    print_interval(answer);
    return true;
}

static enum ctl_exit tell(const struct ctl_options *options, struct json_object *answer)
{
    if (options->json)
        query_print_json(answer);
    else
        (void)show(options, answer);
    (void)json_object_put(answer);
    return CTL_OK;
}

enum ctl_exit now_run(const struct ctl_options *options)
{
    struct json_object *answer = NULL;
    char path[PATH_MAX];
    int r;

    (void)snprintf(path, sizeof path, "%s/" SEGMENT, options->socket);
    r = now_segment_read(options->file ? options->file : path, &answer);
    if (r == 0)
        return tell(options, answer);
    if (!options->file)
        return query_run(options, "now", QUERY_FIRST, show);
    if (r == -EPROTO)
        (void)fprintf(stderr, "berkeleyctl: %s: no time is published in this file\n",
                      options->file);
    else
        (void)fprintf(stderr, "berkeleyctl: %s: %s\n", options->file, strerror(-r));
    return r == -EACCES ? CTL_PERMISSION : CTL_ERROR;
}
