/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/emulated_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x0a4b434f4c434b42) /* "BKCLOCK\n" */
#define VERSION 1U
#define WORDS (sizeof(struct emulated_state) / sizeof(uint64_t))
#define LOAD_TRIES 1000

/* Words, because what another process may be writing must be read atomically. */
struct slot {
    _Atomic uint64_t generation; /* 0 while it is being written */
    _Atomic uint64_t words[WORDS];
};

struct page {
    _Atomic uint64_t magic; /* written last */
    uint64_t version;
    uint64_t size;
    _Atomic uint64_t generation; /* slots[generation % 2] is in use */
    struct slot slots[2];
};

struct emulated_file {
    struct page *page;
    int fd; /* -1: private memory */
};

static_assert(sizeof(struct emulated_state) % sizeof(uint64_t) == 0, "whole words");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock would not be shared");

static void slot_write(struct slot *slot, uint64_t generation, const struct emulated_state *state)
{
    uint64_t words[WORDS];

    memcpy(words, state, sizeof words);
    atomic_store_explicit(&slot->generation, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i < WORDS; i++)
        atomic_store_explicit(&slot->words[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&slot->generation, generation, memory_order_release);
}

static bool slot_read(const struct slot *slot, uint64_t generation, struct emulated_state *state)
{
    uint64_t words[WORDS];

    if (atomic_load_explicit(&slot->generation, memory_order_acquire) != generation)
        return false;
    for (size_t i = 0; i < WORDS; i++)
        words[i] = atomic_load_explicit(&slot->words[i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&slot->generation, memory_order_relaxed) != generation)
        return false;
    memcpy(state, words, sizeof words);
    return true;
}

static bool state_valid(const struct emulated_state *state)
{
    return oscillator_valid(&state->oscillator) && timex_model_valid(&state->model) &&
           state->model.raw_ns == state->oscillator.raw_ns;
}

static int lock_file(int fd, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    int r;

    if (fd < 0)
        return 0;
    do
        r = fcntl(fd, F_OFD_SETLKW, &lock);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

/* NULL with errno set on failure. */
static struct page *map_page(int fd, bool writable)
{
    int protection = PROT_READ | (writable ? PROT_WRITE : 0);
    int flags = MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0);
    void *memory = mmap(NULL, sizeof(struct page), protection, flags, fd, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

static void fill_page(struct page *page, const struct emulated_state *initial)
{
    page->version = VERSION;
    page->size = sizeof *page;
    slot_write(&page->slots[1], 1, initial);
    atomic_store_explicit(&page->generation, 1, memory_order_release);
    atomic_store_explicit(&page->magic, MAGIC, memory_order_release);
}

static int check_page(const struct emulated_file *file)
{
    const struct page *page = file->page;
    struct emulated_state state;
    uint64_t generation;

    if (atomic_load_explicit(&page->magic, memory_order_acquire) != MAGIC ||
        page->version != VERSION || page->size != sizeof *page)
        return -EBADMSG;
    return emulated_file_load(file, &state, &generation);
}

static int file_size(int fd, off_t *size)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EBADMSG;
    *size = status.st_size;
    return 0;
}

/* A creator that died before it wrote the magic left zeros: begin again. */
static int create_locked(struct emulated_file *file, const struct emulated_state *initial)
{
    off_t size = 0;
    int r = file_size(file->fd, &size);

    if (r < 0)
        return r;
    if (size != 0 && size != (off_t)sizeof(struct page))
        return -EBADMSG;
    if (size == 0 && ftruncate(file->fd, (off_t)sizeof(struct page)) < 0)
        return -errno;
    file->page = map_page(file->fd, true);
    if (!file->page)
        return -errno;
    if (atomic_load_explicit(&file->page->magic, memory_order_acquire) != 0)
        return check_page(file);
    fill_page(file->page, initial);
    return fchmod(file->fd, 0644) < 0 ? -errno : 0;
}

static int create(struct emulated_file *file, const char *path,
                  const struct emulated_state *initial)
{
    int r;

    if (!path || !*path) {
        file->page = map_page(-1, true);
        if (!file->page)
            return -errno;
        fill_page(file->page, initial);
        return 0;
    }
    file->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (file->fd < 0)
        return -errno;
    r = lock_file(file->fd, F_WRLCK);
    if (r < 0)
        return r;
    r = create_locked(file, initial);
    (void)lock_file(file->fd, F_UNLCK);
    return r;
}

static int open_existing(struct emulated_file *file, const char *path, bool writable)
{
    int mode = writable ? O_RDWR : O_RDONLY;
    off_t size = 0;
    int r;

    file->fd = open(path, mode | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file->fd < 0)
        return -errno;
    r = file_size(file->fd, &size);
    if (r < 0)
        return r;
    if (size != (off_t)sizeof(struct page))
        return -EBADMSG;
    file->page = map_page(file->fd, writable);
    return file->page ? check_page(file) : -errno;
}

static struct emulated_file *file_new(void)
{
    struct emulated_file *file = calloc(1, sizeof *file);

    if (file)
        file->fd = -1;
    return file;
}

int emulated_file_create(const char *path, const struct emulated_state *initial,
                         struct emulated_file **out)
{
    struct emulated_file *file = file_new();
    int r = file ? create(file, path, initial) : -ENOMEM;

    if (r < 0)
        emulated_file_close(file);
    else
        *out = file;
    return r;
}

int emulated_file_open(const char *path, bool writable, struct emulated_file **out)
{
    struct emulated_file *file = file_new();
    int r = file ? open_existing(file, path, writable) : -ENOMEM;

    if (r < 0)
        emulated_file_close(file);
    else
        *out = file;
    return r;
}

void emulated_file_close(struct emulated_file *file)
{
    if (!file)
        return;
    if (file->page)
        (void)munmap(file->page, sizeof *file->page);
    if (file->fd >= 0)
        (void)close(file->fd);
    free(file);
}

uint64_t emulated_file_generation(const struct emulated_file *file)
{
    return atomic_load_explicit(&file->page->generation, memory_order_acquire);
}

int emulated_file_load(const struct emulated_file *file, struct emulated_state *state,
                       uint64_t *generation)
{
    struct emulated_state found;

    for (int i = 0; i < LOAD_TRIES; i++) {
        uint64_t newest = emulated_file_generation(file);
        if (newest == 0 || !slot_read(&file->page->slots[newest % 2], newest, &found))
            continue;
        if (!state_valid(&found))
            return -EBADMSG;
        *state = found;
        *generation = newest;
        return 0;
    }
    return -EBADMSG;
}

bool emulated_file_load_older(const struct emulated_file *file, uint64_t generation,
                              struct emulated_state *state)
{
    struct emulated_state found;

    if (generation < 2 ||
        !slot_read(&file->page->slots[(generation - 1) % 2], generation - 1, &found) ||
        !state_valid(&found))
        return false;
    *state = found;
    return true;
}

int emulated_file_begin(struct emulated_file *file, struct emulated_state *state)
{
    uint64_t generation;
    int r = lock_file(file->fd, F_WRLCK);

    if (r < 0)
        return r;
    r = emulated_file_load(file, state, &generation);
    if (r < 0)
        emulated_file_end(file);
    return r;
}

uint64_t emulated_file_commit(struct emulated_file *file, const struct emulated_state *state)
{
    uint64_t generation = emulated_file_generation(file) + 1;

    slot_write(&file->page->slots[generation % 2], generation, state);
    atomic_store_explicit(&file->page->generation, generation, memory_order_release);
    return generation;
}

void emulated_file_end(struct emulated_file *file)
{
    (void)lock_file(file->fd, F_UNLCK);
}
