/* SPDX-License-Identifier: BSD-2-Clause */
#include "keygen.h"

#include "daemon/keyring_file.h"
#include "daemon/keyring_parse.h"
#include "keygen_file.h"
#include "keygen_text.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#ifndef KEY_FILE
#define KEY_FILE "/etc/berkeley.key"
#endif

enum command { CREATE, ADD, REMOVE, LIST };

struct options {
    enum command command;
    unsigned commands; /* how many were given */
    bool to_stdout, help;
    const char *file;
    const char *victim;   /* of REMOVE */
    const char *identity; /* NULL: of the date */
    const char *name;     /* NULL: a key for everybody */
};

/* A key file that is there, as its lock found it. */
struct old {
    char path[PATH_MAX]; /* symbolic links followed: what is to be replaced is the file */
    int lock;
    struct keyring_file file;
    struct keyring *ring;
};

static const char opening[] =
    "# Keys of a Berkeley group, one a line: IDENTITY KEY [NAME]; see berkeley.key(5).\n";

static const char usage[] =
    "Usage: berkeleyctl keygen [OPTION]...\n"
    "Makes, lists and takes out the keys by which machines of a group know each other.\n"
    "\n"
    "  (no command)     write a new file with one random key; never over one that is there\n"
    "  --add            put a random key first in the file, and keep the others\n"
    "  --remove ID      take the key of this identity out of the file\n"
    "  --list           print identities, and the names of keys that one machine may use\n"
    "  --stdout         print the line of the new key, for a pipe; without --add no file is "
    "written\n"
    "\n"
    "  --file FILE      the key file (" KEY_FILE ")\n"
    "  --identity ID    of the new key (of the date)\n"
    "  --name NAME      only the machine of this name may use the new key\n"
    "  --help           this text\n"
    "\n"
    "Exit codes: 0, 64 usage, 77 permission, 78 the file that is there is no good, 1 else.\n";

