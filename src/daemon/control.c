/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/control.h"

#include "daemon/journal.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_US UINT64_C(1000000) /* for the question, and again for taking the answer */
#define REST_US UINT64_C(1000000)     /* after accept4() failed */
#define BACKLOG 64
#define COMPLAINT_SIZE 1024
#define PIECE 32 /* elements of a list: a third of a millisecond */
/* Whatever else there is to do comes first; what a client has sent in time, before its deadline. */
#define PRIORITY SD_EVENT_PRIORITY_IDLE
#define PRIORITY_DEADLINE (SD_EVENT_PRIORITY_IDLE + 1)

struct client {
    struct control *control; /* NULL: a free place */
    int fd;
    uid_t user;
    sd_event_source *io, *deadline;
    size_t length, sent;
    char *answer; /* or the piece of it under way; NULL: still asking */
    struct control_list list; /* of what is still to come */
    bool listed;  /* something of it */
    char line[CONTROL_LINE_MAX];
};

struct control {
    int fd;
    sd_event *loop;
    sd_event_source *listener, *rest;
    const struct control_word *words;
    size_t count;
    void *context;
    struct sockaddr_un address;
    struct stat file; /* as it was made */
    unsigned busy;
    struct client clients[CONTROL_CLIENTS_MAX];
};

