/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define VERSION INT64_C(1)
#define GROUP "state"
#define FOUND_SIZE 96
#define STAMP_MOST ((double)TIMESTAMP_LIMIT_NS)
#define MAP_FREQ_MOST_PPB 1e7
#define SD_MOST_PPB 1e9

enum kind { INTEGER, NUMBER, FLAG, TEXT };

struct field {
    const char *key;
    enum kind kind;
    size_t place;
    double least, most; /* both are allowed */
};

#define AT(member) offsetof(struct state, member)

static const struct field fields[] = {
    {"time_ns", INTEGER, AT(real_ns), 0, STAMP_MOST},
    {"boot", TEXT, AT(boot), 0, STATE_BOOT_SIZE - 1},
    {"raw_ns", INTEGER, AT(raw_ns), -STAMP_MOST, STAMP_MOST},
    {"learned", FLAG, AT(memory.learned), 0, 1},
    {"freq_ppb", NUMBER, AT(memory.freq_ppb), -DISCIPLINE_FREQ_LIMIT_PPB,
     DISCIPLINE_FREQ_LIMIT_PPB},
    {"freq_sd_ppb", NUMBER, AT(memory.freq_sd_ppb), 0, SD_MOST_PPB},
    {"synchronised", FLAG, AT(memory.synchronised), 0, 1},
    {"map_raw_ns", INTEGER, AT(memory.target.map.raw_ns), -STAMP_MOST, STAMP_MOST},
    {"map_total_ns", INTEGER, AT(memory.target.map.total_ns), -STAMP_MOST, STAMP_MOST},
    {"map_freq_ppb", NUMBER, AT(memory.target.map.freq_ppb), -MAP_FREQ_MOST_PPB, MAP_FREQ_MOST_PPB},
    {"map_offset_sd_ns", INTEGER, AT(memory.target.offset_sd_ns), 0, STAMP_MOST},
    {"map_freq_sd_ppb", NUMBER, AT(memory.target.freq_sd_ppb), 0, SD_MOST_PPB},
    {"map_wander_ppb", NUMBER, AT(memory.target.wander_ppb), 0, SD_MOST_PPB},
    {"map_scatter_ns", INTEGER, AT(memory.target.scatter_ns), 0, STAMP_MOST},
    {"map_asymmetry_ns", INTEGER, AT(memory.target.asymmetry_ns), 0, STAMP_MOST},
    {"map_in", FLAG, AT(memory.target.in), 0, 1},
    {"map_hands_off", FLAG, AT(memory.target.hands_off), 0, 1},
};

#define FIELDS (sizeof fields / sizeof fields[0])

static const char opening[] =
    "# What berkeleyd(8) keeps of this machine's clock from one run to the next.  It is\n"
    "# written anew while the daemon runs.  To start afresh, stop it and remove this file.\n";

static bool integer_allowed(const struct field *field, int64_t value)
{
    return timestamp_valid(value) && (double)value >= field->least && (double)value <= field->most;
}

static bool number_allowed(const struct field *field, double value)
{
    return value >= field->least && value <= field->most;
}

static bool text_allowed(const char *text)
{
    const size_t length = strspn(text, "0123456789abcdef-");

    return length < STATE_BOOT_SIZE && text[length] == '\0';
}

static bool field_allowed(const struct field *field, const struct state *state)
{
    const char *place = (const char *)state + field->place;

    switch (field->kind) {
    case INTEGER:
        return integer_allowed(field, *(const int64_t *)(const void *)place);
    case NUMBER:
        return number_allowed(field, *(const double *)(const void *)place);
    case TEXT:
        return memchr(place, '\0', STATE_BOOT_SIZE) && text_allowed(place);
    case FLAG:
    default:
        return true;
    }
}

/* --- reading --- */

struct reader {
    const char *path;
    char *error;
};

__attribute__((format(printf, 4, 5))) static int refuse(const struct reader *reader, unsigned line,
                                                        const char *key, const char *format, ...)
{
    char place[24] = "", what[STATE_ERROR_SIZE / 2];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (line > 0)
        (void)snprintf(place, sizeof place, ":%u", line);
    (void)snprintf(reader->error, STATE_ERROR_SIZE, "%s%s: %s%s%s", reader->path, place, key,
                   *key ? ": " : "", what);
    return -EINVAL;
}

static const char *allowed(const struct field *field, char text[FOUND_SIZE])
{
    switch (field->kind) {
    case INTEGER:
        (void)snprintf(text, FOUND_SIZE, "an integer with an L at its end, %s",
                       field->least < 0 ? "within +-2^62" : "from 0 to 2^62");
        break;
    case NUMBER:
        (void)snprintf(text, FOUND_SIZE, "a number with a decimal point from %g to %g",
                       field->least, field->most);
        break;
    case TEXT:
        (void)snprintf(text, FOUND_SIZE, "up to %d hexadecimal digits and dashes in quotes",
                       STATE_BOOT_SIZE - 1);
        break;
    case FLAG:
    default:
        return "true or false";
    }
    return text;
}

