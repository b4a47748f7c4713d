/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/metrics_http.h"

#include "daemon/journal.h"
#include "daemon/metrics_socket.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define US_PER_S UINT64_C(1000000)
#define US_PER_MS UINT64_C(1000)
#define FRESH_US US_PER_S
#define REST_US US_PER_S /* after accept4() failed */
#define MEMORY_OF_CLIENT 16384 /* bytes, its request line and headers included */
/* Whatever else there is to do comes first. */
#define PRIORITY SD_EVENT_PRIORITY_IDLE

struct client {
    struct metrics_http *http; /* NULL: a free place */
    int fd;                    /* of the library, which closes it */
    sd_event_source *deadline;
};

struct listener {
    int fd;
    sd_event_source *io;
};

struct metrics_http {
    sd_event *loop;
    struct metrics_http_source source;
    struct MHD_Daemon *library;
    sd_event_source *io, *again, *rest;
    struct MHD_Response *metrics; /* NULL: none yet */
    uint64_t metrics_us;          /* when it was made */
    size_t listener_count;
    unsigned busy;
    struct listener listeners[METRICS_HTTP_LISTEN_MAX];
    struct client clients[METRICS_HTTP_CLIENTS_MAX];
};

/* Those who come meanwhile wait in the backlog. */
static void listen_if_there_is_room(struct metrics_http *http)
{
    const bool room = http->busy < METRICS_HTTP_CLIENTS_MAX;

    for (size_t i = 0; i < http->listener_count; i++)
        (void)sd_event_source_set_enabled(http->listeners[i].io, room ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void client_free(struct client *client)
{
    struct metrics_http *http = client->http;

    sd_event_source_disable_unref(client->deadline);
    *client = (struct client){0};
    http->busy--;
    listen_if_there_is_room(http);
}

/* --- answers --- */

static struct MHD_Response *make(const char *bytes, size_t length, enum MHD_ResponseMemoryMode mode,
                                 const char *type)
{
    void *unwritten = (void *)(uintptr_t)bytes; /* the library only reads it */
    struct MHD_Response *response = MHD_create_response_from_buffer(length, unwritten, mode);

    if (response &&
        (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_NO ||
         MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_NO)) {
        MHD_destroy_response(response);
        response = NULL;
    }
    return response;
}

static void make_metrics(struct metrics_http *http, uint64_t now_us)
{
    const char *bytes;
    size_t length;

    if (http->metrics)
        MHD_destroy_response(http->metrics);
    http->metrics = NULL;
    if (http->source.text(http->source.context, &bytes, &length) < 0)
        return;
    http->metrics = make(bytes, length, MHD_RESPMEM_MUST_COPY,
                         "text/plain; version=0.0.4; charset=utf-8");
    http->metrics_us = now_us;
}

static enum MHD_Result answer_metrics(struct metrics_http *http, struct MHD_Connection *connection)
{
    uint64_t now_us;

    if (sd_event_now(http->loop, CLOCK_MONOTONIC, &now_us) < 0)
        return MHD_NO;
    if (!http->metrics || now_us - http->metrics_us >= FRESH_US)
        make_metrics(http, now_us);
    return http->metrics ? MHD_queue_response(connection, MHD_HTTP_OK, http->metrics) : MHD_NO;
}

static enum MHD_Result answer_words(struct MHD_Connection *connection, unsigned status,
                                    const char *words)
{
    struct MHD_Response *response = make(words, strlen(words), MHD_RESPMEM_PERSISTENT,
                                         "text/plain; charset=utf-8");
    enum MHD_Result result = MHD_NO;

    if (!response)
        return MHD_NO;
    if (status != MHD_HTTP_METHOD_NOT_ALLOWED ||
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES)
        result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_size, void **request)
{
    (void)version;
    (void)upload;
    (void)upload_size;
    (void)request;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer_words(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                            "Only GET and HEAD are allowed.\n");
    if (strcmp(path, "/metrics") == 0)
        return answer_metrics(context, connection);
    if (strcmp(path, "/") == 0)
        return answer_words(connection, MHD_HTTP_OK,
                            "This is berkeleyd, which keeps this machine's clock.\n"
                            "What Prometheus wants to know is at /metrics.\n");
    return answer_words(connection, MHD_HTTP_NOT_FOUND, "There is nothing but /metrics.\n");
}

/* --- connections --- */

/* The library may have work left that no descriptor tells of. */
static void run(struct metrics_http *http)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;

    (void)MHD_run(http->library);
    if (MHD_get_timeout(http->library, &wait_ms) == MHD_NO) {
        (void)sd_event_source_set_enabled(http->again, SD_EVENT_OFF);
        return;
    }
    (void)sd_event_source_set_time_relative(http->again, wait_ms * US_PER_MS);
    (void)sd_event_source_set_enabled(http->again, SD_EVENT_ONESHOT);
}

static int on_work(sd_event_source *source, int fd, uint32_t events, void *context)
{
    (void)source;
    (void)fd;
    (void)events;
    run(context);
    return 0;
}

static int on_again(sd_event_source *source, uint64_t usec, void *context)
{
    (void)source;
    (void)usec;
    run(context);
    return 0;
}

/* The library finds the connection broken, and closes it. */
static int on_deadline(sd_event_source *source, uint64_t usec, void *context)
{
    const struct client *client = context;

    (void)source;
    (void)usec;
    (void)shutdown(client->fd, SHUT_RDWR);
    run(client->http);
    return 0;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **memory,
                          enum MHD_ConnectionNotificationCode code)
{
    const union MHD_ConnectionInfo *info;
    struct metrics_http *http = context;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*memory)
            client_free(*memory);
        return;
    }
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (size_t i = 0; info && i < METRICS_HTTP_CLIENTS_MAX; i++)
        if (http->clients[i].http && http->clients[i].fd == info->connect_fd)
            *memory = &http->clients[i];
}

