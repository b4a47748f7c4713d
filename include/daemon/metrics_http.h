/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics_http: GET /metrics, for whoever can connect.
 *
 * What it costs the daemon is bounded: so many connections at a time, one request and 10 s for
 * each, a text that is made once a second at most, and all of it after everything else that the
 * loop has to do.
 */
#ifndef BERKELEY_DAEMON_METRICS_HTTP_H
#define BERKELEY_DAEMON_METRICS_HTTP_H

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#define METRICS_HTTP_CLIENTS_MAX 8 /* at a time, the next ones wait */
#define METRICS_HTTP_LISTEN_MAX 4
#define METRICS_HTTP_TIME_S 10 /* from its connection until a client has read its answer */

struct metrics_http_source {
    /* 0 or -errno; the bytes are good until the next call. */
    int (*text)(void *context, const char **bytes, size_t *length);
    void *context;
};

struct metrics_http;

/* 0 or -errno. */
int metrics_http_open(sd_event *loop, const struct metrics_http_source *source,
                      struct metrics_http **http);
/* On one numeric address more.  0 or -errno: -EINVAL for a name, -ENOBUFS for one too many. */
int metrics_http_listen(struct metrics_http *http, const char *address, uint16_t port);
/* NULL is allowed. */
void metrics_http_close(struct metrics_http *http);

#endif
