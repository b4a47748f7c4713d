/* SPDX-License-Identifier: BSD-2-Clause */
#include "step.h"

#include "client.h"
#include "core/timestamp.h"
#include "daemon/step.h"
#include "field.h"
#include "options.h"
#include "query.h"
#include "text.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define RED "\033[1;31m"
#define PLAIN "\033[0m"

#define T(ns) text_time((ns), (char[TEXT_SIZE]){0})

/* What the daemon would do. */
struct offer {
    struct json_object *answer;
    char path[PATH_MAX]; /* of its control socket */
    int64_t correction_ns, slewing_ns;
};

/* As query_run(), but the answer is the caller's to put, if it is CTL_OK. */
static enum ctl_exit ask(const struct ctl_options *options, const char *question,
                         char path[PATH_MAX], struct json_object **answer)
{
    enum ctl_exit code;
    int r = query_ask(options, question, CLIENT_PATIENCE_MS, path, answer);

    if (query_is_nobody(r))
        return query_nobody(options);
    if (r < 0)
        return query_fail(path, r);
    if (!query_refused(path, *answer, &code))
        return CTL_OK;
    (void)json_object_put(*answer);
    return code;
}

static enum ctl_exit make_no_sense(const char *path)
{
    (void)fprintf(stderr, "berkeleyctl: %s: the answer cannot be understood\n", path);
    return CTL_ERROR;
}

static enum ctl_exit get_offer(const struct ctl_options *options, struct offer *offer)
{
    enum ctl_exit code = ask(options, "step", offer->path, &offer->answer);

    if (code != CTL_OK)
        return code;
    if (field_number(offer->answer, "correction_ns", &offer->correction_ns) &&
        field_number(offer->answer, "slewing_ns", &offer->slewing_ns) && offer->correction_ns != 0)
        return CTL_OK;
    (void)json_object_put(offer->answer);
    return make_no_sense(offer->path);
}

static void show_times(FILE *out, const struct offer *offer)
{
    struct json_object *answer = NULL;
    char text[TEXT_SIZE];
    int64_t now_ns, then_ns;

    if (client_ask(offer->path, "now\n", CLIENT_PATIENCE_MS, &answer) < 0)
        return;
    if (field_number(answer, "time_ns", &now_ns) &&
        timestamp_add(now_ns, offer->correction_ns, &then_ns) == 0) {
        field_print(out, "It shows", "%s", text_utc(now_ns, 0, false, text));
        field_print(out, "Stepped", "%s", text_utc(then_ns, 0, false, text));
    }
    (void)json_object_put(answer);
}

static void show_offer(FILE *out, const struct offer *offer)
{
    const char *size = T(timestamp_abs(offer->correction_ns));
    bool back = offer->correction_ns < 0, colors = isatty(fileno(out));

    field_print_head(out, offer->answer);
    (void)fprintf(out, ": its clock is %s %s the group.\n", size, back ? "ahead of" : "behind");
    show_times(out, offer);
    field_print(out, "Or slewed", "right in about %s, without a step", T(offer->slewing_ns));
    if (back)
        (void)fprintf(out,
                      "\n%sThe time jumps BACKWARDS by %s: programs see that much of it a second "
                      "time.%s\n",
                      colors ? RED : "", size, colors ? PLAIN : "");
    else
        (void)fprintf(out, "\nThe time jumps forward by %s: for programs it passes at once.\n",
                      size);
    (void)fputs("Timeouts, leases, logs and databases may suffer.  It can be done once, and it "
                "cannot be\nundone.\n",
                out);
}

static bool is_confirmed(FILE *out)
{
    char line[16];

    /* What was typed before the question is no answer to it. */
    (void)tcflush(STDIN_FILENO, TCIFLUSH);
    (void)fputs("\nType yes to step: ", out);
    (void)fflush(out);
    return fgets(line, sizeof line, stdin) && strcmp(line, "yes\n") == 0;
}

/* Where the process that sets the clock takes root's word, if there may be one: that of a daemon
 * at another place is not the machine's. */
static bool find_clock(const struct ctl_options *options, const struct offer *offer,
                       char path[PATH_MAX])
{
    char role[FIELD_SIZE];

    if (options->clock) {
        (void)snprintf(path, PATH_MAX, "%s", options->clock);
        return true;
    }
    if (strcmp(options->socket, OPTIONS_DIRECTORY) != 0 ||
        !field_text(offer->answer, "role", role) ||
        (strcmp(role, "master") != 0 && strcmp(role, "slave") != 0))
        return false;
    (void)snprintf(path, PATH_MAX, "%s/%s", STEP_CLOCK_DIRECTORY,
                   strcmp(role, "master") == 0 ? "master" : "slave");
    return true;
}

/* The daemon itself may not step the clock, whatever it is asked. */
static enum ctl_exit permit(const struct ctl_options *options, const struct offer *offer)
{
    char path[PATH_MAX];
    int r;

    if (!find_clock(options, offer, path))
        return CTL_OK;
    r = step_permit(path, offer->correction_ns);
    if (r >= 0 || (query_is_nobody(r) && !options->clock))
        return CTL_OK;
    (void)fprintf(stderr, "berkeleyctl: %s: %s\n", path, step_error(r));
    return CTL_ERROR;
}

static enum ctl_exit carry_out(const struct ctl_options *options, struct offer *offer)
{
    struct json_object *answer = NULL;
    char question[64];
    int64_t step_ns;
    enum ctl_exit code = permit(options, offer);

    if (code != CTL_OK)
        return code;
    (void)snprintf(question, sizeof question, "step %" PRId64, offer->correction_ns);
    code = ask(options, question, offer->path, &answer);
    if (code != CTL_OK)
        return code;
    if (!field_number(answer, "step_ns", &step_ns))
        code = make_no_sense(offer->path);
    else if (options->json)
        query_print_json(answer);
    else
        (void)printf("Stepped %s by %s.  What is left, and all from now on, is slewed.\n",
                     step_ns < 0 ? "back" : "forward", T(timestamp_abs(step_ns)));
    (void)json_object_put(answer);
    return code;
}

enum ctl_exit step_run(const struct ctl_options *options)
{
    FILE *out = options->json ? stderr : stdout;
    struct offer offer;
    enum ctl_exit code;

    if (geteuid() != 0) {
        (void)fputs("berkeleyctl: step sets this machine's clock: only root may\n", stderr);
        return CTL_PERMISSION;
    }
    if (!options->yes && !isatty(STDIN_FILENO)) {
        (void)fputs("berkeleyctl: step asks first, and there is no terminal to ask at; --yes steps "
                    "without asking\n",
                    stderr);
        return CTL_BAD_USAGE;
    }
    code = get_offer(options, &offer);
    if (code != CTL_OK)
        return code;
    if (!options->json || !options->yes)
        show_offer(out, &offer);
    if (options->yes || is_confirmed(out)) {
        code = carry_out(options, &offer);
    } else {
        (void)fputs("Nothing was stepped.\n", out);
        code = CTL_ERROR;
    }
    (void)json_object_put(offer.answer);
    return code;
}
