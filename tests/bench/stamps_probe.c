/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What single exchanges between two ends of a connection are worth, by kernel stamps
 * and by our own, of the same frames:
 *
 *     stamps_probe answer ADDRESS PORT          answers until it is killed
 *     stamps_probe ask ADDRESS PORT SECONDS NAME  one line for each way to stamp
 *
 * With BENCH_KEY in the environment all goes through TLS.  cpu_us: of the asking end, for each
 * exchange.
 *
 * Both ends take this machine's CLOCK_MONOTONIC_RAW for their RAW, so every offset is
 * an error.
 */
#include "core/exchange.h"
#include "daemon/clock_stamp.h"
#include "daemon/journal.h"
#include "daemon/transport.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <syslog.h>

#define GAP_US UINT64_C(5000)
#define RESULTS_MAX 100000
#define READS 3

/* MIXED: as in rounds of a single exchange, t3 is our own and the least lag. */
enum stamping { OWN, KERNEL, MIXED, STAMPINGS };

/* One exchange by our own stamps and by the kernel's; 0: not told. */
struct pair {
    struct exchange own, kernel;
};

struct end {
    sd_event *loop;
    struct transport *transport;
    sd_event_source *timer;
    struct clock_marks marks;
    bool asks;
    uint32_t peer;
    uint32_t sequence;
    struct reading own;           /* read last */
    uint32_t prev_sequence;       /* answering: the last REPLY stamped */
    int64_t prev_raw_ns;
    struct pair current, waiting; /* asking: of the last POLL; for its REPLY's departure */
    uint32_t waiting_sequence;    /* of that REPLY; 0: nothing is waiting */
    int64_t lag_ns;               /* least from t3 to the departure */
    size_t count, asked;
    double offsets[STAMPINGS][RESULTS_MAX];
    double delays[STAMPINGS][RESULTS_MAX];
};

static void read_raw(void *context, struct reading *reading)
{
    struct end *end = context;
    int64_t raw_ns, real_ns;

    (void)clock_bracket(CLOCK_MONOTONIC_RAW, CLOCK_REALTIME, READS, &raw_ns, &real_ns);
    *reading = (struct reading){.raw_ns = raw_ns, .total_ns = real_ns - raw_ns};
    clock_marks_note(&end->marks, reading);
    end->own = *reading;
}

static int convert(void *context, int64_t real_ns, struct reading *reading)
{
    struct end *end = context;
    const struct reading own = end->own;
    struct reading now;
    int r;

    read_raw(end, &now);
    end->own = own;
    *reading = now;
    r = clock_stamp_raw(&end->marks, &now, real_ns, &reading->raw_ns);
    return r;
}

static void send_frame(struct end *end, const struct wire_frame *frame, int64_t *sent_raw_ns)
{
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length;

    if (wire_encode(frame, bytes, &length) < 0 ||
        transport_send(end->transport, end->peer, bytes, length, true, sent_raw_ns) < 0)
        exit(1);
    transport_collect(end->transport, end->peer);
}

/* Our own t2 travels in place of a CORRECT's arrival. */
static void answer(struct end *end, const struct wire_frame *poll, const struct reading *arrived,
                   enum stamp_source source)
{
    struct wire_frame frame = {.type = WIRE_REPLY, .sequence = ++end->sequence};

    frame.reply.departure.prev_sequence = end->prev_sequence;
    frame.reply.departure.prev_raw_ns = end->prev_raw_ns;
    frame.reply.t1_raw_ns = poll->poll.departure.sent.raw_ns;
    frame.reply.t2_raw_ns = arrived->raw_ns;
    frame.reply.correct_raw_ns = end->own.raw_ns;
    frame.reply.source = (uint8_t)source;
    send_frame(end, &frame, NULL);
}

static void keep(struct end *end, enum stamping stamping, const struct exchange *exchange)
{
    int64_t offset_ns, delay_ns;
    unsigned faults;

    if (exchange_measure(exchange, INT64_MAX, &offset_ns, &delay_ns, &faults) < 0)
        offset_ns = delay_ns = 0;
    end->offsets[stamping][end->count] = (double)offset_ns;
    end->delays[stamping][end->count] = (double)delay_ns;
}

/* The exchange before, now that its REPLY's departure is told. */
static void conclude(struct end *end, const struct wire_departure *told)
{
    struct pair *pair = &end->waiting;
    struct exchange mixed = pair->kernel;

    if (end->waiting_sequence == 0 || told->prev_sequence != end->waiting_sequence ||
        end->count == RESULTS_MAX)
        return;
    if (end->count == 0 || told->prev_raw_ns - mixed.t3_ns < end->lag_ns)
        end->lag_ns = told->prev_raw_ns - mixed.t3_ns;
    mixed.t3_ns += end->lag_ns;
    pair->kernel.t3_ns = told->prev_raw_ns;
    keep(end, OWN, &pair->own);
    keep(end, KERNEL, &pair->kernel);
    keep(end, MIXED, &mixed);
    end->count++;
}

static void take_reply(struct end *end, const struct wire_frame *frame,
                       const struct reading *arrived, enum stamp_source source)
{
    const struct wire_reply *reply = &frame->reply;
    struct pair *pair = &end->current;

    conclude(end, &reply->departure);
    pair->own.t2_ns = reply->correct_raw_ns;
    pair->own.t3_ns = pair->kernel.t3_ns = reply->departure.sent.raw_ns;
    pair->own.t4_ns = end->own.raw_ns;
    pair->kernel.t2_ns = reply->t2_raw_ns;
    pair->kernel.t4_ns = arrived->raw_ns;
    end->waiting = *pair;
    end->waiting_sequence = pair->kernel.t1_ns != 0 && reply->source == STAMP_KERNEL &&
                                    source == STAMP_KERNEL &&
                                    reply->t1_raw_ns == pair->own.t1_ns
                                ? frame->sequence
                                : 0;
}

