/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clock_emulated.h"

#include "daemon/emulated_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dice.h"

#define PPM (INT64_C(1) << 16)

struct place {
    char directory[64];
    char path[96];
};

static const struct emulated_oscillator plain = {
    .offset_ns = -3 * NS_PER_S, .frequency_ppb = 50000, .wander_ppb = 100, .seed = 7};

static int place_open(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    if (!place)
        return -1;
    (void)snprintf(place->directory, sizeof place->directory, "/tmp/berkeley-clock-XXXXXX");
    if (!mkdtemp(place->directory)) {
        free(place);
        return -1;
    }
    (void)snprintf(place->path, sizeof place->path, "%s/clock", place->directory);
    *state = place;
    return 0;
}

static int place_close(void **state)
{
    struct place *place = *state;
    int r;

    (void)unlink(place->path);
    r = rmdir(place->directory);
    free(place);
    return r;
}

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;

    assert_int_equal(clock_gettime(id, &t), 0);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static struct kernel_port port_at(const char *path)
{
    struct kernel_port port;

    assert_int_equal(clock_emulated_port(path, &plain, &port), 0);
    return port;
}

static struct reading read_port(const struct kernel_port *port)
{
    struct reading reading = {0};

    assert_int_equal(port->read(port->context, &reading), 0);
    return reading;
}

static int64_t real_of(struct reading reading)
{
    return reading.raw_ns + reading.total_ns;
}

static struct emulated_view *view_at(const char *path)
{
    struct emulated_view *view = NULL;

    assert_int_equal(emulated_view_open(path, &view), 0);
    return view;
}

static int64_t view_real(struct emulated_view *view, int64_t host_ns)
{
    int64_t real_ns = 0;

    assert_int_equal(emulated_view_read(view, host_ns, &real_ns, NULL), 0);
    return real_ns;
}

static void adjust(const struct kernel_port *port, struct timex timex)
{
    assert_return_code(port->adjust(port->context, &timex), 0);
}

static struct timex slew(int64_t offset_ns, long freq)
{
    return (struct timex){
        .modes = ADJ_STATUS | ADJ_NANO | ADJ_TIMECONST | ADJ_FREQUENCY | ADJ_OFFSET,
        .status = STA_PLL | STA_FREQHOLD,
        .offset = offset_ns,
        .freq = freq,
    };
}

static void starts_where_asked(void **state)
{
    struct kernel_port port = port_at(NULL);
    int64_t before = clock_ns(CLOCK_REALTIME);
    int64_t ahead_ns = real_of(read_port(&port)) - before;
    int64_t suspended_ns = 1;

    (void)state;
    assert_true(llabs(ahead_ns + 3 * NS_PER_S) < NS_PER_S);
    assert_true(llabs(read_port(&port).raw_ns - clock_ns(CLOCK_MONOTONIC_RAW)) > NS_PER_S);
    assert_int_equal(port.watch_fd(port.context), -1);
    assert_int_equal(port.suspended(port.context, &suspended_ns), 0);
    assert_int_equal(suspended_ns, 0);
    assert_true(port.precision_ns >= 1);
    assert_null(port.units);
    port.acknowledge(port.context);
    port.release(port.context);
}

static void refuses_impossible_machines(void **state)
{
    static const struct emulated_oscillator bad[] = {
        {.frequency_ppb = 1.1e8},  {.frequency_ppb = NAN}, {.wander_ppb = -1},
        {.wander_ppb = NAN},       {.wander_ppb = 1e6},    {.offset_ns = INT64_MAX},
        {.offset_ns = -INT64_MAX},
    };
    struct kernel_port port;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(clock_emulated_port(NULL, &bad[i], &port), -ERANGE);
    assert_int_equal(clock_emulated_port("/nonexistent/clock", &plain, &port), -ENOENT);
}