static const char *found(const config_setting_t *setting, char text[FOUND_SIZE])
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        (void)snprintf(text, FOUND_SIZE, "%lld%s", config_setting_get_int64(setting),
                       config_setting_type(setting) == CONFIG_TYPE_INT64 ? "L" : "");
        return text;
    case CONFIG_TYPE_FLOAT:
        (void)snprintf(text, FOUND_SIZE, "%g", config_setting_get_float(setting));
        return text;
    case CONFIG_TYPE_BOOL:
        return config_setting_get_bool(setting) ? "true" : "false";
    case CONFIG_TYPE_STRING:
        return "another text";
    default:
        return "a group or list";
    }
}

/* False if it is no such thing, or not allowed. */
static bool take_value(const struct field *field, const config_setting_t *setting,
                       struct state *state)
{
    const int type = config_setting_type(setting);
    char *place = (char *)state + field->place;
    const char *text;

    switch (field->kind) {
    case INTEGER:
        /* Without the L libconfig has cut it to 32 bits in silence. */
        if (type != CONFIG_TYPE_INT64)
            return false;
        *(int64_t *)(void *)place = config_setting_get_int64(setting);
        break;
    case NUMBER:
        if (type != CONFIG_TYPE_FLOAT)
            return false;
        *(double *)(void *)place = config_setting_get_float(setting);
        break;
    case FLAG:
        if (type != CONFIG_TYPE_BOOL)
            return false;
        *(bool *)place = config_setting_get_bool(setting) != 0;
        break;
    case TEXT:
    default:
        text = config_setting_get_string(setting);
        if (!text || !text_allowed(text))
            return false;
        memcpy(place, text, strlen(text) + 1);
        break;
    }
    return field_allowed(field, state);
}

static int take_field(const struct reader *reader, const config_setting_t *group,
                      const struct field *field, struct state *state)
{
    const config_setting_t *setting = config_setting_get_member(group, field->key);
    char is[FOUND_SIZE], may_be[FOUND_SIZE];

    if (!setting)
        return refuse(reader, config_setting_source_line(group), field->key,
                      "found nothing; allowed is %s", allowed(field, may_be));
    if (take_value(field, setting, state))
        return 0;
    return refuse(reader, config_setting_source_line(setting), field->key,
                  "found %s; allowed is %s", found(setting, is), allowed(field, may_be));
}

/* Everything is in one group, so that a file that lost its end is none. */
static int take_tree(const struct reader *reader, const config_t *tree, struct state *state)
{
    const config_setting_t *group = config_lookup(tree, GROUP);
    const config_setting_t *version;
    char is[FOUND_SIZE];
    int r = 0;

    if (!group || !config_setting_is_group(group))
        return refuse(reader, 1, GROUP, "found %s; allowed is a group: " GROUP ": { ... };",
                      group ? found(group, is) : "nothing");
    version = config_setting_get_member(group, "version");
    if (!version || config_setting_type(version) != CONFIG_TYPE_INT64 ||
        config_setting_get_int64(version) != VERSION)
        return refuse(reader, config_setting_source_line(version ? version : group), "version",
                      "found %s; allowed is %" PRId64 "L", version ? found(version, is) : "nothing",
                      VERSION);
    for (size_t i = 0; i < FIELDS && r == 0; i++)
        r = take_field(reader, group, &fields[i], state);
    return r;
}

static int parse(const struct reader *reader, const char *text, struct state *state)
{
    config_t tree;
    int r;

    config_init(&tree);
    if (config_read_string(&tree, text))
        r = take_tree(reader, &tree, state);
    else
        r = refuse(reader, (unsigned)config_error_line(&tree), "",
                   "found a %s; allowed is what berkeleyd wrote", config_error_text(&tree));
    config_destroy(&tree);
    return r;
}

/* libconfig reads other files where there is an @, and loses memory over a text that does not
 * end. */
static bool text_plain(const char *text)
{
    bool quoted = false;

    for (; *text; text++) {
        if (*text == '@' || *text == '\\' || (*text == '\n' && quoted))
            return false;
        quoted ^= *text == '"';
    }
    return !quoted;
}

static int refuse_bytes(const struct reader *reader)
{
    return refuse(reader, 0, "",
                  "found a NUL byte, @, \\ or an open \"; allowed is what berkeleyd wrote");
}

