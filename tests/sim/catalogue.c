/* SPDX-License-Identifier: BSD-2-Clause */
#include "catalogue.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *directory(void)
{
    const char *named = getenv("BERKELEY_SCENARIOS");

    return named ? named : "tests/sim/scenarios";
}

int catalogue_load(const char *name, struct scenario *scenario, char error[SCENARIO_ERROR_SIZE])
{
    char path[PATH_MAX];
    int r;

    if (strpbrk(name, "/."))
        return scenario_load(name, scenario, error);
    (void)snprintf(path, sizeof(path), "%s/%s.conf", directory(), name);
    r = scenario_load(path, scenario, error);
    if (r == -ENOENT)
        (void)snprintf(error, SCENARIO_ERROR_SIZE,
                       "%.64s: found no such scenario in %.160s; --list tells which there are",
                       name, directory());
    return r;
}

static int is_scenario(const struct dirent *entry)
{
    return fnmatch("*.conf", entry->d_name, FNM_PERIOD) == 0;
}

static int print_one(const char *file, bool faults_only, char *error)
{
    char path[PATH_MAX];
    struct scenario scenario;
    int r;

    (void)snprintf(path, sizeof(path), "%s/%s", directory(), file);
    r = scenario_load(path, &scenario, error);
    if (r == 0 && (scenario.fault || !faults_only))
        (void)printf("%s\t%s\n", scenario.name, scenario.about);
    return r;
}

int catalogue_print(bool faults_only, char error[SCENARIO_ERROR_SIZE])
{
    struct dirent **entries;
    const int count = scandir(directory(), &entries, is_scenario, alphasort);
    int r = 0;

    if (count < 0) {
        r = -errno;
        (void)snprintf(error, SCENARIO_ERROR_SIZE, "%.200s: %s", directory(),
                       strerrordesc_np(-r));
        return r;
    }
    for (int i = 0; i < count; i++) {
        if (r == 0)
            r = print_one(entries[i]->d_name, faults_only, error);
        free(entries[i]);
    }
    free(entries);
    return r;
}
