/* SPDX-License-Identifier: BSD-2-Clause */
#include "truth_state.h"

#include "daemon/journal.h"
#include "daemon/message_ids.h"

#include <string.h>
#include <threads.h>

#define FNV_PRIME UINT64_C(0x100000001b3)

/* FNV-1a, 64 bits at a time, the upper half brought down. */
static void stir(struct truth *truth, uint64_t word)
{
    uint64_t print = (truth->results.fingerprint ^ word) * FNV_PRIME;

    truth->results.fingerprint = print ^ (print >> 32);
}

void truth_frame(struct truth *truth, const uint8_t *bytes, size_t length)
{
    uint64_t word;

    for (size_t at = 0; at < length; at += sizeof word) {
        size_t left = length - at;

        word = 0;
        memcpy(&word, bytes + at, left < sizeof word ? left : sizeof word);
        stir(truth, word);
    }
    truth->results.frames++;
}

void truth_arrival(struct truth *truth, const struct reading *arrived)
{
    stir(truth, (uint64_t)arrived->raw_ns);
    stir(truth, (uint64_t)arrived->total_ns);
}

void truth_order(struct truth *truth, unsigned node, const struct order *order)
{
    uint64_t freq;

    memcpy(&freq, &order->freq_ppb, sizeof freq);
    stir(truth, node);
    stir(truth, freq);
    stir(truth, (uint64_t)order->slew_ns);
    stir(truth, (uint64_t)order->adjtime_ns);
    stir(truth, (uint64_t)order->maxerror_ns);
}

/* The journal of the program has no context. */
static thread_local struct truth *listener;

void truth_listen(struct truth *truth)
{
    listener = truth;
}

/* In the place of src/daemon/journal.c: the daemons of a simulation say nothing. */
void journal_say(int priority, const struct journal_fields *fields, const char *format, ...)
{
    (void)format;
    if (!listener || priority > LOG_WARNING)
        return;
    if (fields && fields->message_id && strcmp(fields->message_id, MESSAGE_INTERFERENCE) == 0)
        listener->results.interference += !listener->expects_meddling;
    else
        listener->results.kernel_refusals++;
}

int journal_errno(int error, const char *format, ...)
{
    (void)format;
    return error < 0 ? error : -error;
}