static void on_frame(void *context, uint32_t peer, const uint8_t *bytes, size_t length,
                     const struct reading *arrived, enum stamp_source source)
{
    struct end *end = context;
    struct wire_frame frame;
    unsigned faults;

    end->peer = peer;
    if (wire_decode(bytes, length, WIRE_MINOR, &frame, &faults) < 0)
        return;
    if (frame.type == WIRE_POLL)
        answer(end, &frame, arrived, source);
    else if (frame.type == WIRE_REPLY)
        take_reply(end, &frame, arrived, source);
}

static void on_stamped(void *context, uint32_t peer, uint8_t type, uint32_t sequence,
                       int64_t raw_ns)
{
    struct end *end = context;

    (void)peer;
    if (type == WIRE_REPLY) {
        end->prev_sequence = sequence;
        end->prev_raw_ns = raw_ns;
    } else if (sequence == end->sequence) {
        end->current.kernel.t1_ns = raw_ns;
    }
}

static int on_timer(sd_event_source *source, uint64_t usec, void *context)
{
    struct end *end = context;
    struct wire_frame frame = {.type = WIRE_POLL, .sequence = ++end->sequence};

    (void)usec;
    end->current = (struct pair){0};
    end->asked++;
    send_frame(end, &frame, &end->current.own.t1_ns);
    (void)sd_event_source_set_time_relative(source, GAP_US);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void on_up(void *context, uint32_t peer, const char *address, const char *owner)
{
    struct end *end = context;

    (void)address, (void)owner;
    end->peer = peer;
    if (end->asks)
        (void)sd_event_add_time_relative(end->loop, &end->timer, CLOCK_MONOTONIC, GAP_US, 1,
                                         on_timer, end);
}

static void on_down(void *context, uint32_t peer, int error)
{
    struct end *end = context;

    (void)peer, (void)error;
    end->timer = sd_event_source_disable_unref(end->timer);
}

static void on_unreachable(void *context, const char *what, int64_t retry_ns)
{
    (void)context, (void)what, (void)retry_ns;
}

static int on_end(sd_event_source *source, uint64_t usec, void *context)
{
    const struct end *end = context;

    (void)source, (void)usec;
    return sd_event_exit(end->loop, 0);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double cpu_us(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void print(struct end *end, const char *name)
{
    static const char *const words[] = {"user", "kernel", "single"};

    for (int i = 0; i < STAMPINGS; i++) {
        double sum = 0, squares = 0, *delays = end->delays[i];
        size_t n = end->count;

        for (size_t k = 0; k < n; k++)
            sum += end->offsets[i][k];
        for (size_t k = 0; k < n; k++)
            squares += pow(end->offsets[i][k] - sum / (double)n, 2);
        qsort(end->offsets[i], n, sizeof(double), compare);
        qsort(delays, n, sizeof(double), compare);
        if (n > 0)
            printf("%s\t%s\t%zu\t%zu\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.1f\n", name, words[i],
                   end->asked, n, sqrt(squares / (double)n) / 1e3, end->offsets[i][n / 2] / 1e3,
                   (end->offsets[i][n * 3 / 4] - end->offsets[i][n / 4]) / 1e3,
                   delays[0] / 1e3, delays[n / 2] / 1e3, delays[n * 99 / 100] / 1e3,
                   cpu_us() / (double)end->asked);
    }
}

/* As good as any for what it costs. */
static int secure(struct end *end)
{
    static const char text[] =
        "bench 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";
    char error[KEYRING_ERROR_SIZE];
    struct keyring *keyring = NULL;
    int r = keyring_parse("bench", text, strlen(text), &keyring, error);

    return r < 0 ? r : transport_secure(end->transport, keyring, "bench");
}

int main(int argc, char **argv)
{
    static struct end end;
    const struct transport_limits limits = {.max_peers = 4, .frames_per_second = 100000};
    const struct transport_handler handler = {.up = on_up,
                                              .down = on_down,
                                              .frame = on_frame,
                                              .stamped = on_stamped,
                                              .unreachable = on_unreachable,
                                              .stamp = read_raw,
                                              .convert = convert,
                                              .context = &end};
    uint16_t port = argc > 3 ? (uint16_t)atoi(argv[3]) : 0;

    end.asks = argc == 6;
    journal_open(LOG_INFO);
    if (argc < 4 || sd_event_new(&end.loop) < 0 ||
        transport_new(end.loop, &handler, &limits, &end.transport) < 0)
        return 2;
    if (getenv("BENCH_KEY") && secure(&end) < 0)
        return 2;
    if (!end.asks && transport_listen(end.transport, argv[2], port) < 0)
        return 1;
    if (end.asks &&
        (transport_connect(end.transport, argv[2], port, 50 * NS_PER_MS, NS_PER_S) < 0 ||
         sd_event_add_time_relative(end.loop, NULL, CLOCK_MONOTONIC,
                                    strtoull(argv[4], NULL, 10) * 1000000, 1, on_end, &end) < 0))
        return 1;
    (void)sd_event_loop(end.loop);
    if (end.asks)
        print(&end, argv[5]);
    transport_free(end.transport);
    (void)sd_event_unref(end.loop);
    return end.asks && end.count == 0;
}