/* All of it, as one text. */
static int read_text(const struct reader *reader, int fd, char text[STATE_FILE_MAX + 1])
{
    size_t length = 0;
    ssize_t n;

    do {
        n = read(fd, text + length, STATE_FILE_MAX + 1 - length);
        if (n < 0 && errno != EINTR)
            return -errno;
        length += n > 0 ? (size_t)n : 0;
    } while (n != 0 && length <= STATE_FILE_MAX);
    if (length > STATE_FILE_MAX)
        return refuse(reader, 0, "", "found more than %d bytes; allowed is what berkeleyd wrote",
                      STATE_FILE_MAX);
    text[length] = '\0';
    return strlen(text) == length && text_plain(text) ? 0 : refuse_bytes(reader);
}

static int read_file(const struct reader *reader, char text[STATE_FILE_MAX + 1])
{
    struct stat status;
    int fd = open(reader->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int r;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) < 0)
        r = -errno;
    else if (!S_ISREG(status.st_mode))
        r = refuse(reader, 0, "", "found a directory or device; allowed is a file");
    else
        r = read_text(reader, fd, text);
    (void)close(fd);
    return r;
}

int state_load(const char *path, struct state *state, char error[STATE_ERROR_SIZE])
{
    const struct reader reader = {.path = path, .error = error};
    struct state fresh = {0};
    char *text = malloc(STATE_FILE_MAX + 1);
    int r;

    error[0] = '\0';
    r = text ? read_file(&reader, text) : -ENOMEM;
    if (r == 0)
        r = parse(&reader, text, &fresh);
    if (r == 0)
        *state = fresh;
    else if (r != -ENOENT && !error[0])
        (void)snprintf(error, STATE_ERROR_SIZE, "%s: cannot be read: %s", path, strerror(-r));
    free(text);
    return r;
}

/* --- writing --- */

static void print_field(const struct field *field, const struct state *state, FILE *out)
{
    const char *place = (const char *)state + field->place;

    (void)fprintf(out, "    %s = ", field->key);
    if (field->kind == INTEGER)
        (void)fprintf(out, "%" PRId64 "L;\n", *(const int64_t *)(const void *)place);
    else if (field->kind == NUMBER)
        (void)fprintf(out, "%.9f;\n", *(const double *)(const void *)place);
    else if (field->kind == FLAG)
        (void)fprintf(out, "%s;\n", *(const bool *)place ? "true" : "false");
    else
        (void)fprintf(out, "\"%s\";\n", place);
}

static void print(const struct state *state, FILE *out)
{
    const time_t time_s = state->real_ns / NS_PER_S;
    char date[48] = "never";
    struct tm tm;

    if (state->real_ns > 0 && gmtime_r(&time_s, &tm))
        (void)strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S UTC", &tm);
    (void)fprintf(out, "%s" GROUP ":\n{\n    version = %" PRId64 "L;\n", opening, VERSION);
    (void)fprintf(out, "    # When the clock last was in its group: %s.\n", date);
    for (size_t i = 0; i < FIELDS; i++)
        print_field(&fields[i], state, out);
    (void)fputs("};\n", out);
}

/* On the disk when it returns 0.  The descriptor is closed. */
static int write_file(int fd, const struct state *state)
{
    FILE *out = fdopen(fd, "w");
    int r = 0;

    if (!out) {
        r = -errno;
        (void)close(fd);
        return r;
    }
    errno = 0;
    print(state, out);
    /* There is no secret in it, and people may want to look. */
    if (fflush(out) != 0 || ferror(out) || fchmod(fd, 0644) < 0 || fsync(fd) < 0)
        r = errno > 0 ? -errno : -EIO;
    if (fclose(out) != 0 && r == 0)
        r = -errno;
    return r;
}

/* So that the new name is on the disk as well.  Where a directory cannot be synchronised, the
 * file is whole all the same, old or new. */
static void sync_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
    free(directory);
}

/* One name for all, so that what a killed daemon left there is not there for long. */
static int replace(const char *path, const char *new_path, const struct state *state)
{
    int fd, r;

    if (unlink(new_path) < 0 && errno != ENOENT)
        return -errno;
    fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    r = write_file(fd, state);
    if (r == 0 && rename(new_path, path) < 0)
        r = -errno;
    if (r < 0)
        (void)unlink(new_path);
    else
        sync_directory(path);
    return r;
}

int state_save(const char *path, const struct state *state)
{
    char *new_path;
    int r;

    for (size_t i = 0; i < FIELDS; i++)
        if (!field_allowed(&fields[i], state))
            return -ERANGE;
    if (asprintf(&new_path, "%s.new", path) < 0)
        return -ENOMEM;
    r = replace(path, new_path, state);
    free(new_path);
    return r;
}
