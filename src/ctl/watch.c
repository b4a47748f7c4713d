/* SPDX-License-Identifier: BSD-2-Clause */
#include "watch.h"

#include "core/timestamp.h"
#include "field.h"
#include "plot.h"
#include "query.h"
#include "screen.h"
#include "status.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 1000
#define PLOT_ROWS 8 /* it has at least these, if the window has them */
#define STATUS_ROWS_LEAST 4

struct watch {
    const struct ctl_options *options;
    struct json_object *answer; /* NULL: see error */
    char path[PATH_MAX];
    int error;
    struct plot plot;
};

static int64_t now_ns(clockid_t id)
{
    struct timespec now;

    (void)clock_gettime(id, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void look(struct watch *watch)
{
    int64_t offset_ns = PLOT_UNKNOWN, bound_ns = PLOT_UNKNOWN;

    (void)json_object_put(watch->answer);
    watch->answer = NULL;
    watch->error = query_ask(watch->options, "status", PATIENCE_MS, watch->path, &watch->answer);
    if (watch->answer) {
        (void)field_number(watch->answer, "offset_ns", &offset_ns);
        (void)field_number(watch->answer, "bound_ns", &bound_ns);
    }
    plot_add(&watch->plot, offset_ns, bound_ns);
}

static void print_missing(const struct watch *watch, FILE *out)
{
    if (query_is_nobody(watch->error))
        (void)fprintf(out, "no daemon answers at %s", watch->options->socket);
    else
        (void)fprintf(out, "%s: %s", watch->path,
                      watch->error == -EBADMSG     ? "the answer cannot be understood"
                      : watch->error == -ETIMEDOUT ? "no answer in time"
                                                   : strerror(-watch->error));
}

/* --- on a terminal --- */

/* As many lines of it as there is room for. */
static void put_lines(FILE *out, const char *text, size_t lines)
{
    for (; lines > 0 && *text; lines--) {
        const size_t length = strcspn(text, "\n") + 1;

        (void)fwrite(text, 1, length, out);
        text += length;
    }
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;

    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static char *status_text(const struct watch *watch)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    if (!out)
        return NULL;
    if (watch->answer) {
        status_print(out, watch->answer);
    } else {
        print_missing(watch, out);
        (void)fputc('\n', out);
    }
    (void)fclose(out);
    return text;
}

static void compose(const struct watch *watch, const char *status, FILE *out)
{
    size_t columns, rows, lines = count_lines(status), room;

    screen_size(&columns, &rows);
    room = rows > PLOT_ROWS + STATUS_ROWS_LEAST ? rows - PLOT_ROWS : STATUS_ROWS_LEAST;
    if (lines < room) {
        put_lines(out, status, lines);
        (void)fputc('\n', out);
        lines++;
    } else {
        lines = room;
        put_lines(out, status, lines);
    }
    if (rows > lines)
        plot_print(&watch->plot, out, columns, rows - lines, watch->options->interval_ns,
                   text_draws());
}

static int draw(const struct watch *watch)
{
    char *status = status_text(watch), *text = NULL;
    size_t length;
    FILE *out = status ? open_memstream(&text, &length) : NULL;
    int r = -ENOMEM;

    if (out) {
        compose(watch, status, out);
        if (fclose(out) == 0)
            r = screen_draw(text);
    }
    free(text);
    free(status);
    return r;
}

static enum ctl_exit watch_screen(struct watch *watch)
{
    int64_t next_ns = now_ns(CLOCK_MONOTONIC) + watch->options->interval_ns;
    enum screen_event event = SCREEN_REDRAW;
    int r = screen_enter();

    while (r == 0 && event != SCREEN_QUIT && event != SCREEN_SIGNAL) {
        if (event == SCREEN_TIME) {
            look(watch);
            next_ns = now_ns(CLOCK_MONOTONIC) + watch->options->interval_ns;
        }
        r = draw(watch);
        if (r == 0)
            event = screen_wait(next_ns);
    }
    if (event == SCREEN_SIGNAL)
        screen_die();
    screen_leave();
    if (r == 0)
        return CTL_OK;
    (void)fprintf(stderr, "berkeleyctl: cannot draw: %s\n", strerror(-r));
    return CTL_ERROR;
}

/* --- elsewhere --- */

static void print_figures(const struct json_object *answer)
{
    char text[TEXT_SIZE], state[FIELD_SIZE];
    int64_t ns, counted, present, round;
    double ppb;

    (void)printf(" %s", field_text(answer, "state", state) ? state : "state unknown");
    if (field_number(answer, "offset_ns", &ns))
        (void)printf(", offset %s", text_signed_time(ns, text));
    if (field_number(answer, "bound_ns", &ns))
        (void)printf(", bound %s", text_time(ns, text));
    if (field_real(answer, "frequency_ppb", &ppb))
        (void)printf(", frequency %s", text_rate(ppb, text));
    if (field_number(answer, "round", &round))
        (void)printf(", round %" PRId64, round);
    if (field_number(answer, "counted", &counted) && field_number(answer, "present", &present))
        (void)printf(", %" PRId64 " of %" PRId64 " counted", counted, present);
}

static void print_line(const struct watch *watch)
{
    char text[TEXT_SIZE];

    if (watch->options->json) {
        if (watch->answer)
            query_print_json(watch->answer);
        return;
    }
    (void)fputs(text_clock(now_ns(CLOCK_REALTIME), text), stdout);
    if (watch->answer) {
        print_figures(watch->answer);
    } else {
        (void)putchar(' ');
        print_missing(watch, stdout);
    }
    (void)putchar('\n');
}

static enum ctl_exit watch_lines(struct watch *watch)
{
    const int64_t interval_ns = watch->options->interval_ns;
    const struct timespec interval = {.tv_sec = interval_ns / NS_PER_S,
                                      .tv_nsec = interval_ns % NS_PER_S};

    for (;;) {
        print_line(watch);
        if (fflush(stdout) != 0)
            return CTL_ERROR;
        (void)nanosleep(&interval, NULL);
        look(watch);
    }
}

enum ctl_exit watch_run(const struct ctl_options *options)
{
    static struct watch watch;
    enum ctl_exit code;

    watch.options = options;
    look(&watch);
    if (query_is_nobody(watch.error))
        return query_nobody(options);
    if (watch.error < 0)
        return query_fail(watch.path, watch.error);
    if (!query_refused(watch.path, watch.answer, &code))
        code = isatty(STDOUT_FILENO) && !options->json ? watch_screen(&watch)
                                                       : watch_lines(&watch);
    (void)json_object_put(watch.answer);
    return code;
}
