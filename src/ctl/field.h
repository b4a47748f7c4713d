/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * field: what a daemon's answer says, if it does: a newer one may leave out what this program
 * expects, or mean something else by it.  And a line of it for people.
 */
#ifndef BERKELEY_CTL_FIELD_H
#define BERKELEY_CTL_FIELD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define FIELD_SIZE 1024

struct json_object;

/* NULL, false: it is not there, or of another type. */
/* Fit for a terminal; in buffer, which is returned. */
const char *field_text(const struct json_object *answer, const char *key, char buffer[FIELD_SIZE]);
bool field_number(const struct json_object *answer, const char *key, int64_t *number);
bool field_real(const struct json_object *answer, const char *key, double *number);
bool field_flag(const struct json_object *answer, const char *key, bool *flag);
struct json_object *field_object(const struct json_object *answer, const char *key);
struct json_object *field_array(const struct json_object *answer, const char *key);

/* "node1, slave of group lab", without the end of the line. */
void field_print_head(FILE *out, const struct json_object *answer);
void field_print(FILE *out, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
