/* SPDX-License-Identifier: BSD-2-Clause */
/* State files: whatever is taken is the same when saved and read again. */
#include "fuzz_file.h"

#include "daemon/state.h"

#include <errno.h>
#include <limits.h>
#include <math.h>

#define PRINTED 1e-9 /* numbers have nine digits behind the point */

static char directory[PATH_MAX], saved[PATH_MAX + 8];

static void remove_directory(void)
{
    (void)unlink(saved);
    (void)rmdir(directory);
}

/* Saving means renaming, which needs a real directory. */
static void make_directory(void)
{
    const char *parent = getenv("TMPDIR");

    (void)snprintf(directory, sizeof directory, "%s/berkeley-fuzz-XXXXXX",
                   parent ? parent : "/tmp");
    must(mkdtemp(directory));
    (void)snprintf(saved, sizeof saved, "%s/state", directory);
    (void)atexit(remove_directory);
}

static int load(const char *path, struct state *state)
{
    char error[STATE_ERROR_SIZE];
    struct state before;
    int r;

    memset(state, 0, sizeof *state);
    before = *state;
    r = state_load(path, state, error);
    must(r == 0 || r == -EINVAL);
    must(memchr(error, '\0', sizeof error));
    must((r == 0) == !error[0]);
    must(!strchr(error, '\n'));
    must(r == 0 || fuzz_same(state, &before, sizeof before));
    return r;
}

static void save_and_load(const struct state *state, struct state *again)
{
    must(state_save(saved, state) == 0);
    must(load(saved, again) == 0);
}

static bool near(double one, double other)
{
    return fabs(one - other) <= PRINTED + 1e-15 * fabs(one);
}

static void check_same(const struct state *one, const struct state *other)
{
    const struct discipline_memory *a = &one->memory, *b = &other->memory;

    must(one->real_ns == other->real_ns && one->raw_ns == other->raw_ns);
    must(strcmp(one->boot, other->boot) == 0);
    must(a->learned == b->learned && a->synchronised == b->synchronised);
    must(near(a->freq_ppb, b->freq_ppb) && near(a->freq_sd_ppb, b->freq_sd_ppb));
    must(a->target.map.raw_ns == b->target.map.raw_ns);
    must(a->target.map.total_ns == b->target.map.total_ns);
    must(near(a->target.map.freq_ppb, b->target.map.freq_ppb));
    must(near(a->target.freq_sd_ppb, b->target.freq_sd_ppb));
    must(near(a->target.wander_ppb, b->target.wander_ppb));
    must(a->target.offset_sd_ns == b->target.offset_sd_ns);
    must(a->target.scatter_ns == b->target.scatter_ns);
    must(a->target.asymmetry_ns == b->target.asymmetry_ns);
    must(a->target.in == b->target.in && a->target.hands_off == b->target.hands_off);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_file file = {.fd = -1};
    struct state state, second, third;

    if (file.fd < 0) {
        fuzz_file_open(&file);
        make_directory();
    }
    fuzz_file_write(&file, data, size);
    if (load(file.path, &state) < 0)
        return 0;
    save_and_load(&state, &second);
    check_same(&state, &second);
    save_and_load(&second, &third);
    must(fuzz_same(&second, &third, sizeof third));
    return 0;
}
