/* SPDX-License-Identifier: BSD-2-Clause */
#include "wait.h"

#include "client.h"
#include "core/timestamp.h"
#include "field.h"
#include "query.h"
#include "status.h"
#include "text.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PAUSE_NS (200 * NS_PER_MS)
#define PATIENCE_LEAST_MS 1000

#define T(ns) text_time((ns), (char[TEXT_SIZE]){0})

static int64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void pause_for(int64_t ns)
{
    const struct timespec span = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};

    (void)nanosleep(&span, NULL);
}

/* Holdover is not enough: then nobody corrects this clock any more. */
static bool is_reached(const struct ctl_options *options, const struct json_object *answer,
                       char said[FIELD_SIZE])
{
    char state[FIELD_SIZE];
    int64_t bound_ns;

    status_state(answer, said, FIELD_SIZE);
    if (!field_text(answer, "state", state) || strcmp(state, "synchronised") != 0)
        return false;
    if (options->max_error_ns == INT64_MAX)
        return true;
    if (!field_number(answer, "bound_ns", &bound_ns))
        (void)snprintf(said, FIELD_SIZE, "synchronised, but nobody knows how well");
    else if (bound_ns > options->max_error_ns)
        (void)snprintf(said, FIELD_SIZE, "synchronised, but only to %s", T(bound_ns));
    else
        return true;
    return false;
}

enum look { LOOK_REACHED, LOOK_NOT_YET, LOOK_FAILED };

static enum look look(const struct ctl_options *options, int64_t left_ns, char said[FIELD_SIZE],
                      enum ctl_exit *code)
{
    int64_t patience_ms = left_ns / NS_PER_MS;
    struct json_object *answer = NULL;
    enum look result = LOOK_NOT_YET;
    char path[PATH_MAX];
    int r;

    if (patience_ms > CLIENT_PATIENCE_MS)
        patience_ms = CLIENT_PATIENCE_MS;
    if (patience_ms < PATIENCE_LEAST_MS)
        patience_ms = PATIENCE_LEAST_MS;
    r = query_ask(options, "status", patience_ms, path, &answer);
    if (r == -EACCES || r == -EPERM || r == -ENAMETOOLONG) {
        *code = query_fail(path, r);
        return LOOK_FAILED;
    }
    if (r < 0) {
        if (query_is_nobody(r))
            (void)snprintf(said, FIELD_SIZE, "no daemon answers at %.512s", options->socket);
        else
            (void)snprintf(said, FIELD_SIZE, "the daemon at %.512s does not answer", path);
        return LOOK_NOT_YET;
    }
    if (is_reached(options, answer, said)) {
        if (options->json)
            query_print_json(answer);
        result = LOOK_REACHED;
    }
    (void)json_object_put(answer);
    return result;
}

static enum ctl_exit give_up(const struct ctl_options *options, const char *said)
{
    (void)fprintf(stderr, "berkeleyctl: not synchronised");
    if (options->max_error_ns != INT64_MAX)
        (void)fprintf(stderr, " to %s", T(options->max_error_ns));
    if (options->timeout_ns > 0)
        (void)fprintf(stderr, " in %s", T(options->timeout_ns));
    (void)fprintf(stderr, ": %s\n", said);
    return CTL_LATE;
}

enum ctl_exit wait_run(const struct ctl_options *options)
{
    const int64_t begun_ns = now_ns();
    char said[FIELD_SIZE] = "";
    enum ctl_exit code = CTL_OK;

    for (;;) {
        int64_t left_ns = options->timeout_ns == INT64_MAX
                              ? INT64_MAX
                              : options->timeout_ns - (now_ns() - begun_ns);
        enum look result = look(options, left_ns, said, &code);

        if (result != LOOK_NOT_YET)
            return code;
        if (left_ns != INT64_MAX)
            left_ns = options->timeout_ns - (now_ns() - begun_ns);
        if (left_ns <= 0)
            return give_up(options, said);
        pause_for(left_ns < PAUSE_NS ? left_ns : PAUSE_NS);
    }
}
