/* SPDX-License-Identifier: BSD-2-Clause */
#include "harness_part.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 64
#define STOP_SECONDS 10

/* A file that grows, and what of it was read. */
struct output {
    int fd;
    char *text;
    size_t length;
};

struct process {
    struct harness_part part;
    struct harness *harness;
    pid_t pid;
    int status; /* as waitpid() says, when ended */
    bool ended;
    size_t marked;
    struct output out, err;
};

/* --- output --- */

static void output_open(struct harness *harness, const char *name, unsigned number,
                        struct output *output)
{
    const char *path = harness_path(harness, "%s-%u", name, number);

    output->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (output->fd < 0)
        harness_die("%s: %s", path, strerror(errno));
    output->text = harness_alloc(1);
}

static const char *output_read(struct output *output)
{
    char chunk[4096];
    ssize_t length;

    while ((length = pread(output->fd, chunk, sizeof(chunk), (off_t)output->length)) > 0) {
        output->text = harness_resize(output->text, output->length + (size_t)length + 1);
        for (ssize_t i = 0; i < length; i++)
            if (chunk[i] == '\0')
                chunk[i] = '?';
        memcpy(output->text + output->length, chunk, (size_t)length);
        output->length += (size_t)length;
        output->text[output->length] = '\0';
    }
    return output->text;
}

static void output_close(struct output *output)
{
    close(output->fd);
    free(output->text);
}

/* --- environment --- */

struct environment {
    char **words; /* NULL at the end */
    size_t count;
};

static bool name_is_same(const char *word, const char *other)
{
    size_t length = strcspn(word, "=");

    return strcspn(other, "=") == length && strncmp(word, other, length) == 0;
}

/* "NAME=value" sets, "NAME" removes. */
static void environment_put(struct environment *environment, const char *word)
{
    size_t kept = 0;

    for (size_t i = 0; i < environment->count; i++) {
        if (name_is_same(environment->words[i], word))
            free(environment->words[i]);
        else
            environment->words[kept++] = environment->words[i];
    }
    environment->words =
        harness_resize(environment->words, (kept + 2) * sizeof(*environment->words));
    if (strchr(word, '='))
        environment->words[kept++] = strdup(word);
    environment->words[kept] = NULL;
    environment->count = kept;
}

__attribute__((format(printf, 2, 3))) static void environment_set(struct environment *environment,
                                                                  const char *format, ...)
{
    va_list args;
    char *word;

    va_start(args, format);
    if (vasprintf(&word, format, args) < 0)
        harness_die("out of memory");
    va_end(args);
    environment_put(environment, word);
    free(word);
}

static void environment_free(struct environment *environment)
{
    for (size_t i = 0; i < environment->count; i++)
        free(environment->words[i]);
    free(environment->words);
}

static void environment_lead(struct environment *environment, struct harness *harness,
                             const struct journald *journald, int err)
{
    const char *shim =
        harness_built(harness, "BERKELEY_JOURNAL_SHIM", "tests/process/journal_shim.so");
    const char *preload = getenv("LD_PRELOAD"), *asan = getenv("ASAN_OPTIONS");
    struct stat found;

    if (access(shim, R_OK) < 0)
        harness_die("%s: %s", shim, strerror(errno));
    if (fstat(err, &found) < 0)
        harness_die("standard error: %s", strerror(errno));
    environment_set(environment, "JOURNAL_STREAM=%ju:%ju", (uintmax_t)found.st_dev,
                    (uintmax_t)found.st_ino);
    environment_set(environment, "BERKELEY_JOURNAL_SOCKET=%s", journald_path(journald));
    environment_set(environment, "LD_PRELOAD=%s%s%s", shim, preload ? ":" : "",
                    preload ? preload : "");
    environment_set(environment, "ASAN_OPTIONS=%s%sverify_asan_link_order=0", asan ? asan : "",
                    asan ? ":" : "");
}

static struct environment environment_make(struct harness *harness,
                                           const struct process_options *options, int err)
{
    /* What the manager of the test itself said is not meant for its children. */
    static const char *const foreign[] = {"NOTIFY_SOCKET", "JOURNAL_STREAM", "WATCHDOG_USEC",
                                          "WATCHDOG_PID",  "LISTEN_FDS",     "LISTEN_PID",
                                          "INVOCATION_ID"};
    struct environment environment = {.count = 0};

    for (char **word = environ; *word; word++)
        environment_put(&environment, *word);
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        environment_put(&environment, foreign[i]);
    if (options->notify)
        environment_set(&environment, "NOTIFY_SOCKET=%s", notify_path(options->notify));
    if (options->journald)
        environment_lead(&environment, harness, options->journald, err);
    for (const char *const *word = options->environment; word && *word; word++)
        environment_put(&environment, *word);
    return environment;
}

/* --- start --- */

/* In the child: only what is allowed between fork and exec. */
static _Noreturn void child_run(const struct process *process, pid_t parent, char *const *words,
                                char *const *environment)
{
    sigset_t none;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(null, STDIN_FILENO);
    dup2(process->out.fd, STDOUT_FILENO);
    dup2(process->err.fd, STDERR_FILENO);
    execve(words[0], words, environment);
    dprintf(STDERR_FILENO, "harness: %s: %s\n", words[0], strerror(errno));
    _exit(127);
}

static bool process_reap(struct process *process, int flags)
{
    if (!process->ended)
        process->ended = waitpid(process->pid, &process->status, flags) == process->pid;
    return process->ended;
}

