/* SPDX-License-Identifier: BSD-2-Clause */
/* A configuration that has to load, and one that has to be refused. */
#ifndef BERKELEY_TESTS_CONFIG_LOADS_H
#define BERKELEY_TESTS_CONFIG_LOADS_H

#include "config_fixture.h"

static inline void loads(const struct fixture *fixture, struct config *config)
{
    char error[CONFIG_ERROR_SIZE] = "";
    const int r = config_load(fixture->path, config, error);

    assert_string_equal(error, "");
    assert_int_equal(r, 0);
}

static inline void loads_text(const struct fixture *fixture, const char *text,
                              struct config *config)
{
    write_bytes(fixture->path, text, strlen(text));
    loads(fixture, config);
}

/* Loads, and expects `line` behind the directory's name; *config stays as it was. */
static inline void refused(const struct fixture *fixture, int error, const char *line)
{
    char expected[CONFIG_ERROR_SIZE + 64], told[CONFIG_ERROR_SIZE] = "";
    static struct config config, before;
    int r;

    memset(&before, 0x5a, sizeof(before));
    memset(&config, 0x5a, sizeof(config));
    r = config_load(fixture->path, &config, told);
    (void)snprintf(expected, sizeof(expected), "%s/%s", fixture->directory, line);
    assert_string_equal(told, expected);
    assert_int_equal(r, error);
    assert_memory_equal(&config, &before, sizeof(config));
}

#endif
