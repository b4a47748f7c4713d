/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SERVICE_SIZE sizeof("65535")

/* Shared by the loop and the thread.  Whoever comes last frees: the thread if
 * it finds the lookup abandoned, else the loop. */
struct resolver {
    sd_event_source *source;
    resolver_done done;
    void *context;
    char *host;
    char service[SERVICE_SIZE];
    int event_fd;

    pthread_mutex_t lock; /* of all below */
    bool finished;
    bool abandoned;
    int verdict; /* EAI_* */
    int error;   /* errno of EAI_SYSTEM */
    struct addrinfo *addresses;
};

static void resolver_destroy(struct resolver *resolver)
{
    if (!resolver)
        return;
    sd_event_source_disable_unref(resolver->source);
    if (resolver->event_fd >= 0)
        (void)close(resolver->event_fd);
    if (resolver->addresses)
        freeaddrinfo(resolver->addresses);
    (void)pthread_mutex_destroy(&resolver->lock);
    free(resolver->host);
    free(resolver);
}

static void resolver_destroyp(struct resolver **resolver)
{
    resolver_destroy(*resolver);
}

static void *resolver_run(void *argument)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct resolver *resolver = argument;
    struct addrinfo *addresses = NULL;
    int verdict = getaddrinfo(resolver->host, resolver->service, &hints, &addresses);
    int error = errno;
    bool abandoned;

    (void)pthread_mutex_lock(&resolver->lock);
    resolver->verdict = verdict;
    resolver->error = error;
    resolver->addresses = verdict == 0 ? addresses : NULL;
    resolver->finished = true;
    abandoned = resolver->abandoned;
    if (!abandoned)
        (void)eventfd_write(resolver->event_fd, 1);
    (void)pthread_mutex_unlock(&resolver->lock);

    if (abandoned)
        resolver_destroy(resolver);
    return NULL;
}

static int resolver_dispatch(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct resolver *resolver = context;
    resolver_done done = resolver->done;
    void *owner = resolver->context;
    struct addrinfo *addresses;
    int verdict, error;

    (void)source, (void)fd, (void)events;
    (void)pthread_mutex_lock(&resolver->lock);
    verdict = resolver->verdict;
    error = resolver->error;
    addresses = resolver->addresses;
    resolver->addresses = NULL;
    (void)pthread_mutex_unlock(&resolver->lock);
    resolver_destroy(resolver);

    done(owner, addresses, verdict == EAI_SYSTEM ? strerror(error) : gai_strerror(verdict));
    return 0;
}

/* Signals are the loop's: the thread starts with all of them blocked. */
static int resolver_spawn(struct resolver *resolver)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    int r = pthread_attr_init(&attributes);

    if (r != 0)
        return -r;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&thread, &attributes, resolver_run, resolver);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return -r;
}

int resolver_start(sd_event *loop, const char *host, uint16_t port, resolver_done done,
                   void *context, struct resolver **resolver)
{
    __attribute__((cleanup(resolver_destroyp))) struct resolver *fresh = calloc(1, sizeof(*fresh));
    int r;

    if (!fresh)
        return -ENOMEM;
    (void)pthread_mutex_init(&fresh->lock, NULL);
    fresh->done = done;
    fresh->context = context;
    (void)snprintf(fresh->service, sizeof(fresh->service), "%hu", port);
    fresh->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fresh->event_fd < 0)
        return -errno;
    fresh->host = strdup(host);
    if (!fresh->host)
        return -ENOMEM;
    r = sd_event_add_io(loop, &fresh->source, fresh->event_fd, EPOLLIN, resolver_dispatch, fresh);
    if (r < 0)
        return r;
    r = resolver_spawn(fresh);
    if (r < 0)
        return r;
    *resolver = fresh;
    fresh = NULL;
    return 0;
}

void resolver_cancel(struct resolver *resolver)
{
    bool finished;

    if (!resolver)
        return;
    resolver->source = sd_event_source_disable_unref(resolver->source);
    (void)pthread_mutex_lock(&resolver->lock);
    finished = resolver->finished;
    resolver->abandoned = true;
    (void)pthread_mutex_unlock(&resolver->lock);
    if (finished)
        resolver_destroy(resolver);
}
