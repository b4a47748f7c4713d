/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/exchange.h"

#include "core/timestamp.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

static bool stamps_valid(const struct exchange *exchange)
{
    return timestamp_valid(exchange->t1_ns) && timestamp_valid(exchange->t2_ns) &&
           timestamp_valid(exchange->t3_ns) && timestamp_valid(exchange->t4_ns);
}

static unsigned exchange_faults(const struct exchange *exchange, int64_t deadline_ns)
{
    unsigned faults = 0;

    if (!stamps_valid(exchange))
        return EXCHANGE_FAULT_RANGE;
    if (exchange->t4_ns < exchange->t1_ns)
        faults |= EXCHANGE_FAULT_MASTER_ORDER;
    if (exchange->t3_ns < exchange->t2_ns)
        faults |= EXCHANGE_FAULT_SLAVE_ORDER;
    if (faults == 0 && exchange->t3_ns - exchange->t2_ns > exchange->t4_ns - exchange->t1_ns)
        faults |= EXCHANGE_FAULT_DELAY;
    if (exchange->t4_ns > deadline_ns)
        faults |= EXCHANGE_FAULT_LATE;
    return faults;
}

int exchange_measure(const struct exchange *exchange, int64_t deadline_ns, int64_t *offset_ns,
                     int64_t *delay_ns, unsigned *faults)
{
    *faults = exchange_faults(exchange, deadline_ns);
    if (*faults != 0)
        return -EBADMSG;

    int64_t t1 = exchange->t1_ns, t2 = exchange->t2_ns;
    int64_t t3 = exchange->t3_ns, t4 = exchange->t4_ns;

    /* delta = (t4 - t1) - (t3 - t2) */
    int64_t delta = (t4 - t1) - (t3 - t2);

    /* theta = ((t2 - t1) + (t3 - t4)) / 2 = (t2 - t1) - delta / 2: the second
     * form has no sum that can overflow. */
    *offset_ns = (t2 - t1) - delta / 2;
    *delay_ns = delta;
    return 0;
}

const char *exchange_fault_name(unsigned faults)
{
    static const char *const words[] = {"range", "master-order", "slave-order", "delay", "late"};
    const size_t count = sizeof(words) / sizeof(words[0]);

    for (size_t bit = 0; bit < count; bit++) {
        if (faults & (1U << bit))
            return words[bit];
    }
    return "unknown";
}
