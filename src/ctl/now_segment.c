/* SPDX-License-Identifier: BSD-2-Clause */
#include "now_segment.h"

#include "berkeley.h"

#include <json-c/json.h>
#include <stdbool.h>

static const char *name_of(enum berkeley_status status)
{
    return status == BERKELEY_SYNCHRONISED ? "synchronised"
           : status == BERKELEY_HOLDOVER   ? "holdover"
                                           : "unsynchronised";
}

static void add(struct json_object *answer, const char *key, bool known, int64_t ns)
{
    (void)json_object_object_add(answer, key, known ? json_object_new_int64(ns) : NULL);
}

int now_segment_read(const char *path, struct json_object **answer)
{
    const struct berkeley_segment *segment = berkeley_open(path);
    int64_t earliest_ns, latest_ns, bound_ns;
    enum berkeley_status status;
    bool known;

    if (!segment)
        return -errno;
    status = berkeley_now(segment, &earliest_ns, &latest_ns);
    berkeley_close(segment);
    known = status == BERKELEY_SYNCHRONISED || status == BERKELEY_HOLDOVER;
    bound_ns = known ? (latest_ns - earliest_ns) / 2 : 0; /* they are equally far from the clock */
    *answer = json_object_new_object();
    if (!*answer)
        return -ENOMEM;
    (void)json_object_object_add(*answer, "file", json_object_new_string(path));
    (void)json_object_object_add(*answer, "state", json_object_new_string(name_of(status)));
    add(*answer, "time_ns", known, known ? earliest_ns + bound_ns : 0);
    add(*answer, "earliest_ns", known, earliest_ns);
    add(*answer, "latest_ns", known, latest_ns);
    add(*answer, "bound_ns", known, bound_ns);
    return 0;
}