static void process_ask(struct harness_part *part)
{
    struct process *process = (struct process *)part;

    if (process_reap(process, WNOHANG))
        return;
    kill(process->pid, SIGTERM);
    kill(process->pid, SIGCONT);
}

static bool process_told(const struct process *process, const struct output *output)
{
    const char *identity = key_told(output->text, output->length);

    if (identity)
        fprintf(stderr, "harness: process %d printed the secret of key %s:\n%s", (int)process->pid,
                identity, output->text);
    return identity != NULL;
}

static bool process_end(struct harness_part *part)
{
    struct process *process = (struct process *)part;
    bool told;

    /* By itself if it can: only then it leaves coverage and leak reports. */
    process_wait_exit(process, STOP_SECONDS);
    process_kill(process);
    output_read(&process->err);
    output_read(&process->out);
    told = process_told(process, &process->err) || process_told(process, &process->out);
    if (!strstr(process->err.text, "Sanitizer: ") &&
        !strstr(process->err.text, ": runtime error: "))
        return !told;
    fprintf(stderr, "harness: process %d reported:\n%s", (int)process->pid, process->err.text);
    return false;
}

static void process_release(struct harness_part *part)
{
    struct process *process = (struct process *)part;

    output_close(&process->out);
    output_close(&process->err);
    free(process);
}

struct process *process_spawn(struct harness *harness, const struct process_options *options)
{
    static unsigned number;
    struct process *process = harness_alloc(sizeof(*process));
    const char *program = options->program;
    const char *words[ARGUMENTS_MAX + 2] = {NULL};
    struct environment environment;
    pid_t parent = getpid();

    if (!program)
        program = harness_built(harness, "BERKELEYD", "berkeleyd");
    words[0] = program;
    for (size_t i = 0; options->arguments && options->arguments[i]; i++) {
        if (i >= ARGUMENTS_MAX)
            harness_die("more than %d arguments", ARGUMENTS_MAX);
        words[i + 1] = options->arguments[i];
    }
    process->harness = harness;
    output_open(harness, "stdout", number, &process->out);
    output_open(harness, "stderr", number++, &process->err);
    environment = environment_make(harness, options, process->err.fd);
    process->pid = fork();
    if (process->pid < 0)
        harness_die("fork: %s", strerror(errno));
    if (process->pid == 0)
        child_run(process, parent, (char *const *)words, environment.words);
    environment_free(&environment);
    process->part.ask = process_ask;
    process->part.end = process_end;
    process->part.release = process_release;
    harness_adopt(harness, &process->part);
    return process;
}

struct process *process_start(struct harness *harness, const char *argument, ...)
{
    const char *arguments[ARGUMENTS_MAX + 1] = {argument};
    struct process_options options = {.arguments = arguments};
    size_t count = 0;
    va_list rest;

    va_start(rest, argument);
    while (arguments[count]) {
        if (++count == ARGUMENTS_MAX)
            harness_die("more than %d arguments", ARGUMENTS_MAX);
        arguments[count] = va_arg(rest, const char *);
    }
    va_end(rest);
    return process_spawn(harness, &options);
}

/* --- life --- */

pid_t process_pid(const struct process *process)
{
    return process->pid;
}

bool process_running(struct process *process)
{
    return !process_reap(process, WNOHANG);
}

void process_signal(struct process *process, int number)
{
    /* Once reaped, the number may be somebody else's. */
    if (process_running(process))
        kill(process->pid, number);
}

int process_wait_exit(struct process *process, double seconds)
{
    int64_t deadline = harness_deadline(seconds);

    while (process_running(process))
        if (!harness_wait(process->harness, deadline))
            return -1;
    if (WIFSIGNALED(process->status))
        return 128 + WTERMSIG(process->status);
    return WEXITSTATUS(process->status);
}

bool process_dumped_core(const struct process *process)
{
    return process->ended && WIFSIGNALED(process->status) && WCOREDUMP(process->status);
}

int process_stop(struct process *process)
{
    process_signal(process, SIGTERM);
    return process_wait_exit(process, STOP_SECONDS);
}

void process_kill(struct process *process)
{
    process_signal(process, SIGKILL);
    process_reap(process, 0);
}

/* --- lines --- */

static unsigned lines_count(const char *text, const char *regex)
{
    unsigned count = 0;
    regmatch_t match;
    regex_t pattern;

    if (regcomp(&pattern, regex, REG_EXTENDED | REG_NEWLINE) != 0)
        harness_die("bad pattern: %s", regex);
    while (*text != '\0' && regexec(&pattern, text, 1, &match, 0) == 0) {
        count++;
        text += match.rm_eo;
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    regfree(&pattern);
    return count;
}

unsigned process_count_lines(struct process *process, const char *regex)
{
    output_read(&process->err);
    return lines_count(process->err.text + process->marked, regex);
}

bool process_wait_line(struct process *process, const char *regex, double seconds)
{
    int64_t deadline = harness_deadline(seconds);
    bool running;

    do {
        /* Asked before the output is read: what a process says last is not missed. */
        running = process_running(process);
        if (process_count_lines(process, regex) > 0)
            return true;
    } while (running && harness_wait(process->harness, deadline));
    fprintf(stderr, "harness: process %d %s and has not said /%s/ after byte %zu of:\n%s",
            (int)process->pid, running ? "runs" : "ended", regex, process->marked,
            process->err.text);
    return false;
}

void process_mark(struct process *process)
{
    output_read(&process->err);
    process->marked = process->err.length;
}

const char *process_stderr(struct process *process)
{
    return output_read(&process->err);
}

const char *process_stdout(struct process *process)
{
    return output_read(&process->out);
}
