/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config_tree: one file's settings into a draft of the configuration; private
 * to the config room.
 */
#ifndef BERKELEY_DAEMON_CONFIG_TREE_H
#define BERKELEY_DAEMON_CONFIG_TREE_H

#include "daemon/config_table.h"
#include "daemon/config_text.h"

/* A configuration while it is put together, and where each key was set. */
struct config_draft {
    struct config config;
    struct {
        char file[CONFIG_PATH_SIZE];
        unsigned line; /* 0: nowhere */
    } origins[CONFIG_ENTRIES_MAX];
};

/* 0 or -errno as config_text_read(); the draft may be half changed then. */
int config_tree_read(const char *path, struct config_draft *draft, char error[CONFIG_ERROR_SIZE]);

/* What holds between keys.  0 or -EINVAL. */
int config_check(const struct config_draft *draft, char error[CONFIG_ERROR_SIZE]);

/* True if authentication = "loopback" forbids to follow this master; whether "key" does depends
 * on the key file. */
bool config_forbids_master(const struct config *config);

/* What somebody who wrote this unknown key (or group) may have meant, "master.port or
 * slave.port"; false if nothing is near. */
bool config_hint(const char *key, bool group, char *buffer, size_t size);

#endif