static int fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fail(int code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fputs("berkeleyctl keygen: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    return code;
}

static int fail_errno(int error, const char *what, const char *path)
{
    const bool permission = error == -EACCES || error == -EPERM || error == -EROFS;

    return fail(permission ? EX_NOPERM : EXIT_FAILURE, "%s: %s: %s", path, what, strerror(-error));
}

static int fail_load(int error, const char *line)
{
    const bool bad = error == -EINVAL || error == -EPERM;

    return fail(error == -EACCES ? EX_NOPERM : bad ? EX_CONFIG : EXIT_FAILURE, "%s", line);
}

static void old_close(struct old *old)
{
    keyring_free(old->ring);
    if (old->file.text)
        keyring_file_free(&old->file);
    if (old->lock >= 0)
        (void)close(old->lock);
}

static int old_read(struct old *old)
{
    char line[KEYRING_ERROR_SIZE];
    int r = keyring_file_read(old->path, &old->file, line);

    if (r == 0)
        r = keyring_parse(old->path, old->file.text, old->file.length, &old->ring, line);
    return r < 0 ? fail_load(r, line) : 0;
}

/* 0 or an exit code, said why.  To be closed either way. */
static int old_open(const char *path, bool to_change, struct old *old)
{
    *old = (struct old){.lock = -1};
    /* What cannot be followed is told by the one who opens it. */
    if (!realpath(path, old->path) &&
        (size_t)snprintf(old->path, sizeof old->path, "%s", path) >= sizeof old->path)
        return fail_errno(-ENAMETOOLONG, "cannot be opened", path);
    if (to_change) {
        old->lock = keygen_file_lock(old->path);
        if (old->lock < 0)
            return fail_errno(old->lock, "its directory cannot be locked", old->path);
    }
    return old_read(old);
}

/* "2026-11-23", or "2026-11-23-2" where that is taken. */
static void identity_of_date(const struct keyring *ring, char identity[KEYRING_NAME_SIZE])
{
    const time_t now = time(NULL);
    struct tm date = {.tm_mday = 1};
    size_t length;

    (void)localtime_r(&now, &date);
    length = strftime(identity, KEYRING_NAME_SIZE, "%Y-%m-%d", &date);
    for (unsigned n = 2; ring && keyring_find(ring, identity); n++)
        (void)snprintf(identity + length, KEYRING_NAME_SIZE - length, "-%u", n);
}

static int make_line(const struct options *options, const struct keyring *ring,
                     char identity[KEYRING_NAME_SIZE], struct keygen_text *line)
{
    int r;

    if (options->identity)
        (void)snprintf(identity, KEYRING_NAME_SIZE, "%s", options->identity);
    else
        identity_of_date(ring, identity);
    r = keygen_text_line(identity, options->name, line);
    return r < 0 ? fail(EXIT_FAILURE, "no random key: %s", strerror(-r)) : 0;
}

static int print_line(const struct keygen_text *line)
{
    const int r = keygen_file_put(STDOUT_FILENO, line);

    return r < 0 ? fail_errno(r, "cannot be written", "standard output") : 0;
}

static struct stat new_status(void)
{
    struct stat status = {.st_uid = geteuid(), .st_gid = getegid(), .st_mode = 0600};

    if (status.st_uid != 0)
        return status;
    status.st_gid = keyring_file_group();
    status.st_mode = status.st_gid != 0 ? 0640 : 0600;
    return status;
}

static int print_only(const struct options *options)
{
    struct keygen_text line = {.bytes = NULL};
    char identity[KEYRING_NAME_SIZE];
    int r = make_line(options, NULL, identity, &line);

    if (r == 0)
        r = print_line(&line);
    keygen_text_free(&line);
    return r;
}

static int fail_write(int error, const char *path)
{
    if (error == -EEXIST)
        return fail(EXIT_FAILURE,
                    "%s: is there already; --add puts a new key first in it and keeps the others",
                    path);
    return fail_errno(error, "cannot be written", path);
}

static int create(const struct options *options)
{
    const struct stat status = new_status();
    struct keygen_text line = {.bytes = NULL}, text = {.bytes = NULL};
    char identity[KEYRING_NAME_SIZE];
    int r = make_line(options, NULL, identity, &line);

    if (r == 0 && keygen_text_insert(opening, sizeof opening - 1, &line, &text) < 0)
        r = fail(EXIT_FAILURE, "out of memory");
    if (r == 0) {
        r = keygen_file_write(options->file, &text, &status, false);
        r = r < 0 ? fail_write(r, options->file) : 0;
    }
    if (r == 0)
        (void)printf("%s: written, with the new key \"%s\"; mode %04o.\n"
                     "Next: put the same file on every machine of the group, over ssh, and reload "
                     "berkeleyd on each.\n",
                     options->file, identity, (unsigned)status.st_mode);
    keygen_text_free(&text);
    keygen_text_free(&line);
    return r;
}

/* Whatever is written can be read again. */
static int replace(const struct old *old, const struct keygen_text *text)
{
    char line[KEYRING_ERROR_SIZE];
    struct keyring *ring;
    int r = keyring_parse(old->path, text->bytes, text->length, &ring, line);

    if (r < 0)
        return fail(EXIT_FAILURE, "not written: the new %s", line);
    keyring_free(ring);
    r = keygen_file_write(old->path, text, &old->file.status, true);
    return r < 0 ? fail_write(r, old->path) : 0;
}

static void tell_added(const struct options *options, const char *path, const char *identity)
{
    FILE *out = options->to_stdout ? stderr : stdout;

    (void)fprintf(out, "%s: the new key \"%s\" is first; the others stay valid.\n", path, identity);
    if (options->name)
        (void)fprintf(out,
                      "Next: reload berkeleyd here; the line of the new key is for the machine "
                      "\"%s\", and no other.\n",
                      options->name);
    else
        (void)fputs("Next: reload the master; give each slave the new key first, and reload it;\n"
                    "then --remove the old key on the master, and reload it again.\n",
                    out);
}

static int add(const struct options *options)
{
    struct old old;
    struct keygen_text line = {.bytes = NULL}, text = {.bytes = NULL};
    char identity[KEYRING_NAME_SIZE];
    int r = old_open(options->file, true, &old);

    if (r == 0 && options->identity && keyring_find(old.ring, options->identity))
        r = fail(EXIT_FAILURE, "%s: has the identity \"%s\" already", old.path, options->identity);
    if (r == 0)
        r = make_line(options, old.ring, identity, &line);
    if (r == 0 && keygen_text_insert(old.file.text, old.file.length, &line, &text) < 0)
        r = fail(EXIT_FAILURE, "out of memory");
    if (r == 0)
        r = replace(&old, &text);
    if (r == 0)
        tell_added(options, old.path, identity);
    if (r == 0 && options->to_stdout)
        r = print_line(&line);
    keygen_text_free(&text);
    keygen_text_free(&line);
    old_close(&old);
    return r;
}

static int remove_from(const struct old *old, const char *identity)
{
    struct keygen_text text;
    int r;

    if (!keyring_find(old->ring, identity))
        return fail(EXIT_FAILURE, "%s: has no identity \"%s\"; --list prints those it has",
                    old->path, identity);
    if (keyring_count(old->ring) == 1)
        return fail(EXIT_FAILURE, "%s: \"%s\" is the only key; --add another one first", old->path,
                    identity);
    r = keygen_text_remove(old->file.text, old->file.length, identity, &text);
    if (r < 0)
        return fail(EXIT_FAILURE, "%s: %s", old->path, strerror(-r));
    r = replace(old, &text);
    keygen_text_free(&text);
    return r;
}

static int take_out(const struct options *options)
{
    struct old old;
    int r = old_open(options->file, true, &old);

    if (r == 0)
        r = remove_from(&old, options->victim);
    if (r == 0)
        (void)printf("%s: the key \"%s\" is taken out.\n"
                     "Next: reload berkeleyd here; connections with this key are closed then.\n",
                     old.path, options->victim);
    old_close(&old);
    return r;
}

static int list(const struct options *options)
{
    const struct key *key;
    struct old old;
    const int r = old_open(options->file, false, &old);

    for (size_t n = 0; r == 0 && (key = keyring_at(old.ring, n)); n++)
        (void)printf("%s%s%s\n", key->identity, key->name[0] ? " " : "", key->name);
    old_close(&old);
    return r;
}

static bool take_option(int option, struct options *options)
{
    switch (option) {
    case 'a':
    case 'r':
    case 'l':
        options->command = option == 'a' ? ADD : option == 'r' ? REMOVE : LIST;
        options->commands++;
        if (option == 'r')
            options->victim = optarg;
        return true;
    case 'f':
        options->file = optarg;
        return true;
    case 'i':
        options->identity = optarg;
        return true;
    case 'n':
        options->name = optarg;
        return true;
    case 's':
        return options->to_stdout = true;
    case 'h':
        return options->help = true;
    default:
        return false;
    }
}

static const char *read_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"add", no_argument, NULL, 'a'},
        {"remove", required_argument, NULL, 'r'},
        {"list", no_argument, NULL, 'l'},
        {"file", required_argument, NULL, 'f'},
        {"identity", required_argument, NULL, 'i'},
        {"name", required_argument, NULL, 'n'},
        {"stdout", no_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    optind = 0; /* the program may have read options of its own */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+h", known, NULL)) != -1) {
        if (!take_option(option, options))
            return "unknown option, or one that lacks its argument";
    }
    return optind < argc ? "unknown word" : NULL;
}

