/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenario_value: single settings of a scenario file; private to the scenario room.
 */
#ifndef BERKELEY_SIM_SCENARIO_VALUE_H
#define BERKELEY_SIM_SCENARIO_VALUE_H

#include "daemon/config_text.h"
#include "scenario_table.h"

#include <libconfig.h>

#define SCENARIO_PATH_SIZE 96

struct scenario_reader {
    const struct config_text *text; /* NULL: what is read is one line from elsewhere ... */
    const char *source;             /* ... that has this name */
    struct scenario *scenario;
    char *error; /* SCENARIO_ERROR_SIZE bytes */
};

/* Writes the line "FILE:LINE: KEY: found FOUND<remark>; allowed is ALLOWED"; -EINVAL. */
int scenario_refuse(const struct scenario_reader *reader, const config_setting_t *setting,
                    const char *key, const char *remark, const char *allowed);

/* The setting, which a person knows as `path`, into its place behind `base`. */
int scenario_take(const struct scenario_reader *reader, const config_setting_t *setting,
                  const char *path, const struct scenario_key *key, void *base);

/* Every key of the group that is in `keys`; any other, unless it is among `others`, is refused. */
int scenario_take_group(const struct scenario_reader *reader, const config_setting_t *group,
                        const char *path, const struct scenario_key *keys,
                        const char *const *others, void *base);

/* "path.name" (without the dot if path is empty); returns the buffer. */
const char *scenario_path(const char *path, const char *name, char buffer[SCENARIO_PATH_SIZE]);

#endif
