/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the saved state is kept, and when it is written. */
#include "virtual_kernel.h"

#include "daemon/daemon_state.h"
#include "daemon/state.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct config config;

static int setup(void **state)
{
    (void)state;
    config_defaults(&config);
    return unsetenv("STATE_DIRECTORY");
}

static void expect(const char *wanted)
{
    char path[DAEMON_STATE_PATH_SIZE];

    assert_true(daemon_state_path(&config, path));
    assert_string_equal(path, wanted);
}

static void expect_nowhere(void)
{
    char path[DAEMON_STATE_PATH_SIZE];

    assert_false(daemon_state_path(&config, path));
}

static void the_kernels_clock(void **state)
{
    (void)state;
    expect("/var/lib/berkeley/state");
    setenv("STATE_DIRECTORY", "/somewhere/berkeley", 1);
    expect("/somewhere/berkeley/state");
    setenv("STATE_DIRECTORY", "/first:/second", 1);
    expect("/first/state");
    setenv("STATE_DIRECTORY", "relative", 1);
    expect("/var/lib/berkeley/state");
    setenv("STATE_DIRECTORY", "", 1);
    expect("/var/lib/berkeley/state");
}

static void a_directory_with_a_long_name(void **state)
{
    char directory[CONFIG_PATH_SIZE + 8];

    (void)state;
    memset(directory, '/', sizeof directory - 1);
    directory[sizeof directory - 1] = '\0';
    setenv("STATE_DIRECTORY", directory, 1);
    expect_nowhere();
}

static void an_emulated_clock(void **state)
{
    char longest[DAEMON_STATE_PATH_SIZE];

    (void)state;
    config.clock.kind = CONFIG_CLOCK_EMULATED;
    setenv("STATE_DIRECTORY", "/somewhere/berkeley", 1);
    expect_nowhere();
    strcpy(config.emulated.file, "/tmp/clock");
    expect("/tmp/clock.state");
    memset(config.emulated.file, 'x', CONFIG_PATH_SIZE - 1);
    (void)snprintf(longest, sizeof longest, "%s.state", config.emulated.file);
    expect(longest);
}

static void what_the_configuration_names(void **state)
{
    (void)state;
    strcpy(config.clock.state_file, "/etc/adjtime.berkeley");
    setenv("STATE_DIRECTORY", "/somewhere/berkeley", 1);
    expect("/etc/adjtime.berkeley");
    config.clock.kind = CONFIG_CLOCK_EMULATED;
    expect("/etc/adjtime.berkeley");
    strcpy(config.clock.state_file, "none");
    expect_nowhere();
}

/* --- a machine that remembers what it is told to --- */

struct fake {
    struct virtual_kernel kernel;
    struct clock *clock;
    struct daemon_state *state;
    struct discipline_memory memory, resumed;
    bool same_raw;
};

static void fake_recall(const void *machine, struct discipline_memory *memory)
{
    *memory = ((const struct fake *)machine)->memory;
}

static int fake_resume(void *machine, const struct discipline_memory *memory, bool same_raw)
{
    struct fake *fake = machine;

    fake->resumed = *memory;
    fake->same_raw = same_raw;
    return 0;
}

static const struct role fake_role = {.name = "fake", .recall = fake_recall, .resume = fake_resume};

static char directory[64];

static int setup_directory(void **state)
{
    memcpy(directory, "/tmp/berkeley-state-XXXXXX", sizeof "/tmp/berkeley-state-XXXXXX");
    setup(state);
    (void)snprintf(config.clock.state_file, sizeof config.clock.state_file, "%s/state",
                   mkdtemp(directory));
    return setenv("BERKELEY_BOOT_ID", "0123456789abcdef0123456789abcdef", 1);
}

static int teardown_directory(void **state)
{
    (void)state;
    (void)unlink(config.clock.state_file);
    return rmdir(directory);
}

/* On a clock that goes on from RAW raw_ns. */
static void fake_open(struct fake *fake, int64_t raw_ns)
{
    memset(&fake->memory, 0, sizeof fake->memory);
    fake->clock = virtual_clock(&fake->kernel, NULL);
    pass(&fake->kernel, raw_ns - RAW0);
    fake->state = daemon_state_open(&config, fake->clock);
    assert_non_null(fake->state);
    daemon_state_resume(fake->state, &fake_role, fake);
}

static void fake_close(struct fake *fake)
{
    daemon_state_close(fake->state);
    clock_free(fake->clock);
}

/* A second passes; is there a new file? */
static bool tick_saves(struct fake *fake)
{
    (void)unlink(config.clock.state_file);
    pass(&fake->kernel, NS_PER_S);
    daemon_state_tick(fake->state);
    return access(config.clock.state_file, F_OK) == 0;
}

static unsigned saves_in(struct fake *fake, unsigned seconds)
{
    unsigned count = 0;

    for (unsigned i = 0; i < seconds; i++)
        count += tick_saves(fake);
    return count;
}

