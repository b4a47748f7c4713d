/* SPDX-License-Identifier: BSD-2-Clause */
#include "query.h"

#include "client.h"
#include "field.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct query {
    const struct ctl_options *options;
    const char *word;
    void (*show)(struct json_object *answer);
    unsigned answers;
    enum ctl_exit failure; /* of the last one that should have answered and did not */
};

static enum ctl_exit fail(const char *path, int error)
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

static enum ctl_exit tell(struct query *query, const char *path, struct json_object *answer)
{
    char text[FIELD_SIZE];

    if (field_text(answer, "error", text)) {
        (void)fprintf(stderr, "berkeleyctl: %s: %s\n", path, text);
        return CTL_ERROR;
    }
    if (query->options->json) {
        puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN |
                                                        JSON_C_TO_STRING_NOSLASHESCAPE));
    } else {
        if (query->answers > 0)
            (void)putchar('\n');
        query->show(answer);
    }
    query->answers++;
    return CTL_OK;
}

/* false: nobody is there. */
static bool ask(struct query *query, const char *path)
{
    struct json_object *answer = NULL;
    enum ctl_exit code;
    int r = client_ask(path, query->word, &answer);

    if (r == -ENOENT || r == -ENOTDIR || r == -ECONNREFUSED)
        return false;
    code = r < 0 ? fail(path, r) : tell(query, path, answer);
    (void)json_object_put(answer);
    if (code != CTL_OK)
        query->failure = code;
    return true;
}

/* There is one daemon on a machine as a rule, master or slave. */
static bool ask_both(struct query *query, const char *directory)
{
    static const char *const roles[] = {"master", "slave"};
    bool somebody = false;

    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        char path[PATH_MAX];

        (void)snprintf(path, sizeof path, "%s/%s.sock", directory, roles[i]);
        somebody |= ask(query, path);
    }
    return somebody;
}

enum ctl_exit query_run(const struct ctl_options *options, const char *word,
                        void (*show)(struct json_object *answer))
{
    struct query query = {.options = options, .word = word, .show = show};
    struct stat file;
    bool somebody;

    if (stat(options->socket, &file) == 0 && S_ISDIR(file.st_mode))
        somebody = ask_both(&query, options->socket);
    else
        somebody = ask(&query, options->socket);
    if (!somebody) {
        (void)fprintf(stderr,
                      "berkeleyctl: no daemon answers at %s; "
                      "\"systemctl status 'berkeley-*'\" tells whether one runs\n",
                      options->socket);
        return CTL_NO_DAEMON;
    }
    return query.failure;
}
