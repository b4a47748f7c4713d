/* SPDX-License-Identifier: BSD-2-Clause */
/* daemon_keys: the keys that the configuration names, and what it may do without any. */
#ifndef BERKELEY_DAEMON_DAEMON_KEYS_H
#define BERKELEY_DAEMON_DAEMON_KEYS_H

#include "daemon/config.h"
#include "daemon/keyring.h"

#ifndef KEY_FILE /* the build names the one beneath its sysconfdir */
#define KEY_FILE "/etc/berkeley.key"
#endif
#define KEY_CREDENTIAL "berkeley.key" /* in $CREDENTIALS_DIRECTORY */

/* key_file; else the credential, if there is one; else KEY_FILE. */
void daemon_keys_path(const struct config *config, char path[CONFIG_PATH_SIZE]);

/* The keyring for this role; NULL if none is wanted, or there is none and none is needed: said then.
 * 0, or -errno with the reason said: -EACCES, the file may not be read; -ENOKEY, anything else
 * that is wrong with the file, no key in it for this machine, or an address configured that takes a
 * key.  From the first keys on this process leaves no core dumps. */
int daemon_keys_load(const struct config *config, bool master, struct keyring **keyring);

/* The same for a reload: 0 and *keyring NULL means that nothing changes. */
int daemon_keys_reload(const struct config *config, bool master, bool keyed,
                       struct keyring **keyring);

#endif
