/* SPDX-License-Identifier: BSD-2-Clause */
/* What a daemon that somebody took over may send to berkeleyd --clock: packets of any length.
 * Byte 0 of a packet is its length (0: a whole call; 255: a permit, which is good if root runs
 * this), byte 1 how long to wait before it. */
#include "fuzz.h"

#include "daemon/clock_call.h"
#include "daemon/clock_server.h"
#include "daemon/journal.h"
#include "daemon/step.h"
#include "daemon/timex_model.h"

#include <math.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#define RAW0 (INT64_C(12345) * NS_PER_S)
#define REAL0 (INT64_C(1700000000) * NS_PER_S)
#define PATH_SIZE 100
#define WAIT_NS (10 * NS_PER_MS) /* of one unit */
#define MAX_SLEW_PPM 500
/* Two slews, and the frequency. */
#define RATE_MAX_PPM (2 * MAX_SLEW_PPM + 500)
#define SLACK_NS (5 * NS_PER_MS)
#define PERMIT UINT8_MAX

static struct timex_model model;
static int64_t permitted_ns; /* the farthest back that anybody was allowed to step */
static const struct clock_limits limits = {
    .adjust = true, .max_slew_ppm = MAX_SLEW_PPM, .initial_slew_ppm = MAX_SLEW_PPM};

static int model_adjust(void *context, struct timex *timex)
{
    (void)context;
    return timex_model_adjust(&model, model.raw_ns, timex);
}

static int model_read(void *context, struct reading *reading)
{
    (void)context;
    *reading = (struct reading){.raw_ns = model.raw_ns, .total_ns = model.real_ns - model.raw_ns};
    return 0;
}

static void model_release(void *context)
{
    (void)context;
}

static int listen_somewhere(char path[PATH_SIZE])
{
    const char *directory = getenv("TMPDIR");
    int fd;

    (void)snprintf(path, PATH_SIZE, "%s/clock-%d", directory ? directory : "/tmp", getpid());
    (void)unlink(path);
    fd = clock_server_listen(path);
    must(fd >= 0);
    return fd;
}

static int reach(const char *path)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    must(fd >= 0 && clock_call_address(path, &address) == 0);
    must(connect(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static void run(sd_event *loop)
{
    while (sd_event_run(loop, 0) > 0)
        continue;
}

/* It may be good. */
static void note_permit(const uint8_t packet[UINT8_MAX])
{
    struct step_permit permit;

    memcpy(&permit, packet, sizeof permit);
    if (getuid() == 0 && permit.step_ns < permitted_ns)
        permitted_ns = permit.step_ns;
}

static size_t make_permit(const uint8_t *data, size_t size, uint8_t packet[UINT8_MAX])
{
    struct step_permit permit = {.version = STEP_PERMIT_VERSION,
                                 .deadline_ns = clock_call_now_ns() + NS_PER_S};

    memcpy(&permit.step_ns, data, size < sizeof permit.step_ns ? size : sizeof permit.step_ns);
    memcpy(packet, &permit, sizeof permit);
    return sizeof permit;
}

/* The next packet out of the input, with what makes it an order where it is to be one. */
static size_t take_packet(const uint8_t **data, size_t *size, uint8_t packet[UINT8_MAX])
{
    struct clock_call call = {.version = CLOCK_CALL_VERSION,
                              .deadline_ns = clock_call_now_ns() + NS_PER_S};
    size_t length = (*data)[0], body = offsetof(struct clock_call, modes);
    size_t wanted = length == PERMIT ? sizeof(int64_t) : length ? length : sizeof call - body;
    size_t made = length ? 0 : sizeof call;

    timex_model_advance(&model, model.raw_ns + (*data)[1] * WAIT_NS);
    *data += 2;
    *size -= 2;
    if (wanted > *size)
        wanted = *size;
    if (length == PERMIT) {
        made = make_permit(*data, wanted, packet);
    } else if (length == 0) {
        memcpy((uint8_t *)&call + body, *data, wanted);
        call.result = 0;
        memcpy(packet, &call, sizeof call);
    } else {
        memcpy(packet, *data, wanted);
    }
    *data += wanted;
    *size -= wanted;
    made = made ? made : wanted;
    if (made == sizeof(struct step_permit))
        note_permit(packet);
    return made;
}

/* Nothing made the clock faster than it may be, but for the one step forward, and the one that
 * was permitted, a tenth and a second more at most. */
static void check(void)
{
    int64_t elapsed_ns = model.raw_ns - RAW0;
    int64_t gained_ns = model.real_ns - REAL0 - elapsed_ns;
    int64_t most_ns = timestamp_drift(elapsed_ns, RATE_MAX_PPM * 1.02e3) + SLACK_NS;

    must(timex_model_valid(&model));
    if (permitted_ns < 0)
        most_ns += timestamp_round(fmin(-1.1 * (double)permitted_ns + NS_PER_S,
                                        (double)TIMESTAMP_LIMIT_NS));
    must(permitted_ns < 0 || model.backward_ns == 0);
    must(gained_ns >= -most_ns);
    must(model.tick_us == TIMEX_MODEL_TICK_US);
    must(!(model.status & (STA_INS | STA_DEL)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kernel_port port = {
        .adjust = model_adjust, .read = model_read, .release = model_release};
    uint8_t packet[UINT8_MAX];
    struct clock_server *server;
    char path[PATH_SIZE], answer[UINT8_MAX];
    sd_event *loop;
    int fd;

    journal_set_level(LOG_EMERG);
    timex_model_init(&model, RAW0, REAL0);
    permitted_ns = 0;
    must(sd_event_new(&loop) >= 0);
    must(clock_server_new(loop, listen_somewhere(path), &port, &limits, &server) == 0);
    fd = reach(path);
    while (size > 2) {
        size_t length = take_packet(&data, &size, packet);

        if (send(fd, packet, length, MSG_NOSIGNAL) < 0) {
            (void)close(fd);
            fd = reach(path);
        }
        run(loop);
        (void)!recv(fd, answer, sizeof answer, 0);
        check();
    }
    (void)close(fd);
    run(loop);
    check();
    clock_server_free(server);
    sd_event_unref(loop);
    (void)unlink(path);
    return 0;
}
