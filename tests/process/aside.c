/* SPDX-License-Identifier: BSD-2-Clause */
#include "aside.h"

#include "harness_part.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct aside {
    struct harness_part part;
    pid_t pid; /* 0: ended */
    void *shared;
    size_t size;
};

static void aside_release(struct harness_part *part)
{
    struct aside *aside = (struct aside *)part;

    aside_stop(aside);
    munmap(aside->shared, aside->size);
    free(aside);
}

struct aside *aside_start(struct harness *harness, void (*run)(void *shared), const void *given,
                          size_t size)
{
    struct aside *aside = harness_alloc(sizeof(*aside));
    pid_t parent = getpid();

    aside->size = size;
    aside->shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (aside->shared == MAP_FAILED)
        harness_die("mmap: %s", strerror(errno));
    memcpy(aside->shared, given, size);
    aside->pid = fork();
    if (aside->pid < 0)
        harness_die("fork: %s", strerror(errno));
    if (aside->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            run(aside->shared);
        _exit(0);
    }
    aside->part.release = aside_release;
    harness_adopt(harness, &aside->part);
    return aside;
}

pid_t aside_pid(const struct aside *aside)
{
    return aside->pid;
}

void *aside_shared(const struct aside *aside)
{
    return aside->shared;
}

bool aside_running(struct aside *aside)
{
    if (aside->pid > 0 && waitpid(aside->pid, NULL, WNOHANG) == aside->pid)
        aside->pid = 0;
    return aside->pid > 0;
}

void aside_stop(struct aside *aside)
{
    if (!aside_running(aside))
        return;
    kill(aside->pid, SIGKILL);
    waitpid(aside->pid, NULL, 0);
    aside->pid = 0;
}
