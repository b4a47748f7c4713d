/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock_call: a clock_adjtime() asked of another process of this machine, one packet there and
 * one back.  Both ends are the same program: the machine's own byte order.
 */
#ifndef BERKELEY_DAEMON_CLOCK_CALL_H
#define BERKELEY_DAEMON_CLOCK_CALL_H

#include <stdint.h>
#include <sys/timex.h>
#include <sys/un.h>

#define CLOCK_CALL_VERSION UINT32_C(0x62634301)

struct clock_call {
    uint32_t version;
    uint32_t sequence;   /* the answer repeats it */
    int64_t deadline_ns; /* CLOCK_MONOTONIC: nobody waits for the answer any more */
    uint32_t modes;
    int32_t status;
    int32_t result; /* of the answer: as kernel_port.adjust; 0 in the question */
    int32_t tai;
    int64_t offset, freq, maxerror, esterror, constant, precision, tolerance, tick;
    int64_t second, fraction; /* struct timex.time */
};

/* All but version, sequence, deadline and result; and back into a struct timex. */
void clock_call_put(struct clock_call *call, const struct timex *timex);
void clock_call_get(const struct clock_call *call, struct timex *timex);

/* The socket at that path. 0 or -ENAMETOOLONG. */
int clock_call_address(const char *path, struct sockaddr_un *address);

/* CLOCK_MONOTONIC. */
int64_t clock_call_now_ns(void);

#endif
