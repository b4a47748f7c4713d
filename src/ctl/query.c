/* SPDX-License-Identifier: BSD-2-Clause */
#include "query.h"

#include "client.h"
#include "field.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define QUESTION_SIZE 128
#define PATHS_MAX 2

/* How a daemon refuses a word that changes something. */
#define ONLY_ROOT "only root may "

enum ctl_exit query_fail(const char *path, int error)
{
    if (error == -EACCES || error == -EPERM) {
        (void)fprintf(stderr,
                      "berkeleyctl: not permitted to use %s; be root or in group berkeley\n", path);
        return CTL_PERMISSION;
    }
    (void)fprintf(stderr, "berkeleyctl: %s: %s\n", path,
                  error == -EBADMSG     ? "the answer cannot be understood"
                  : error == -ETIMEDOUT ? "no answer in time"
                                        : strerror(-error));
    return CTL_ERROR;
}

enum ctl_exit query_nobody(const struct ctl_options *options)
{
    (void)fprintf(stderr,
                  "berkeleyctl: no daemon answers at %s; "
                  "\"systemctl status 'berkeley-*'\" tells whether one runs\n",
                  options->socket);
    return CTL_NO_DAEMON;
}

bool query_is_nobody(int error)
{
    return error == -ENOENT || error == -ENOTDIR || error == -ECONNREFUSED;
}

void query_print_json(struct json_object *answer)
{
    puts(json_object_to_json_string_ext(answer,
                                        JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

bool query_refused(const char *path, struct json_object *answer, enum ctl_exit *code)
{
    char text[FIELD_SIZE];

    if (!field_text(answer, "error", text))
        return false;
    (void)fprintf(stderr, "berkeleyctl: %s: %s\n", path, text);
    *code = strncmp(text, ONLY_ROOT, strlen(ONLY_ROOT)) == 0 ? CTL_PERMISSION : CTL_ERROR;
    return true;
}

/* Where to ask, in this order: there is one daemon on a machine as a rule, master or slave. */
static unsigned find_paths(const char *socket, char paths[PATHS_MAX][PATH_MAX])
{
    struct stat file;

    if (stat(socket, &file) < 0 || !S_ISDIR(file.st_mode)) {
        (void)snprintf(paths[0], PATH_MAX, "%s", socket);
        return 1;
    }
    (void)snprintf(paths[0], PATH_MAX, "%s/master.sock", socket);
    (void)snprintf(paths[1], PATH_MAX, "%s/slave.sock", socket);
    return PATHS_MAX;
}

static int ask(const char *path, const char *question, int64_t patience_ms,
               struct json_object **answer)
{
    char line[QUESTION_SIZE];

    (void)snprintf(line, sizeof line, "%s\n", question);
    return client_ask(path, line, patience_ms, answer);
}

int query_ask(const struct ctl_options *options, const char *question, int64_t patience_ms,
              char path[PATH_MAX], struct json_object **answer)
{
    char paths[PATHS_MAX][PATH_MAX];
    unsigned count = find_paths(options->socket, paths);
    int result = -ENOENT;

    memcpy(path, paths[0], PATH_MAX);
    for (unsigned i = 0; i < count; i++) {
        int r = ask(paths[i], question, patience_ms, answer);

        if (r == 0 || !query_is_nobody(r)) {
            result = r;
            memcpy(path, paths[i], PATH_MAX);
        }
        if (r == 0)
            break;
    }
    return result;
}

enum ctl_exit query_run(const struct ctl_options *options, const char *question,
                        enum query_whom whom, query_show *show)
{
    char paths[PATHS_MAX][PATH_MAX];
    unsigned count = find_paths(options->socket, paths), met = 0, told = 0;
    enum ctl_exit code = CTL_OK;

    for (unsigned i = 0; i < count && (whom == QUERY_EACH || met == 0); i++) {
        struct json_object *answer = NULL;
        int r = ask(paths[i], question, CLIENT_PATIENCE_MS, &answer);

        if (query_is_nobody(r))
            continue;
        met++;
        if (r < 0) {
            code = query_fail(paths[i], r);
        } else if (!query_refused(paths[i], answer, &code)) {
            if (told++ > 0 && !options->json)
                (void)putchar('\n');
            if (options->json)
                query_print_json(answer);
            else if (!show(options, answer))
                code = query_fail(paths[i], -EBADMSG);
        }
        (void)json_object_put(answer);
    }
    return met > 0 ? code : query_nobody(options);
}
