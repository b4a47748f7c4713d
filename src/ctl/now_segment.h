/* SPDX-License-Identifier: BSD-2-Clause */
/* now_segment: the group's time by the file that berkeleyd publishes its bound in. */
#ifndef BERKELEY_CTL_NOW_SEGMENT_H
#define BERKELEY_CTL_NOW_SEGMENT_H

struct json_object;

/* In the names that a daemon answers with, and "file".  0, with *answer the caller's to put, or as
 * berkeley_open() says. */
int now_segment_read(const char *path, struct json_object **answer);

#endif
