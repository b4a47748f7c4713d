/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/notify.h"

#include "daemon/journal_escape.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define STATUS_SIZE 512

void notify_ready(void)
{
    sd_notify(0, "READY=1");
}

void notify_status(const char *sentence)
{
    static char told[STATUS_SIZE];
    char status[STATUS_SIZE];

    /* A line break in a peer's name would be another assignment to the manager. */
    journal_escape(sentence, status, sizeof(status));
    if (strcmp(status, told) == 0)
        return;
    memcpy(told, status, sizeof(told));
    sd_notifyf(0, "STATUS=%s", status);
}

void notify_reloading(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
               now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000);
}

void notify_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

int notify_watchdog(sd_event *loop)
{
    int r = sd_event_set_watchdog(loop, 1);

    return r < 0 ? r : 0;
}