/* Those who come meanwhile wait in the backlog. */
static void listen_if_there_is_room(struct control *control)
{
    bool room = control->busy < CONTROL_CLIENTS_MAX;

    (void)sd_event_source_set_enabled(control->listener, room ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void client_drop(struct client *client)
{
    struct control *control = client->control;

    sd_event_source_disable_unref(client->io);
    sd_event_source_disable_unref(client->deadline);
    close(client->fd);
    free(client->answer);
    if (client->list.end)
        client->list.end(client->list.context);
    *client = (struct client){0};
    control->busy--;
    listen_if_there_is_room(control);
}

/* --- the answer --- */

struct json_object *control_complain(const char *format, ...)
{
    struct json_object *answer = json_object_new_object();
    char text[COMPLAINT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (answer)
        (void)json_object_object_add(answer, "error", json_object_new_string(text));
    return answer;
}

static const char *list_words(const struct control *control, char text[COMPLAINT_SIZE])
{
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < control->count && length < COMPLAINT_SIZE; i++)
        length += (size_t)snprintf(text + length, COMPLAINT_SIZE - length, "%s%s", i ? ", " : "",
                                   control->words[i].word);
    return text;
}

static struct json_object *answer_to(struct client *client)
{
    const struct control *control = client->control;
    char argument[CONTROL_ARGUMENT_SIZE], words[COMPLAINT_SIZE];
    const struct control_word *word;
    int r = control_parse(control->words, control->count, client->line, client->length, &word,
                          argument);

    if (r == -ENOENT)
        return control_complain("found the word \"%.*s\"; allowed are %s",
                                (int)strcspn(client->line, " \n"), client->line,
                                list_words(control, words));
    if (r < 0)
        return control_complain("found no question; allowed is one line, a word or a word and an "
                                "argument of less than %d characters; words are %s",
                                CONTROL_ARGUMENT_SIZE, list_words(control, words));
    if (word->changes && client->user != 0 && client->user != geteuid())
        return control_complain("only root may %s", word->word);
    if (argument[0] && !word->takes_argument)
        return control_complain("found the argument \"%s\"; %s takes none", argument, word->word);
    return word->answer_long ? word->answer_long(control->context, argument, &client->list)
                             : word->answer(control->context, argument);
}

static const char *text_of(struct json_object *object)
{
    return json_object_to_json_string_ext(object,
                                          JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

static void list_end(struct client *client)
{
    client->list.end(client->list.context);
    client->list = (struct control_list){0};
}

static void list_some(struct client *client, FILE *piece)
{
    for (unsigned i = 0; i < PIECE; i++) {
        struct json_object *element = client->list.next(client->list.context);

        if (!element) {
            (void)fputs("]}\n", piece);
            list_end(client);
            return;
        }
        (void)fprintf(piece, "%s%s", client->listed ? "," : "", text_of(element));
        client->listed = true;
        (void)json_object_put(element);
    }
}

/* False: there is no more of the answer, or no memory for it. */
static bool client_go_on(struct client *client)
{
    FILE *piece;

    free(client->answer);
    client->answer = NULL;
    client->length = client->sent = 0;
    if (!client->list.next)
        return false;
    piece = open_memstream(&client->answer, &client->length);
    if (!piece)
        return false;
    list_some(client, piece);
    return fclose(piece) == 0;
}

/* The next piece goes out in another turn of the loop. */
static void client_write(struct client *client)
{
    ssize_t n = send(client->fd, client->answer + client->sent, client->length - client->sent,
                     MSG_NOSIGNAL);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    client->sent += n > 0 ? (size_t)n : 0;
    if (n < 0 || (client->sent == client->length && !client_go_on(client)))
        client_drop(client);
}

static void client_answer(struct client *client)
{
    struct json_object *object = answer_to(client);
    const char *text = object ? text_of(object) : NULL;
    size_t length = text ? strlen(text) : 0;
    int r = -1;

    if (text && client->list.next) /* without the "]}" that ends it */
        r = asprintf(&client->answer, "%.*s", (int)length - 2, text);
    else if (text)
        r = asprintf(&client->answer, "%s\n", text);
    (void)json_object_put(object);
    if (r < 0) {
        client->answer = NULL;
        client_drop(client);
        return;
    }
    client->length = (size_t)r;
    (void)sd_event_source_set_io_events(client->io, EPOLLOUT);
    (void)sd_event_source_set_time_relative(client->deadline, PATIENCE_US);
    client_write(client);
}

/* --- the question --- */

static void client_read(struct client *client)
{
    ssize_t n = recv(client->fd, client->line + client->length,
                     sizeof client->line - client->length, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0 || (n == 0 && client->length == 0)) {
        client_drop(client);
        return;
    }
    client->length += (size_t)n;
    if (n == 0 || client->length == sizeof client->line ||
        memchr(client->line, '\n', client->length))
        client_answer(client);
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct client *client = context;

    (void)source;
    (void)fd;
    (void)events;
    if (client->answer)
        client_write(client);
    else
        client_read(client);
    return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *context)
{
    (void)source;
    (void)usec;
    client_drop(context);
    return 0;
}

static int client_add(struct client *client)
{
    sd_event *loop = client->control->loop;
    int r = sd_event_add_io(loop, &client->io, client->fd, EPOLLIN, on_client, client);

    if (r >= 0)
        r = sd_event_source_set_priority(client->io, PRIORITY);
    if (r >= 0)
        r = sd_event_add_time_relative(loop, &client->deadline, CLOCK_MONOTONIC, PATIENCE_US, 0,
                                       on_deadline, client);
    return r < 0 ? r : sd_event_source_set_priority(client->deadline, PRIORITY_DEADLINE);
}

static void admit(struct control *control, int fd)
{
    struct client *client = control->clients;
    struct ucred peer;
    socklen_t size = sizeof peer;

    while (client->control)
        client++;
    *client = (struct client){.control = control, .fd = fd};
    control->busy++;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || client_add(client) < 0) {
        client_drop(client);
        return;
    }
    client->user = peer.uid;
    listen_if_there_is_room(control);
}

/* --- the socket --- */

static int on_rest(sd_event_source *source, uint64_t usec, void *context)
{
    (void)source;
    (void)usec;
    listen_if_there_is_room(context);
    return 0;
}

static int on_knock(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct control *control = context;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)source;
    (void)events;
    if (client >= 0) {
        admit(control, client);
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        journal_errno(errno, "Cannot answer on %s for a second: %m", control->address.sun_path);
        (void)sd_event_source_set_enabled(control->listener, SD_EVENT_OFF);
        (void)sd_event_source_set_time_relative(control->rest, REST_US);
        (void)sd_event_source_set_enabled(control->rest, SD_EVENT_ONESHOT);
    }
    return 0;
}

/* 0 if what is there is the socket of a daemon that is gone. */
static int probe(const struct sockaddr_un *address)
{
    struct stat file;
    int fd, r = 0;

    if (lstat(address->sun_path, &file) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(file.st_mode))
        return -EEXIST;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* EAGAIN: so many are asking that its backlog is full; EPROTOTYPE: it is of another kind. */
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN ||
        errno == EPROTOTYPE)
        r = -EADDRINUSE;
    else if (errno != ECONNREFUSED && errno != ENOENT)
        r = -errno;
    close(fd);
    return r;
}

/* The mode is right from the first instant, whatever the umask was. */
static int bind_once(int fd, const struct sockaddr_un *address)
{
    const mode_t before = umask(0777 & ~(mode_t)0660);
    int r = bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;

    (void)umask(before);
    return r;
}

static int bind_anew(int fd, const struct sockaddr_un *address)
{
    int r = bind_once(fd, address);

    if (r != -EADDRINUSE)
        return r;
    r = probe(address);
    if (r < 0)
        return r;
    if (unlink(address->sun_path) < 0 && errno != ENOENT)
        return -errno;
    return bind_once(fd, address);
}

static int control_listen(struct control *control)
{
    int r;

    control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (control->fd < 0)
        return -errno;
    r = bind_anew(control->fd, &control->address);
    if (r < 0)
        return r;
    if (lstat(control->address.sun_path, &control->file) < 0 || listen(control->fd, BACKLOG) < 0)
        return -errno;
    r = sd_event_add_io(control->loop, &control->listener, control->fd, EPOLLIN, on_knock, control);
    if (r >= 0)
        r = sd_event_source_set_priority(control->listener, PRIORITY);
    if (r >= 0)
        r = sd_event_add_time(control->loop, &control->rest, CLOCK_MONOTONIC, 0, 0, on_rest,
                              control);
    return r < 0 ? r : sd_event_source_set_enabled(control->rest, SD_EVENT_OFF);
}

int control_open(sd_event *loop, const char *path, const struct control_word *words, size_t count,
                 void *context, struct control **out)
{
    const size_t length = strlen(path);
    struct control *control;
    int r;

    if (length == 0)
        return -EINVAL;
    if (length >= sizeof control->address.sun_path)
        return -ENAMETOOLONG;
    control = calloc(1, sizeof *control);
    if (!control)
        return -ENOMEM;
    control->loop = sd_event_ref(loop);
    control->words = words;
    control->count = count;
    control->context = context;
    control->address.sun_family = AF_UNIX;
    memcpy(control->address.sun_path, path, length);
    r = control_listen(control);
    if (r < 0)
        control_close(control);
    else
        *out = control;
    return r < 0 ? r : 0;
}

/* Not that of another daemon that took this one's place meanwhile. */
static void remove_own_file(const struct control *control)
{
    const char *path = control->address.sun_path;
    struct stat file;

    if (control->file.st_ino != 0 && lstat(path, &file) == 0 &&
        file.st_dev == control->file.st_dev && file.st_ino == control->file.st_ino)
        (void)unlink(path);
}

void control_close(struct control *control)
{
    if (!control)
        return;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (control->clients[i].control)
            client_drop(&control->clients[i]);
    remove_own_file(control);
    sd_event_source_disable_unref(control->rest);
    sd_event_source_disable_unref(control->listener);
    if (control->fd >= 0)
        close(control->fd);
    sd_event_unref(control->loop);
    free(control);
}
