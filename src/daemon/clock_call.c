/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clock_call.h"

#include "core/timestamp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* No padding that would carry what else was in memory. */
_Static_assert(sizeof(struct clock_call) == 2 * 4 + 8 + 4 * 4 + 10 * 8, "struct clock_call");

void clock_call_put(struct clock_call *call, const struct timex *timex)
{
    call->modes = timex->modes;
    call->status = timex->status;
    call->tai = timex->tai;
    call->offset = timex->offset;
    call->freq = timex->freq;
    call->maxerror = timex->maxerror;
    call->esterror = timex->esterror;
    call->constant = timex->constant;
    call->precision = timex->precision;
    call->tolerance = timex->tolerance;
    call->tick = timex->tick;
    call->second = timex->time.tv_sec;
    call->fraction = timex->time.tv_usec;
}

void clock_call_get(const struct clock_call *call, struct timex *timex)
{
    *timex = (struct timex){
        .modes = call->modes,
        .status = call->status,
        .tai = call->tai,
        .offset = call->offset,
        .freq = call->freq,
        .maxerror = call->maxerror,
        .esterror = call->esterror,
        .constant = call->constant,
        .precision = call->precision,
        .tolerance = call->tolerance,
        .tick = call->tick,
        .time = {.tv_sec = call->second, .tv_usec = call->fraction},
    };
}

int clock_call_address(const char *path, struct sockaddr_un *address)
{
    size_t size = strlen(path) + 1;

    if (size > sizeof address->sun_path)
        return -ENAMETOOLONG;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, size);
    return 0;
}

int64_t clock_call_now_ns(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}
