/* SPDX-License-Identifier: BSD-2-Clause */
/* client: one question to a daemon's control socket. */
#ifndef BERKELEY_CTL_CLIENT_H
#define BERKELEY_CTL_CLIENT_H

#include <stdint.h>

#define CLIENT_PATIENCE_MS 5000

struct json_object;

/* Whatever the daemon is, it answers with an object in that time, or not.  0, with *answer the
 * caller's to put; -ENOENT or -ECONNREFUSED: no daemon; -EACCES; -ETIMEDOUT; -EBADMSG: it answered
 * something else; or what the socket failed with. */
int client_ask(const char *path, const char *question, int64_t patience_ms,
               struct json_object **answer);

#endif
