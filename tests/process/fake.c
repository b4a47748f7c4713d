/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake.h"

#include "harness_part.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define QUESTIONS_MAX 256
#define QUESTION_SIZE 128

struct fake {
    struct harness_part part;
    const char *path;
    int listener; /* -1: closed */
    pthread_t thread;
    pthread_mutex_t lock;
    /* Under the lock: */
    char *answer;
    unsigned count;
    char questions[QUESTIONS_MAX][QUESTION_SIZE];
};

/* Takes up to QUESTIONS_MAX questions down. */
static char *next_answer(struct fake *fake, const char *question)
{
    char *answer;

    (void)pthread_mutex_lock(&fake->lock);
    if (fake->count < QUESTIONS_MAX)
        memcpy(fake->questions[fake->count++], question, QUESTION_SIZE);
    answer = strdup(fake->answer);
    (void)pthread_mutex_unlock(&fake->lock);
    return answer;
}

static void serve_one(struct fake *fake, int fd)
{
    char question[QUESTION_SIZE] = "";
    char *answer;

    if (recv(fd, question, sizeof question - 1, 0) <= 0)
        return;
    question[strcspn(question, "\n")] = '\0';
    answer = next_answer(fake, question);
    for (size_t sent = 0, length = answer ? strlen(answer) : 0; sent < length;) {
        ssize_t n = send(fd, answer + sent, length - sent, MSG_NOSIGNAL);

        if (n < 0)
            break;
        sent += (size_t)n;
    }
    free(answer);
}

static void *serve(void *context)
{
    struct fake *fake = context;
    int fd;

    /* Shutting the listener down ends it. */
    while ((fd = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        serve_one(fake, fd);
        close(fd);
    }
    return NULL;
}

void fake_close(struct fake *fake)
{
    if (fake->listener < 0)
        return;
    (void)unlink(fake->path);
    (void)shutdown(fake->listener, SHUT_RDWR);
    (void)pthread_join(fake->thread, NULL);
    close(fake->listener);
    fake->listener = -1;
}

static void fake_release(struct harness_part *part)
{
    struct fake *fake = (struct fake *)part;

    fake_close(fake);
    (void)pthread_mutex_destroy(&fake->lock);
    free(fake->answer);
    free(fake);
}

struct fake *fake_open(struct harness *harness, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fake *fake = harness_alloc(sizeof *fake);

    fake->path = harness_path(harness, "%s", name);
    fake->part.release = fake_release;
    fake->answer = strdup("{}\n");
    strncpy(address.sun_path, fake->path, sizeof address.sun_path - 1);
    fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fake->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fake->listener, 16) < 0)
        harness_die("%s: %s", fake->path, strerror(errno));
    if (pthread_mutex_init(&fake->lock, NULL) != 0 ||
        pthread_create(&fake->thread, NULL, serve, fake) != 0)
        harness_die("no thread for %s", fake->path);
    harness_adopt(harness, &fake->part);
    return fake;
}

const char *fake_path(const struct fake *fake)
{
    return fake->path;
}

void fake_answer(struct fake *fake, const char *text)
{
    const size_t size = strlen(text) + 2;
    char *answer = harness_alloc(size);

    (void)snprintf(answer, size, "%s\n", text);
    (void)pthread_mutex_lock(&fake->lock);
    free(fake->answer);
    fake->answer = answer;
    (void)pthread_mutex_unlock(&fake->lock);
}

unsigned fake_asked(struct fake *fake, const char *question)
{
    unsigned count = 0;

    (void)pthread_mutex_lock(&fake->lock);
    for (unsigned i = 0; i < fake->count; i++)
        count += strcmp(fake->questions[i], question) == 0;
    (void)pthread_mutex_unlock(&fake->lock);
    return count;
}
