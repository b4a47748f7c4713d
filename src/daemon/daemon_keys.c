/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/daemon_keys.h"

#include "daemon/journal.h"
#include "daemon/message_ids.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

void daemon_keys_path(const struct config *config, char path[CONFIG_PATH_SIZE])
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");

    if (config->key_file[0]) {
        memcpy(path, config->key_file, CONFIG_PATH_SIZE);
        return;
    }
    if (credentials &&
        snprintf(path, CONFIG_PATH_SIZE, "%s/%s", credentials, KEY_CREDENTIAL) < CONFIG_PATH_SIZE &&
        access(path, F_OK) == 0)
        return;
    snprintf(path, CONFIG_PATH_SIZE, "%s", KEY_FILE);
}

static int refuse(const char *text)
{
    journal_say(LOG_ERR, &(struct journal_fields){.message_id = MESSAGE_KEYS_BAD}, "%s", text);
    return -ENOKEY;
}

/* No file: all right as long as nothing but this machine is meant. */
static int go_without(const struct config *config, bool master, const char *path)
{
    char text[KEYRING_ERROR_SIZE];
    const char *key;
    const char *address = config_remote(config, master, &key);

    if (config->key_file[0]) {
        snprintf(text, sizeof text,
                 "key_file: found \"%.255s\", where there is no file; berkeleyctl keygen makes one.",
                 path);
        return refuse(text);
    }
    if (address) {
        snprintf(text, sizeof text,
                 "%s: found \"%.127s\", and no key in %.255s; allowed without a key is a loopback "
                 "address. berkeleyctl keygen makes a key.",
                 key, address, path);
        return refuse(text);
    }
    journal_say(LOG_NOTICE, &(struct journal_fields){.message_id = MESSAGE_NO_KEY},
                "There is no key in %s: only this machine can take part. berkeleyctl keygen makes "
                "one.",
                path);
    return 0;
}

static int check_usable(const struct config *config, bool master, const struct keyring *keyring,
                        const char *path)
{
    char text[KEYRING_ERROR_SIZE];

    if (master || keyring_usable(keyring, config->name, 0, NULL))
        return 0;
    snprintf(text, sizeof text,
             "%.255s: none of its keys is for this machine, which is called \"%s\": each names "
             "another one.",
             path, config->name);
    return refuse(text);
}

int daemon_keys_load(const struct config *config, bool master, struct keyring **keyring)
{
    char path[CONFIG_PATH_SIZE], error[KEYRING_ERROR_SIZE];
    struct keyring *fresh;
    int r;

    *keyring = NULL;
    if (config->authentication != CONFIG_AUTH_KEY)
        return 0;
    daemon_keys_path(config, path);
    r = keyring_load(path, &fresh, error);
    if (r == -ENOENT)
        return go_without(config, master, path);
    if (r < 0) {
        (void)refuse(error);
        return r == -EACCES ? -EACCES : -ENOKEY;
    }
    (void)prctl(PR_SET_DUMPABLE, 0); /* TLS has copies of its own, all over the heap */
    r = check_usable(config, master, fresh, path);
    if (r < 0) {
        keyring_free(fresh);
        return r;
    }
    *keyring = fresh;
    journal_info("%zu key%s in %s: every connection is checked and encrypted.",
                 keyring_count(fresh), keyring_count(fresh) == 1 ? "" : "s", path);
    return 0;
}

int daemon_keys_reload(const struct config *config, bool master, bool keyed,
                       struct keyring **keyring)
{
    char path[CONFIG_PATH_SIZE];
    int r;

    *keyring = NULL;
    daemon_keys_path(config, path);
    if (keyed && access(path, F_OK) < 0 && errno == ENOENT) {
        journal_warning("The key file %s is gone; the keys in force are kept until a restart.",
                        path);
        return 0;
    }
    r = daemon_keys_load(config, master, keyring);
    if (r < 0)
        journal_warning("Nothing is reloaded: the configuration%s in force %s kept.",
                        keyed ? " and the keys" : "", keyed ? "are" : "is");
    return r;
}