static void goes_on_while_nobody_runs_it(void **state)
{
    const struct place *place = *state;
    struct kernel_port port = port_at(place->path);
    struct timex timex = {.modes = 0};
    struct stat status;

    adjust(&port, slew(0, -50 * PPM));
    int64_t before = real_of(read_port(&port));
    port.release(port.context);

    struct emulated_view *view = view_at(place->path);
    int64_t host_ns = clock_ns(CLOCK_MONOTONIC_RAW);
    assert_true(view_real(view, host_ns) > before);
    int64_t second_ns = view_real(view, host_ns + NS_PER_S) - view_real(view, host_ns);
    assert_true(llabs(second_ns - NS_PER_S) < 5000);
    emulated_view_close(view);

    port = port_at(place->path);
    assert_true(real_of(read_port(&port)) > before);
    assert_true(real_of(read_port(&port)) - before < 60 * NS_PER_S);
    assert_return_code(port.adjust(port.context, &timex), 0);
    assert_int_equal(timex.freq, -50 * PPM);
    port.release(port.context);
    assert_int_equal(stat(place->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0644);
}

/* The port tells no host instant, so it is searched for: the view's time at the
 * right one equals the port's, and there is one between two looks at the host. */
static void view_equals_port(void **state)
{
    const struct place *place = *state;
    struct kernel_port port = port_at(place->path);
    struct emulated_view *view = view_at(place->path);

    adjust(&port, slew(400 * NS_PER_MS, 33 * PPM));
    for (int i = 0; i < 2000; i++) {
        if (i % 7 == 0)
            adjust(&port, slew((i - 1000) * NS_PER_US, i * INT64_C(1000)));
        int64_t before_ns = clock_ns(CLOCK_MONOTONIC_RAW);
        int64_t real_ns = real_of(read_port(&port));
        int64_t after_ns = clock_ns(CLOCK_MONOTONIC_RAW);
        assert_true(view_real(view, before_ns) <= real_ns + 2);
        assert_true(view_real(view, after_ns) >= real_ns - 2);
        while (after_ns - before_ns > 1) {
            int64_t middle_ns = before_ns + (after_ns - before_ns) / 2;
            *(view_real(view, middle_ns) < real_ns ? &before_ns : &after_ns) = middle_ns;
        }
        assert_true(llabs(view_real(view, after_ns) - real_ns) <= 2);
    }
    emulated_view_close(view);
    port.release(port.context);
}

/* A host instant taken just before the daemon wrote is still told as it was. */
static void view_tells_the_instant_before_a_write(void **state)
{
    const struct place *place = *state;
    struct kernel_port port = port_at(place->path);
    struct emulated_view *view = view_at(place->path);
    int64_t host_ns = clock_ns(CLOCK_MONOTONIC_RAW);
    int64_t real_ns = view_real(view, host_ns);

    assert_int_equal(emulated_meddle_step(place->path, 5 * NS_PER_S), 0);
    assert_int_equal(view_real(view, host_ns), real_ns);
    assert_true(view_real(view, clock_ns(CLOCK_MONOTONIC_RAW)) - real_ns > 5 * NS_PER_S);
    emulated_view_close(view);
    port.release(port.context);
}

static void view_reads_what_the_daemon_wrote(void **state)
{
    const struct place *place = *state;
    struct kernel_port port = port_at(place->path);
    struct emulated_view *view = view_at(place->path);
    struct timex timex = {.modes = ADJ_SETOFFSET};
    int64_t real_ns = 0;

    adjust(&port, (struct timex){.modes = ADJ_MAXERROR | ADJ_STATUS, .maxerror = 4711});
    int64_t host_ns = clock_ns(CLOCK_MONOTONIC_RAW);
    assert_int_equal(emulated_view_read(view, host_ns, &real_ns, &timex), 0);
    assert_true(timex.maxerror == 4711 || timex.maxerror == 5211);
    assert_int_equal(timex.status & STA_UNSYNC, 0);
    assert_int_equal(timex.time.tv_sec, real_ns / NS_PER_S);
    emulated_view_close(view);
    port.release(port.context);
}

static void meddling_is_seen(void **state)
{
    const struct place *place = *state;
    struct kernel_port port = port_at(place->path);
    struct emulated_view *view = view_at(place->path);
    struct timex timex = {.modes = 0};
    int64_t total_ns = read_port(&port).total_ns;

    assert_int_equal(emulated_meddle_step(place->path, 100 * NS_PER_S), 0);
    assert_true(llabs(read_port(&port).total_ns - total_ns - 100 * NS_PER_S) < NS_PER_MS);
    assert_int_equal(emulated_view_backward(view), 0);
    assert_int_equal(emulated_meddle_step(place->path, -1500000001), 0);
    assert_int_equal(emulated_view_backward(view), 1500000001);
    assert_int_equal(emulated_meddle_frequency(place->path, 12000), 0);
    assert_return_code(port.adjust(port.context, &timex), 0);
    assert_int_equal(timex.freq, 12 * PPM);
    assert_int_equal(emulated_meddle_frequency(place->path, NAN), -EINVAL);
    assert_int_equal(emulated_meddle_step("/nonexistent/clock", 1), -ENOENT);
    emulated_view_close(view);
    port.release(port.context);
}

static void never_runs_back(void **state)
{
    struct kernel_port port = port_at(NULL);
    int64_t before = real_of(read_port(&port));

    (void)state;
    for (int i = 0; i < 100000; i++) {
        if (i % 100 == 0)
            adjust(&port, slew(-500 * NS_PER_MS, (i % 1000 - 500) * PPM));
        int64_t now = real_of(read_port(&port));
        assert_true(now >= before);
        before = now;
    }
    port.release(port.context);
}

static void wander_is_repeatable(void **state)
{
    struct dice dice = dice_new();
    struct oscillator whole, pieces, other;

    (void)state;
    assert_true(oscillator_init(&whole, 5, 20000, 300, 42));
    assert_true(oscillator_init(&pieces, 5, 20000, 300, 42));
    assert_true(oscillator_init(&other, 5, 20000, 300, 43));
    oscillator_advance(&whole, 1000 * NS_PER_S);
    oscillator_advance(&other, 1000 * NS_PER_S);
    for (int64_t host_ns = 5; host_ns < 1000 * NS_PER_S;
         host_ns += dice_between(&dice, 1, 50 * NS_PER_MS))
        oscillator_advance(&pieces, host_ns);
    oscillator_advance(&pieces, 1000 * NS_PER_S);
    assert_dice(&dice, whole.raw_ns == pieces.raw_ns && whole.raw_frac == pieces.raw_frac);
    assert_dice(&dice, whole.frequency_ppb == pieces.frequency_ppb);
    assert_dice(&dice, whole.random == pieces.random);
    assert_true(fabs(whole.frequency_ppb - other.frequency_ppb) > 1);
    assert_true(whole.raw_ns != other.raw_ns);
}

static void wander_is_as_large_as_said(void **state)
{
    double sum = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct oscillator oscillator;
        assert_true(oscillator_init(&oscillator, 0, 0, 100, seed));
        oscillator_advance(&oscillator, 4 * NS_PER_S);
        sum += oscillator.frequency_ppb * oscillator.frequency_ppb;
    }
    double sd_ppb = sqrt(sum / 1000);
    assert_true(sd_ppb > 180 && sd_ppb < 220);
}

