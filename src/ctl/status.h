/* SPDX-License-Identifier: BSD-2-Clause */
/* status: what a daemon thinks of its clock and its group, for people. */
#ifndef BERKELEY_CTL_STATUS_H
#define BERKELEY_CTL_STATUS_H

struct json_object;

void status_show(struct json_object *answer);

#endif
