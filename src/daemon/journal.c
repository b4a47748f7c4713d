/* SPDX-License-Identifier: BSD-2-Clause */
#define SD_JOURNAL_SUPPRESS_LOCATION

#include "daemon/journal.h"

#include "daemon/journal_escape.h"
#include "daemon/journal_limit.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#define IDENTIFIER "berkeleyd"
#define TEXT_SIZE 2048
#define COUNT_SIZE 64 /* of TEXT_SIZE, kept free for the number left out */
#define WORD_SIZE 256 /* peer, state */
#define ENTRY_FIELDS 11
#define ENTRY_SIZE (TEXT_SIZE + 2 * WORD_SIZE + 512)

static struct {
    int level;
    bool native;
    struct journal_limit limit;
} journal = {.level = LOG_INFO};

/* "DEVICE:INODE" of the stream that the manager connected; systemd.exec(5). */
static bool stream_is_stderr(const char *stream)
{
    struct stat found;
    char tail;
    uintmax_t device, inode;

    if (!stream || sscanf(stream, "%ju:%ju%c", &device, &inode, &tail) != 2)
        return false;
    if (fstat(STDERR_FILENO, &found) < 0)
        return false;
    return found.st_dev == device && found.st_ino == inode;
}

void journal_open(int level)
{
    journal.level = level;
    journal.native = stream_is_stderr(getenv("JOURNAL_STREAM"));
}

void journal_set_level(int level)
{
    journal.level = level;
}

struct entry {
    struct iovec fields[ENTRY_FIELDS];
    int count;
    size_t used;
    char store[ENTRY_SIZE];
};

__attribute__((format(printf, 2, 3))) static void entry_add(struct entry *entry, const char *format,
                                                            ...)
{
    char *at = entry->store + entry->used;
    size_t room = sizeof(entry->store) - entry->used;
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(at, room, format, args);
    va_end(args);
    assert(length >= 0 && (size_t)length < room && entry->count < ENTRY_FIELDS);
    entry->fields[entry->count++] = (struct iovec){.iov_base = at, .iov_len = (size_t)length};
    entry->used += (size_t)length;
}

static void entry_add_fields(struct entry *entry, const struct journal_fields *fields)
{
    char word[WORD_SIZE];

    if (fields->message_id)
        entry_add(entry, "MESSAGE_ID=%.32s", fields->message_id);
    if (fields->peer)
        entry_add(entry, "BERKELEY_PEER=%s", journal_escape(fields->peer, word, sizeof(word)));
    if (fields->state)
        entry_add(entry, "BERKELEY_STATE=%s", journal_escape(fields->state, word, sizeof(word)));
    if (fields->has_offset)
        entry_add(entry, "BERKELEY_OFFSET_NS=%" PRId64, fields->offset_ns);
    if (fields->has_delay)
        entry_add(entry, "BERKELEY_DELAY_NS=%" PRId64, fields->delay_ns);
    if (fields->has_bound && fields->bound_ns != INT64_MAX)
        entry_add(entry, "BERKELEY_BOUND_NS=%" PRId64, fields->bound_ns);
    if (fields->has_round)
        entry_add(entry, "BERKELEY_ROUND=%" PRIu32, fields->round);
    if (fields->error != 0)
        entry_add(entry, "ERRNO=%d", abs(fields->error));
}

static int send_entry(int priority, const struct journal_fields *fields, const char *text)
{
    struct entry entry;

    entry.count = 0;
    entry.used = 0;
    entry_add(&entry, "MESSAGE=%s", text);
    entry_add(&entry, "PRIORITY=%d", priority);
    entry_add(&entry, "SYSLOG_IDENTIFIER=" IDENTIFIER);
    entry_add_fields(&entry, fields);
    return sd_journal_sendv(entry.fields, entry.count);
}

/* One write per line, so that lines of several processes do not mix. */
static void write_line(int priority, const char *text)
{
    char line[TEXT_SIZE + 32];
    int length;

    /* A stream that leads to journald understands sd-daemon(3)'s prefix. */
    if (journal.native)
        length = snprintf(line, sizeof(line), "<%d>%s\n", priority, text);
    else
        length = snprintf(line, sizeof(line), IDENTIFIER ": %s\n", text);
    assert(length > 0 && (size_t)length < sizeof(line));
    while (write(STDERR_FILENO, line, (size_t)length) < 0 && errno == EINTR)
        continue;
}

__attribute__((format(printf, 2, 0))) static void text_make(char text[TEXT_SIZE],
                                                            const char *format, va_list args)
{
    static const char cut[] = "...";
    char raw[TEXT_SIZE];

    if (vsnprintf(raw, sizeof(raw), format, args) >= (int)sizeof(raw))
        memcpy(raw + sizeof(raw) - sizeof(cut), cut, sizeof(cut));
    journal_escape(raw, text, TEXT_SIZE - COUNT_SIZE);
}

static bool text_pass(int priority, const struct journal_fields *fields, char text[TEXT_SIZE])
{
    struct timespec now;
    uint32_t left_out;

    /* Who asks for debug wants all of it. */
    if (priority >= LOG_DEBUG)
        return true;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!journal_limit_pass(&journal.limit, fields->message_id, fields->peer, text,
                            now.tv_sec * INT64_C(1000000000) + now.tv_nsec, &left_out))
        return false;
    if (left_out > 0)
        snprintf(text + strlen(text), COUNT_SIZE, " (%" PRIu32 " more like it left out)", left_out);
    return true;
}

__attribute__((format(printf, 3, 0))) static void
say(int priority, const struct journal_fields *fields, const char *format, va_list args)
{
    int saved = errno;
    char text[TEXT_SIZE];

    if (priority > journal.level)
        return;
    if (fields->error != 0)
        errno = abs(fields->error);
    text_make(text, format, args);
    if (text_pass(priority, fields, text) &&
        !(journal.native && send_entry(priority, fields, text) >= 0))
        write_line(priority, text);
    errno = saved;
}

void journal_say(int priority, const struct journal_fields *fields, const char *format, ...)
{
    static const struct journal_fields none;
    va_list args;

    va_start(args, format);
    say(priority, fields ? fields : &none, format, args);
    va_end(args);
}

int journal_errno(int error, const char *format, ...)
{
    struct journal_fields fields = {.error = error};
    va_list args;

    va_start(args, format);
    say(LOG_ERR, &fields, format, args);
    va_end(args);
    return -abs(error);
}
