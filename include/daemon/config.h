/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config: /etc/berkeley.conf and /etc/berkeley.conf.d, by one table.
 *
 * The table (src/daemon/config_table.c) names every key with its type, unit,
 * default, smallest and largest value, help text and place in struct config.
 * Parsing, errors, --check, --print-config and the sample file all come from it.
 */
#ifndef BERKELEY_DAEMON_CONFIG_H
#define BERKELEY_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifndef CONFIG_FILE /* the build names the one beneath its sysconfdir */
#define CONFIG_FILE "/etc/berkeley.conf"
#endif
#define CONFIG_NAME_SIZE 64
#define CONFIG_ADDRESS_SIZE 128
#define CONFIG_PATH_SIZE 256
#define CONFIG_LISTEN_MAX 16
#define CONFIG_REFERENCES_MAX 16
#define CONFIG_METRICS_MAX 4
#define CONFIG_STATE_NONE "none" /* as clock.state_file, clock.bound_file and control */

#define CONFIG_PREFIXES_MAX 64
#define CONFIG_PREFIX_SIZE 64

enum config_authentication {
    CONFIG_AUTH_KEY = 0,  /* "key": TLS with the key file; as "loopback" if there is none */
    CONFIG_AUTH_LOOPBACK, /* "loopback": none, and so only loopback addresses */
    CONFIG_AUTH_NONE,     /* "none": any address, whoever it is */
};

enum config_clock_kind {
    CONFIG_CLOCK_KERNEL = 0, /* "kernel" */
    CONFIG_CLOCK_EMULATED,   /* "emulated" */
};

enum config_timestamps {
    CONFIG_STAMPS_KERNEL = 0, /* "kernel": where it gives them */
    CONFIG_STAMPS_USER,       /* "user": our own, always */
};

struct config {
    char name[CONFIG_NAME_SIZE];  /* empty in the file: the host name is put in */
    char group[CONFIG_NAME_SIZE];
    int authentication;              /* enum config_authentication */
    char key_file[CONFIG_PATH_SIZE]; /* "": the usual one */
    char control[CONFIG_PATH_SIZE];  /* socket; "": the usual one; "none" */
    int timestamps;                  /* enum config_timestamps */
    int log_level;                   /* LOG_ERR .. LOG_DEBUG */
    struct {
        char listen[CONFIG_LISTEN_MAX][CONFIG_ADDRESS_SIZE]; /* numeric; "" = unused */
        int64_t port;
        int64_t interval_ns;
        int64_t exchanges;
        int64_t quorum;
        int64_t max_slaves;
        char references[CONFIG_REFERENCES_MAX][CONFIG_NAME_SIZE];
        char allow[CONFIG_PREFIXES_MAX][CONFIG_PREFIX_SIZE]; /* "": unused; none: everybody */
        char deny[CONFIG_PREFIXES_MAX][CONFIG_PREFIX_SIZE];  /* wins */
    } master;
    struct {
        char master[CONFIG_ADDRESS_SIZE]; /* host name or address */
        int64_t port;
        int64_t retry_min_ns, retry_max_ns;
    } slave;
    struct { /* what a peer may cost */
        int64_t handshakes;             /* connections that have not proved who they are */
        int64_t handshake_time_ns;      /* for that, and again for the first frame */
        int64_t connections_per_second; /* of one address */
        int64_t frames_per_second;      /* of one peer */
        int64_t silence_ns;             /* 0: four intervals, at least 10 s */
        int64_t answer_time_ns;         /* from the last exchange of a round */
        int64_t buffer;                 /* bytes of a socket, each way */
    } limits;
    struct {
        int kind; /* enum config_clock_kind */
        bool discipline;
        double max_slew_ppm, initial_slew_ppm;
        int64_t step_threshold_ns; /* 0: never */
        int64_t panic_threshold_ns;
        int64_t holdover_limit_ns;
        int64_t asymmetry_max_ns;  /* -1: not declared */
        char state_file[CONFIG_PATH_SIZE]; /* "": the usual one */
        char bound_file[CONFIG_PATH_SIZE]; /* "": the usual one; "none": not published */
    } clock;
    struct {
        char listen[CONFIG_METRICS_MAX][CONFIG_ADDRESS_SIZE]; /* numeric; "": unused */
        int64_t port;
        char file[CONFIG_PATH_SIZE]; /* "": none */
    } metrics;
    struct {
        char file[CONFIG_PATH_SIZE];
        int64_t offset_ns;
        double frequency_ppm, wander_ppm;
        int64_t seed;
    } emulated;
};

/* One line for a person: "FILE:LINE: KEY: found WHAT; allowed is WHAT". */
#define CONFIG_ERROR_SIZE 512

/* Reads the file, then every *.conf of FILE.d ("/etc/berkeley.conf" ->
 * "/etc/berkeley.conf.d") in name order, each later setting winning; checks all
 * of it together.  0, or -errno with *config untouched and the line in `error`:
 * -EACCES if a file may not be read, -EINVAL for anything in it that is wrong,
 * -ENOENT if the main file is missing. */
int config_load(const char *path, struct config *config, char error[CONFIG_ERROR_SIZE]);

/* All defaults (name: the host's). */
void config_defaults(struct config *config);

/* The settings in force as a file that config_load() reads back to the same. */
void config_print(const struct config *config, FILE *out);

/* The commented sample file; config/berkeley.conf is this, byte for byte. */
void config_sample(FILE *out);

/* Calls back for each key whose value differs; live: takes effect by a reload. */
void config_compare(const struct config *before, const struct config *after,
                    void (*differs)(const char *key, bool live, void *context), void *context);

/* Keys that a reload cannot change, from `running` into `fresh`; slave.master too if only the
 * new authentication would allow it. */
void config_keep(const struct config *running, struct config *fresh);

/* The first address of this role that is beyond the machine, and the key it stands under; NULL:
 * none is, or slave.master is a name, which only the resolver can tell. */
const char *config_remote(const struct config *config, bool master, const char **key);

/* The n-th key's path ("master.interval"), NULL beyond the last: for tests. */
const char *config_key(size_t n);

#endif