static void frequency_is_as_said(void **state)
{
    struct oscillator oscillator;

    (void)state;
    assert_true(oscillator_init(&oscillator, 0, 50000, 0, 1));
    int64_t raw_ns = oscillator.raw_ns;
    oscillator_advance(&oscillator, 1000 * NS_PER_S);
    assert_true(llabs(oscillator.raw_ns - raw_ns - 1000 * NS_PER_S - 50 * NS_PER_MS) <= 1);
}

static void scribble(const char *path, off_t place, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, place), (ssize_t)size);
    assert_int_equal(close(fd), 0);
}

static void assert_refused(const char *path, int error)
{
    struct kernel_port port;
    struct emulated_view *view;

    assert_int_equal(clock_emulated_port(path, &plain, &port), error);
    assert_int_equal(emulated_view_open(path, &view), error);
    assert_int_equal(emulated_meddle_step(path, 1), error);
}

static void damaged_files_are_refused(void **state)
{
    const struct place *place = *state;
    uint64_t noise[64];
    char link[128];
    struct stat status;

    memset(noise, 0xa5, sizeof noise);
    for (off_t at = 0; at < 400; at += 8) {
        struct kernel_port port = port_at(place->path);
        port.release(port.context);
        scribble(place->path, at, noise, 8);
        int r = clock_emulated_port(place->path, &plain, &port);
        assert_true(r == 0 || r == -EBADMSG);
        assert_true(r == -EBADMSG || at >= 32);
        if (r == 0)
            port.release(port.context);
        assert_int_equal(unlink(place->path), 0);
    }
    struct kernel_port port = port_at(place->path);
    port.release(port.context);
    assert_int_equal(stat(place->path, &status), 0);
    for (off_t at = 0; at < status.st_size; at += (off_t)sizeof noise) {
        size_t left = (size_t)(status.st_size - at);
        scribble(place->path, at, noise, left < sizeof noise ? left : sizeof noise);
    }
    assert_refused(place->path, -EBADMSG);
    assert_int_equal(truncate(place->path, 100), 0);
    assert_refused(place->path, -EBADMSG);
    assert_int_equal(clock_emulated_port(place->directory, &plain, &port), -EISDIR);
    (void)snprintf(link, sizeof link, "%s/link", place->directory);
    assert_int_equal(symlink(place->path, link), 0);
    assert_refused(link, -ELOOP);
    assert_int_equal(unlink(link), 0);
}