static const char *check_options(const struct options *options)
{
    const bool makes = options->command == CREATE || options->command == ADD;

    if (options->commands > 1)
        return "--add, --remove and --list exclude each other";
    if (!makes && (options->identity || options->name || options->to_stdout))
        return "--identity, --name and --stdout are for new keys";
    if (options->identity && !keyring_parse_is_word(options->identity))
        return "an identity has 1 to 63 printable ASCII characters, no blanks, and does not begin "
               "with '#'";
    if (options->name && !keyring_parse_is_word(options->name))
        return "a name has 1 to 63 printable ASCII characters, no blanks, and does not begin "
               "with '#'";
    if (options->to_stdout && isatty(STDOUT_FILENO))
        return "--stdout prints a secret, and standard output is a terminal: lead it into a pipe";
    return NULL;
}

static int obey(const struct options *options)
{
    switch (options->command) {
    case ADD:
        return add(options);
    case REMOVE:
        return take_out(options);
    case LIST:
        return list(options);
    case CREATE:
    default:
        return options->to_stdout ? print_only(options) : create(options);
    }
}

int keygen_main(int argc, char **argv)
{
    struct options options = {.file = KEY_FILE};
    const char *complaint = read_options(argc, argv, &options);

    if (!complaint && !options.help)
        complaint = check_options(&options);
    if (complaint)
        return fail(EX_USAGE, "%s; see berkeleyctl keygen --help", complaint);
    if (!options.help)
        return obey(&options);
    (void)fputs(usage, stdout);
    return 0;
}
