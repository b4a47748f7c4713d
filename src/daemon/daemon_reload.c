/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/daemon_reload.h"

#include "daemon/journal.h"
#include "daemon/message_ids.h"

static void note_changed(const char *key, bool live, void *context)
{
    (void)live;
    (void)context;
    journal_info("%s is changed.", key);
}

static void note_kept(const char *key, bool live, void *context)
{
    (void)live;
    (void)context;
    journal_warning("%s is changed in the file, but takes effect only after a restart.", key);
}

bool daemon_reload(const char *path, const struct config *running, struct config *fresh)
{
    struct config wanted;
    char error[CONFIG_ERROR_SIZE];

    if (config_load(path, &wanted, error) < 0) {
        journal_say(LOG_ERR, &(struct journal_fields){.message_id = MESSAGE_CONFIG_BAD},
                    "%s; the configuration in force is kept", error);
        return false;
    }
    *fresh = wanted;
    config_keep(running, fresh);
    config_compare(fresh, &wanted, note_kept, NULL);
    return true;
}

void daemon_reload_tell(const struct config *running, const struct config *fresh)
{
    config_compare(running, fresh, note_changed, NULL);
}