static void unfinished_creation_is_begun_again(void **state)
{
    const struct place *place = *state;
    struct kernel_port port = port_at(place->path);
    struct stat status;

    port.release(port.context);
    assert_int_equal(stat(place->path, &status), 0);
    assert_int_equal(truncate(place->path, 0), 0);
    assert_int_equal(truncate(place->path, status.st_size), 0);
    port = port_at(place->path);
    port.release(port.context);
}

/* A file from before the host's reboot: its RAW began again since. */
static void goes_on_after_the_host_rebooted(void **state)
{
    const struct place *place = *state;
    int64_t host_ns = clock_ns(CLOCK_MONOTONIC_RAW) + 1000000 * NS_PER_S;
    struct emulated_state earlier = {0};
    struct emulated_file *file = NULL;

    assert_true(oscillator_init(&earlier.oscillator, host_ns, 0, 0, 1));
    timex_model_init(&earlier.model, earlier.oscillator.raw_ns, 1000 * NS_PER_S);
    assert_int_equal(emulated_file_create(place->path, &earlier, &file), 0);
    emulated_file_close(file);

    struct kernel_port port = port_at(place->path);
    int64_t first_ns = real_of(read_port(&port));
    assert_true(first_ns >= 1000 * NS_PER_S && first_ns < 1060 * NS_PER_S);
    while (clock_ns(CLOCK_MONOTONIC_RAW) < host_ns - 1000000 * NS_PER_S + NS_PER_MS)
        ;
    assert_true(real_of(read_port(&port)) > first_ns);
    port.release(port.context);
}

static pid_t start_writer(const char *path)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    struct kernel_port port;
    if (clock_emulated_port(path, &plain, &port) < 0)
        _exit(1);
    for (;;) {
        struct timex timex = slew(NS_PER_MS, 3 * PPM);
        if (port.adjust(port.context, &timex) < 0)
            _exit(1);
    }
}

/* Readers see whole states while it writes, and what it leaves behind is one. */
static void killed_writer_leaves_a_whole_state(void **state)
{
    const struct place *place = *state;
    struct kernel_port port = port_at(place->path);
    int64_t before = real_of(read_port(&port));

    for (int run = 0; run < 20; run++) {
        pid_t pid = start_writer(place->path);
        assert_true(pid > 0);
        for (int i = 0; i < 300 + run * 37; i++) {
            int64_t now = real_of(read_port(&port));
            assert_true(now >= before);
            before = now;
        }
        int result;
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &result, 0), pid);
        assert_true(WIFSIGNALED(result));
        adjust(&port, slew(0, 2 * PPM));
        struct emulated_view *view = view_at(place->path);
        assert_true(view_real(view, clock_ns(CLOCK_MONOTONIC_RAW)) >= before);
        emulated_view_close(view);
    }
    port.release(port.context);
}

#define AT_A_PLACE(test) cmocka_unit_test_setup_teardown(test, place_open, place_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_where_asked),
        cmocka_unit_test(refuses_impossible_machines),
        AT_A_PLACE(goes_on_while_nobody_runs_it),
        AT_A_PLACE(view_equals_port),
        AT_A_PLACE(view_tells_the_instant_before_a_write),
        AT_A_PLACE(view_reads_what_the_daemon_wrote),
        AT_A_PLACE(meddling_is_seen),
        cmocka_unit_test(never_runs_back),
        cmocka_unit_test(wander_is_repeatable),
        cmocka_unit_test(wander_is_as_large_as_said),
        cmocka_unit_test(frequency_is_as_said),
        AT_A_PLACE(damaged_files_are_refused),
        AT_A_PLACE(unfinished_creation_is_begun_again),
        AT_A_PLACE(goes_on_after_the_host_rebooted),
        AT_A_PLACE(killed_writer_leaves_a_whole_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
