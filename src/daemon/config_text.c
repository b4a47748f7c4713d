/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/config_text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define FILES_MAX 64

struct config_text {
    char *bytes;  /* for libconfig */
    char *source; /* the same lines as they were written */
    size_t bytes_length, source_length;
    struct config_place *places; /* of line n at n - 1 */
    size_t lines;
    char *files[FILES_MAX];
    size_t file_count;
    size_t read_bytes;
};

struct scanner {
    struct config_text *text;
    FILE *bytes, *source;
    struct config_place place; /* of what `at` points to */
    const char *at, *end;
    unsigned depth;
    char *error;
};

static int append_file(struct scanner *parent, const char *path);

int config_refuse(char error[CONFIG_ERROR_SIZE], struct config_place place, const char *key,
                  const char *format, ...)
{
    va_list arguments;
    char line[16] = "";
    int used;

    if (place.line > 0)
        (void)snprintf(line, sizeof(line), ":%u", place.line);
    used = snprintf(error, CONFIG_ERROR_SIZE, "%.200s%s: %.96s%s", place.file, line,
                    key ? key : "", key ? ": " : "");
    if (used < 0)
        return -EINVAL;
    va_start(arguments, format);
    (void)vsnprintf(error + used, CONFIG_ERROR_SIZE - (size_t)used, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

static int begin_line(struct scanner *scanner)
{
    struct config_text *text = scanner->text;

    if ((text->lines & (text->lines + 1)) == 0) {
        const size_t room = 2 * text->lines + 2;
        struct config_place *places = reallocarray(text->places, room, sizeof(*places));

        if (!places)
            return -ENOMEM;
        text->places = places;
    }
    text->places[text->lines++] = scanner->place;
    return 0;
}

static int copy(struct scanner *scanner, size_t length)
{
    for (; length > 0; length--) {
        const char c = *scanner->at++;

        (void)fputc(c, scanner->bytes);
        (void)fputc(c, scanner->source);
        if (c == '\n') {
            scanner->place.line++;
            if (begin_line(scanner) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

static bool starts(const struct scanner *scanner, const char *what)
{
    return strncmp(scanner->at, what, strlen(what)) == 0;
}

static int copy_comment(struct scanner *scanner)
{
    const char *end = strstr(scanner->at + 2, "*/");

    if (!end)
        return config_refuse(scanner->error, scanner->place, NULL,
                             "found a comment without an end; allowed is /* ... */");
    return copy(scanner, (size_t)(end + 2 - scanner->at));
}

/* Behind the closing quote, or NULL. */
static const char *string_end(const char *at)
{
    for (at++; *at && *at != '"'; at++)
        if (*at == '\\' && at[1])
            at++;
    return *at ? at + 1 : NULL;
}

static int copy_string(struct scanner *scanner)
{
    const char *end = string_end(scanner->at);

    if (!end)
        return config_refuse(scanner->error, scanner->place, NULL,
                             "found a string without an end; allowed is \"...\"");
    return copy(scanner, (size_t)(end - scanner->at));
}

/* Bytes of the integer that is the whole of this run; 0 if it is something else. */
static size_t integer_length(const char *at, size_t run)
{
    size_t length = *at == '-' || *at == '+';

    if (strncasecmp(at, "0x", 2) == 0)
        length = 2 + strspn(at + 2, DIGITS "ABCDEFabcdef");
    else
        length += strspn(at + length, DIGITS);
    if (length == 0 || !strchr(DIGITS "ABCDEFabcdef", at[length - 1]))
        return 0;
    return strspn(at + length, "L") <= 2 && length + strspn(at + length, "L") == run ? length : 0;
}

/* strtoll() saturates where libconfig would wrap round. */
static int copy_number(struct scanner *scanner)
{
    const size_t run = strspn(scanner->at, LETTERS DIGITS "+-._");
    const size_t length = integer_length(scanner->at, run);

    if (length == 0)
        return copy(scanner, run);
    (void)fprintf(scanner->source, "%.*s", (int)run, scanner->at);
    (void)fprintf(scanner->bytes, "%lldL",
                  strtoll(scanner->at, NULL, strncasecmp(scanner->at, "0x", 2) == 0 ? 16 : 10));
    scanner->at += run;
    return 0;
}

static void end_line(struct scanner *scanner)
{
    (void)fputc('\n', scanner->bytes);
    (void)fputc('\n', scanner->source);
}

static bool at_include(const struct scanner *scanner)
{
    const char *after = scanner->at + strlen("@include");

    return starts(scanner, "@include") && after[strspn(after, " \t")] == '"';
}

/* What a file includes is looked for beside it. */
static char *include_path(const struct scanner *scanner, const char *name, size_t length)
{
    const char *slash = strrchr(scanner->place.file, '/');
    const int beside = slash && *name != '/' ? (int)(slash - scanner->place.file) + 1 : 0;
    char *path;

    if (asprintf(&path, "%.*s%.*s", beside, scanner->place.file, (int)length, name) < 0)
        return NULL;
    return path;
}

static int copy_include(struct scanner *scanner)
{
    const char *name = strchr(scanner->at, '"') + 1;
    const size_t length = strcspn(name, "\"\n");
    char *path;
    int r;

    if (name[length] != '"')
        return config_refuse(scanner->error, scanner->place, "@include",
                             "found no closing quote; allowed is @include \"FILE\"");
    path = include_path(scanner, name, length);
    if (!path)
        return -ENOMEM;
    end_line(scanner);
    r = append_file(scanner, path);
    free(path);
    if (r < 0)
        return r;
    end_line(scanner);
    scanner->at = name + length + 1;
    return begin_line(scanner);
}

static int copy_token(struct scanner *scanner)
{
    const char c = *scanner->at;

    if (c == '#' || starts(scanner, "//"))
        return copy(scanner, strcspn(scanner->at, "\n"));
    if (starts(scanner, "/*"))
        return copy_comment(scanner);
    if (c == '"')
        return copy_string(scanner);
    if (at_include(scanner))
        return copy_include(scanner);
    if (strchr(LETTERS "*", c))
        return copy(scanner, strspn(scanner->at, LETTERS DIGITS "*_-"));
    if (strchr(DIGITS "+-.", c))
        return copy_number(scanner);
    return copy(scanner, 1);
}

static int scan(struct scanner *scanner, const char *bytes, size_t length)
{
    const size_t text_length = strnlen(bytes, length);
    int r;

    scanner->at = bytes;
    scanner->end = bytes + length;
    if (text_length < length) {
        for (size_t i = 0; i < text_length; i++)
            scanner->place.line += bytes[i] == '\n';
        return config_refuse(scanner->error, scanner->place, NULL,
                             "found a NUL byte; allowed is text");
    }
    r = begin_line(scanner);
    while (r == 0 && scanner->at < scanner->end)
        r = copy_token(scanner);
    return r;
}

static const char *why_unreadable(int error)
{
    switch (error) {
    case ENOENT:
        return "no such file";
    case EACCES:
        return "no permission to read it";
    case EISDIR:
        return "a directory";
    case ENODEV:
        return "a device, pipe or socket";
    case EFBIG:
        return "more than a MiB, includes counted in";
    default:
        return strerrordesc_np(error);
    }
}

static int unreadable(const struct scanner *parent, const char *path, int error)
{
    const struct config_place place = {.file = path};
    const char *why = why_unreadable(error);
    const bool included = parent->depth > 0;

    if (included)
        (void)config_refuse(parent->error, parent->place, "@include",
                            "found %s (%s); allowed is a readable file", path, why);
    else
        (void)config_refuse(parent->error, place, NULL, "found %s; allowed is a readable file",
                            why);
    if (error == EISDIR || error == ENODEV || error == EFBIG)
        return -EINVAL;
    return included && error != EACCES ? -EINVAL : -error;
}

/* Reads the rest of a file that is a regular one of at most `room` bytes; *bytes, with a NUL
 * behind, is the caller's to free. Length or -errno. */
static ssize_t read_all(int fd, size_t room, char **bytes)
{
    struct stat status;
    size_t length = 0;
    ssize_t got;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return S_ISDIR(status.st_mode) ? -EISDIR : -ENODEV;
    *bytes = malloc(room + 2);
    if (!*bytes)
        return -ENOMEM;
    do {
        got = read(fd, *bytes + length, room + 1 - length);
        length += got > 0 ? (size_t)got : 0;
    } while (got > 0 || (got < 0 && errno == EINTR));
    if (got < 0)
        return -errno;
    (*bytes)[length] = '\0';
    return length > room ? -EFBIG : (ssize_t)length;
}

static int slurp(struct scanner *parent, const char *path, char **bytes, size_t *length)
{
    struct config_text *text = parent->text;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t got;

    if (fd < 0)
        return unreadable(parent, path, errno);
    got = read_all(fd, CONFIG_FILE_MAX - text->read_bytes, bytes);
    (void)close(fd);
    if (got < 0)
        return unreadable(parent, path, (int)-got);
    *length = (size_t)got;
    text->read_bytes += *length;
    return 0;
}

static int append_file(struct scanner *parent, const char *path)
{
    struct config_text *text = parent->text;
    struct scanner scanner = *parent;
    char *bytes = NULL;
    char *name;
    size_t length = 0;
    int r;

    if (parent->depth > CONFIG_INCLUDE_MAX || text->file_count == FILES_MAX)
        return config_refuse(parent->error, parent->place, "@include",
                             "found too many of them; allowed is a depth of %d, and %d in all",
                             CONFIG_INCLUDE_MAX, FILES_MAX - 1);
    r = slurp(parent, path, &bytes, &length);
    if (r == 0) {
        assert(bytes);
        name = strdup(path);
        text->files[text->file_count++] = name;
        scanner.place = (struct config_place){.file = name, .line = 1};
        scanner.depth++;
        r = name ? scan(&scanner, bytes, length) : -ENOMEM;
    }
    free(bytes);
    return r;
}

int config_text_read(const char *path, struct config_text **result, char error[CONFIG_ERROR_SIZE])
{
    struct config_text *text = calloc(1, sizeof(*text));
    struct scanner scanner = {.text = text, .error = error};
    int r = -ENOMEM;

    (void)config_refuse(error, (struct config_place){.file = path}, NULL, "out of memory");
    if (!text)
        return r;
    scanner.bytes = open_memstream(&text->bytes, &text->bytes_length);
    scanner.source = open_memstream(&text->source, &text->source_length);
    if (scanner.bytes && scanner.source)
        r = append_file(&scanner, path);
    if (scanner.bytes && fclose(scanner.bytes) != 0 && r == 0)
        r = -ENOMEM;
    if (scanner.source && fclose(scanner.source) != 0 && r == 0)
        r = -ENOMEM;
    if (r < 0) {
        config_text_free(text);
        return r;
    }
    error[0] = '\0';
    *result = text;
    return 0;
}

void config_text_free(struct config_text *text)
{
    if (!text)
        return;
    for (size_t i = 0; i < text->file_count; i++)
        free(text->files[i]);
    free(text->places);
    free(text->bytes);
    free(text->source);
    free(text);
}

const char *config_text_bytes(const struct config_text *text)
{
    return text->bytes;
}

struct config_place config_text_place(const struct config_text *text, unsigned line)
{
    if (line == 0 || line > text->lines)
        line = (unsigned)text->lines;
    return text->places[line - 1];
}

bool config_text_line(const struct config_text *text, unsigned line, char *buffer, size_t size)
{
    const char *at = text->source;
    size_t length;

    for (; line > 1 && at; line--)
        at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL;
    if (!at)
        return false;
    at += strspn(at, " \t\r");
    length = strcspn(at, "\r\n");
    (void)snprintf(buffer, size, "%.*s", (int)length, at);
    return length > 0 && *at != '#' && strncmp(at, "//", 2) != 0;
}