/* The descriptor is taken over. */
static void admit(struct metrics_http *http, int fd, const struct sockaddr *address, socklen_t size)
{
    struct client *client = http->clients;
    int r;

    while (client->http)
        client++;
    *client = (struct client){.http = http, .fd = fd};
    http->busy++;
    listen_if_there_is_room(http);
    r = sd_event_add_time_relative(http->loop, &client->deadline, CLOCK_MONOTONIC,
                                   METRICS_HTTP_TIME_S * US_PER_S, 0, on_deadline, client);
    if (r >= 0)
        r = sd_event_source_set_priority(client->deadline, PRIORITY);
    if (r < 0) {
        (void)close(fd);
        client_free(client);
        return;
    }
    if (MHD_add_connection(http->library, fd, address, size) == MHD_NO && client->http)
        client_free(client);
    run(http);
}

static int on_rest(sd_event_source *source, uint64_t usec, void *context)
{
    (void)source;
    (void)usec;
    listen_if_there_is_room(context);
    return 0;
}

static int on_knock(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct sockaddr_storage address = {0};
    struct metrics_http *http = context;
    socklen_t size = sizeof address;
    int client = accept4(fd, (struct sockaddr *)&address, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (client >= 0) {
        admit(http, client, (const struct sockaddr *)&address, size);
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        journal_errno(errno, "Cannot give metrics for a second: %m");
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
        (void)sd_event_source_set_time_relative(http->rest, REST_US);
        (void)sd_event_source_set_enabled(http->rest, SD_EVENT_ONESHOT);
    }
    return 0;
}

/* --- the whole --- */

static int open_library(struct metrics_http *http)
{
    const union MHD_DaemonInfo *info;

    http->library = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, http,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)METRICS_HTTP_CLIENTS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)MEMORY_OF_CLIENT, MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_END);
    info = http->library ? MHD_get_daemon_info(http->library, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    return info ? sd_event_add_io(http->loop, &http->io, info->epoll_fd, EPOLLIN, on_work, http)
                : -ENOMEM;
}

static int open_timers(struct metrics_http *http)
{
    int r = sd_event_add_time(http->loop, &http->again, CLOCK_MONOTONIC, 0, 1, on_again, http);

    if (r >= 0)
        r = sd_event_source_set_enabled(http->again, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_source_set_priority(http->again, PRIORITY);
    if (r >= 0)
        r = sd_event_add_time(http->loop, &http->rest, CLOCK_MONOTONIC, 0, 0, on_rest, http);
    return r < 0 ? r : sd_event_source_set_enabled(http->rest, SD_EVENT_OFF);
}

int metrics_http_open(sd_event *loop, const struct metrics_http_source *source,
                      struct metrics_http **out)
{
    struct metrics_http *http = calloc(1, sizeof *http);
    int r;

    if (!http)
        return -ENOMEM;
    http->loop = sd_event_ref(loop);
    http->source = *source;
    r = open_timers(http);
    if (r >= 0)
        r = open_library(http);
    if (r >= 0)
        r = sd_event_source_set_priority(http->io, PRIORITY);
    if (r < 0)
        metrics_http_close(http);
    else
        *out = http;
    return r < 0 ? r : 0;
}

int metrics_http_listen(struct metrics_http *http, const char *address, uint16_t port)
{
    struct listener *listener = &http->listeners[http->listener_count];
    int r;

    if (http->listener_count == METRICS_HTTP_LISTEN_MAX)
        return -ENOBUFS;
    listener->fd = metrics_socket_listen(address, port);
    if (listener->fd < 0)
        return listener->fd;
    r = sd_event_add_io(http->loop, &listener->io, listener->fd, EPOLLIN, on_knock, http);
    if (r >= 0)
        r = sd_event_source_set_priority(listener->io, PRIORITY);
    if (r < 0) {
        listener->io = sd_event_source_disable_unref(listener->io);
        (void)close(listener->fd);
        return r;
    }
    http->listener_count++;
    return 0;
}

void metrics_http_close(struct metrics_http *http)
{
    if (!http)
        return;
    sd_event_source_disable_unref(http->io); /* before its descriptor is closed */
    if (http->library)
        MHD_stop_daemon(http->library);
    if (http->metrics)
        MHD_destroy_response(http->metrics);
    for (size_t i = 0; i < http->listener_count; i++) {
        sd_event_source_disable_unref(http->listeners[i].io);
        (void)close(http->listeners[i].fd);
    }
    sd_event_source_disable_unref(http->again);
    sd_event_source_disable_unref(http->rest);
    sd_event_unref(http->loop);
    free(http);
}