static struct state saved(void)
{
    char error[STATE_ERROR_SIZE];
    struct state state = {0};

    assert_int_equal(state_load(config.clock.state_file, &state, error), 0);
    return state;
}

static void it_is_saved_when_it_is_worth_it(void **state)
{
    struct fake fake = {.clock = NULL};

    (void)state;
    fake_open(&fake, RAW0);
    assert_int_equal(saves_in(&fake, 2000), 0);
    fake.memory.learned = true;
    assert_true(tick_saves(&fake));
    assert_int_equal(saves_in(&fake, 2000), 0);
    fake.memory.synchronised = fake.memory.target.in = true;
    assert_true(tick_saves(&fake));
    assert_int_equal(saves_in(&fake, 599), 0);
    assert_true(tick_saves(&fake));
    assert_int_equal(saves_in(&fake, 6000), 10);
    fake_close(&fake);
}

static void what_was_learned_before_is_no_news(void **state)
{
    struct fake fake = {.clock = NULL};

    (void)state;
    fake_open(&fake, RAW0);
    fake.memory.learned = true;
    fake.memory.freq_ppb = 1234.5;
    daemon_state_stop(fake.state);
    fake_close(&fake);
    fake_open(&fake, RAW0 + NS_PER_S);
    assert_true(fake.resumed.learned && fake.resumed.freq_ppb == 1234.5);
    assert_true(fake.same_raw);
    fake.memory = fake.resumed;
    assert_int_equal(saves_in(&fake, 10), 0);
    fake_close(&fake);
}

static void only_a_time_that_is_vouched_for_is_saved(void **state)
{
    struct fake fake = {.clock = NULL};
    int64_t real_ns;

    (void)state;
    fake_open(&fake, RAW0);
    daemon_state_stop(fake.state);
    assert_int_not_equal(access(config.clock.state_file, F_OK), 0);
    fake.memory.learned = true;
    daemon_state_stop(fake.state);
    assert_int_equal(saved().real_ns, 0);
    fake.memory.synchronised = fake.memory.target.in = true;
    daemon_state_stop(fake.state);
    real_ns = saved().real_ns;
    assert_int_equal(real_ns, fake.kernel.model.real_ns);
    assert_true(saved().memory.target.in);
    pass(&fake.kernel, 100 * NS_PER_S);
    fake.memory.synchronised = false;
    daemon_state_stop(fake.state);
    assert_int_equal(saved().real_ns, real_ns);
    assert_false(saved().memory.target.in);
    fake_close(&fake);
}

static void another_boot_is_another_raw(void **state)
{
    struct fake fake = {.clock = NULL};

    (void)state;
    fake_open(&fake, RAW0 + 5 * NS_PER_S);
    fake.memory.learned = true;
    daemon_state_stop(fake.state);
    fake_close(&fake);
    fake_open(&fake, RAW0 + 6 * NS_PER_S);
    assert_true(fake.same_raw);
    fake_close(&fake);
    fake_open(&fake, RAW0);
    assert_false(fake.same_raw);
    fake_close(&fake);
    setenv("BERKELEY_BOOT_ID", "ffffffffffffffffffffffffffffffff", 1);
    fake_open(&fake, RAW0 + 6 * NS_PER_S);
    assert_false(fake.same_raw);
    fake_close(&fake);
}

static void a_failure_is_said_once(void **state)
{
    struct fake fake = {.clock = NULL};

    (void)state;
    assert_int_equal(mkdir(config.clock.state_file, 0755), 0);
    fake_open(&fake, RAW0);
    fake.memory.learned = fake.memory.synchronised = fake.memory.target.in = true;
    lines = 0;
    for (int i = 0; i < 2000; i++) {
        pass(&fake.kernel, NS_PER_S);
        daemon_state_tick(fake.state);
    }
    assert_int_equal(lines, 1);
    assert_non_null(strstr(heard, "Cannot save frequency and time to "));
    assert_int_equal(rmdir(config.clock.state_file), 0);
    daemon_state_stop(fake.state);
    assert_int_equal(lines, 1);
    assert_true(saved().memory.learned);
    fake_close(&fake);
}

int main(void)
{
#define KEPT(name) cmocka_unit_test_setup_teardown(name, setup_directory, teardown_directory)
    const struct CMUnitTest tests[] = {
        KEPT(it_is_saved_when_it_is_worth_it),
        KEPT(what_was_learned_before_is_no_news),
        KEPT(only_a_time_that_is_vouched_for_is_saved),
        KEPT(another_boot_is_another_raw),
        KEPT(a_failure_is_said_once),
        cmocka_unit_test_setup(the_kernels_clock, setup),
        cmocka_unit_test_setup(a_directory_with_a_long_name, setup),
        cmocka_unit_test_setup(an_emulated_clock, setup),
        cmocka_unit_test_setup(what_the_configuration_names, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
