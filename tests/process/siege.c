/* SPDX-License-Identifier: BSD-2-Clause */
#include "siege.h"

#include "harness_part.h"
#include "setup.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HIGHEST_PRIORITY (-20)
#define JOIN_SECONDS 60
#define ASK_SECONDS 5
#define WITNESS_ROUNDS 10 /* before what it sees counts */
#define ATTACK_GROWS 1    /* s that an attack takes to get going */

/* Attackers are other machines: they have a processor of their own, if there is one, and the
 * master has another. */
static void keep_apart(pid_t pid, bool master)
{
    cpu_set_t all, one;
    size_t chosen = CPU_SETSIZE;

    if (sched_getaffinity(0, sizeof all, &all) < 0)
        return;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && (chosen == CPU_SETSIZE || !master))
            chosen = cpu;
    CPU_ZERO(&one);
    CPU_SET(chosen, &one);
    (void)sched_setaffinity(pid, sizeof one, &one);
}

/* What else the machine does shall not count, where that is in our power. */
static void put_first(pid_t pid)
{
    (void)setpriority(PRIO_PROCESS, (id_t)pid, HIGHEST_PRIORITY);
}

bool siege_begin(struct siege *siege, struct harness *harness)
{
    *siege =
        (struct siege){.harness = harness, .key = key_make("shared", NULL), .port = harness_port()};
    siege->master =
        process_start(harness, "--master", "-v", "-c",
                      setup_keyed(harness, "master", siege->port, &siege->key, 1), NULL);
    keep_apart(process_pid(siege->master), true);
    put_first(process_pid(siege->master));
    siege->control = harness_path(harness, "master.control");
    for (size_t i = 0; i < SIEGE_SLAVES; i++) {
        char name[16];

        snprintf(name, sizeof name, "honest%zu", i);
        siege->slaves[i] =
            process_start(harness, "--slave", "-v", "-c",
                          setup_keyed(harness, name, siege->port, &siege->key, 1), NULL);
        put_first(process_pid(siege->slaves[i]));
    }
    for (size_t i = 0; i < SIEGE_SLAVES; i++)
        if (!process_wait_line(siege->slaves[i], "Synchronised: ", JOIN_SECONDS))
            return false;
    siege->witness = witness_start(harness, siege->port, &siege->key);
    put_first(witness_pid(siege->witness));
    return witness_wait(harness, siege->witness, WITNESS_ROUNDS, JOIN_SECONDS);
}

/* Of its time on processors so far, s. */
static double cpu_seconds(const struct process *process)
{
    unsigned long user = 0, system = 0;
    char path[64], text[1024] = "";
    const char *after;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)process_pid(process));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) < 0)
        harness_die("%s cannot be read", path);
    close(fd);
    after = strrchr(text, ')');
    if (!after ||
        sscanf(after, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        harness_die("%s: not as expected", path);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void pass(struct siege *siege, double seconds, long *rss_kib)
{
    int64_t deadline = harness_deadline(seconds);

    do {
        long now_kib = setup_rss(siege->master);

        *rss_kib = now_kib > *rss_kib ? now_kib : *rss_kib;
    } while (harness_wait(siege->harness, deadline));
}

static bool is_kept(struct siege *siege)
{
    for (size_t i = 0; i < SIEGE_SLAVES; i++)
        if (!process_running(siege->slaves[i]) ||
            process_count_lines(siege->slaves[i], "Unsynchronised|Holdover|is gone") > 0)
            return false;
    return process_running(siege->master);
}

static void take_counts(const struct attack_counts *counts, struct siege_result *result, int sign)
{
    result->connects += (uint64_t)sign * counts->connects;
    result->handshakes += (uint64_t)sign * counts->handshakes;
    result->sent += (uint64_t)sign * counts->sent;
    result->closed += (uint64_t)sign * counts->closed;
}

void siege_run(struct siege *siege, unsigned kind, double seconds, struct siege_result *result)
{
    struct attack *attack = NULL;
    double begun, cpu;

    *result = (struct siege_result){.rss_before_kib = setup_rss(siege->master)};
    for (size_t i = 0; i < SIEGE_SLAVES; i++)
        process_mark(siege->slaves[i]);
    if (kind < ATTACK_COUNT_) {
        attack = attack_start(siege->harness, (enum attack_kind)kind, siege->port, &siege->key);
        keep_apart(attack_pid(attack), false);
        pass(siege, ATTACK_GROWS, &result->rss_most_kib);
        take_counts(attack_counts(attack), result, -1);
    }
    witness_mark(siege->witness);
    begun = setup_now();
    cpu = cpu_seconds(siege->master);
    pass(siege, seconds, &result->rss_most_kib);
    result->cpu = cpu_seconds(siege->master) - cpu;
    result->seconds = setup_now() - begun;
    result->cpu /= result->seconds;
    result->beat = witness_beat(siege->witness);
    result->length = witness_length(siege->witness);
    result->answer = witness_answer(siege->witness);
    result->rounds = witness_rounds(siege->witness, &result->missing);
    if (attack) {
        take_counts(attack_counts(attack), result, 1);
        attack_stop(attack);
    }
    pass(siege, 1, &result->rss_most_kib);
    result->rss_after_kib = setup_rss(siege->master);
    result->kept = is_kept(siege);
}

/* One question, one line of JSON, in which each name is found once. */
static bool ask(struct siege *siege, const char *question, char *answer, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int64_t deadline = harness_deadline(ASK_SECONDS);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    size_t length = 0;
    ssize_t n = -1;

    strncpy(address.sun_path, siege->control, sizeof address.sun_path - 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        send(fd, question, strlen(question), MSG_NOSIGNAL) > 0)
        do
            while ((n = recv(fd, answer + length, size - 1 - length, 0)) > 0)
                length += (size_t)n;
        while (n != 0 && harness_wait(siege->harness, deadline));
    close(fd);
    answer[length] = '\0';
    return n == 0;
}

uint64_t siege_counter(struct siege *siege, const char *name)
{
    char answer[8192], key[64];
    const char *at;

    snprintf(key, sizeof key, "\"%s\":", name);
    at = ask(siege, "counters\n", answer, sizeof answer) ? strstr(answer, key) : NULL;
    return at ? strtoull(at + strlen(key), NULL, 10) : UINT64_MAX;
}
