/* SPDX-License-Identifier: BSD-2-Clause */
/* A directory of its own for configuration files, gone after the test. */
#ifndef BERKELEY_TESTS_CONFIG_FIXTURE_H
#define BERKELEY_TESTS_CONFIG_FIXTURE_H

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "daemon/config.h"

#define FIXTURE_TEMPLATE "/tmp/berkeley-config-XXXXXX"

struct fixture {
    char directory[64];
    char path[96];    /* the main file */
    char drop_in[96]; /* its .d */
};

static inline int fixture_open(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    if (!fixture)
        return -1;
    memcpy(fixture->directory, FIXTURE_TEMPLATE, sizeof(FIXTURE_TEMPLATE));
    if (!mkdtemp(fixture->directory) || chmod(fixture->directory, 0755) < 0) {
        free(fixture);
        return -1;
    }
    (void)snprintf(fixture->path, sizeof(fixture->path), "%s/b.conf", fixture->directory);
    (void)snprintf(fixture->drop_in, sizeof(fixture->drop_in), "%s/b.conf.d", fixture->directory);
    *state = fixture;
    return 0;
}

static inline int fixture_close(void **state)
{
    struct fixture *fixture = *state;
    char command[128];
    int r;

    (void)snprintf(command, sizeof(command), "rm -rf %s", fixture->directory);
    r = system(command); /* NOLINT(cert-env33-c) */
    free(fixture);
    return r;
}

static inline void write_bytes(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

/* name: in the fixture's directory. */
static inline void write_beside(const struct fixture *fixture, const char *name, const char *text)
{
    char path[160];

    (void)snprintf(path, sizeof(path), "%s/%s", fixture->directory, name);
    write_bytes(path, text, strlen(text));
}

#endif
