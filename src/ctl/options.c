/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include "daemon/duration.h"
#include "daemon/journal_escape.h"
#include "field.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const struct known {
    char letter;
    bool is_short; /* the letter is an option as well */
    const char *name, *argument, *help;
} table[] = {
    {'s', true, "socket", "PATH",
     "a daemon's socket, or the directory of master.sock and\n"
     "slave.sock (default " OPTIONS_DIRECTORY ")"},
    {'j', false, "json", NULL, "the answer as JSON, on one line"},
    {'S', false, "sort", "KEY", "sort by this column; -KEY: the greatest first"},
    {'c', false, "color", "WHEN", "auto (on a terminal, the default), always or never"},
    {'i', false, "interval", "TIME", "look so often (default 1 s, least 100 ms)"},
    {'m', false, "max-error", "TIME", "and until the bound is no greater than this"},
    {'t', false, "timeout", "TIME", "give up after this (default: never; \"0 s\": one look)"},
    {'f', false, "file", "FILE",
     "the file that berkeleyd publishes the time in\n"
     "(default: clockbound beside the sockets, if it is there)"},
    {'y', false, "yes", NULL, "do it without asking"},
    {'C', false, "clock", "PATH",
     "the socket of berkeleyd --clock (default\n"
     "/run/berkeley-clock/ROLE; with --socket: none)"},
    {'h', true, "help", NULL, "print this and exit"},
    {'V', true, "version", NULL, "print the version and exit"},
};

#define KNOWN (sizeof table / sizeof table[0])
#define LETTERS (2 * KNOWN + 5)

void options_default(struct ctl_options *options)
{
    *options = (struct ctl_options){
        .socket = OPTIONS_DIRECTORY,
        .interval_ns = 1000000000,
        .max_error_ns = INT64_MAX,
        .timeout_ns = INT64_MAX,
    };
}

static bool take_duration(const char *name, int64_t least_ns, int64_t *ns)
{
    int64_t value;

    if (duration_parse(optarg, &value) == 0 && value >= least_ns) {
        *ns = value;
        return true;
    }
    (void)fprintf(stderr, "berkeleyctl: --%s: found \"%s\"; allowed is " DURATION_ALLOWED "%s\n",
                  name, optarg, least_ns > 0 ? ", from 100 ms" : "");
    return false;
}

static bool take_color(enum ctl_color *color)
{
    static const char *const words[] = {
        [COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never"};

    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i], optarg) == 0) {
            *color = i;
            return true;
        }
    (void)fprintf(stderr,
                  "berkeleyctl: --color: found \"%s\"; allowed is auto, always or never\n",
                  optarg);
    return false;
}

static bool take_one(int letter, struct ctl_options *options)
{
    switch (letter) {
    case 's':
        options->socket = optarg;
        return true;
    case 'j':
        return options->json = true;
    case 'S':
        options->sort = optarg;
        return true;
    case 'c':
        return take_color(&options->color);
    case 'i':
        return take_duration("interval", 100000000, &options->interval_ns);
    case 'm':
        return take_duration("max-error", 0, &options->max_error_ns);
    case 't':
        return take_duration("timeout", 0, &options->timeout_ns);
    case 'f':
        options->file = optarg;
        return true;
    case 'y':
        return options->yes = true;
    case 'C':
        options->clock = optarg;
        return true;
    default:
        return false;
    }
}

/* getopt_long()'s view of the table. */
static void describe(const char *letters, bool before, struct option known[KNOWN + 1],
                     char shorts[LETTERS])
{
    size_t used = 0, count = 0;

    if (before)
        shorts[used++] = '+';
    shorts[used++] = ':'; /* tells the one that lacks its argument */
    for (size_t i = 0; i < KNOWN; i++) {
        if (!strchr(letters, table[i].letter))
            continue;
        known[count++] = (struct option){
            table[i].name, table[i].argument ? required_argument : no_argument, NULL,
            table[i].letter};
        if (!table[i].is_short)
            continue;
        shorts[used++] = table[i].letter;
        if (table[i].argument)
            shorts[used++] = ':';
    }
    known[count] = (struct option){NULL, 0, NULL, 0};
    shorts[used] = '\0';
}

static void complain(int letter, const char *word, const char *command)
{
    const char letters[] = {'-', (char)optopt, '\0'};
    char shown[FIELD_SIZE];

    journal_escape(strncmp(word, "--", 2) == 0 ? word : letters, shown, sizeof shown);
    (void)fprintf(stderr, "berkeleyctl: %s %s; see berkeleyctl %s%s--help\n", shown,
                  letter == ':' ? "needs an argument" : "is no option here", command ? command : "",
                  command ? " " : "");
}

enum options_result options_take(int argc, char **argv, const char *letters, const char *command,
                                 struct ctl_options *options)
{
    struct option known[KNOWN + 1];
    char shorts[LETTERS];
    int letter;

    describe(letters, command == NULL, known, shorts);
    optind = opterr = 0; /* getopt_long() starts afresh, and we do the talking */
    while ((letter = getopt_long(argc, argv, shorts, known, NULL)) >= 0) {
        if (letter == 'h')
            return OPTIONS_HELP;
        if (letter == 'V')
            return OPTIONS_VERSION;
        if (letter == '?' || letter == ':')
            complain(letter, argv[optind - 1], command);
        if (letter == '?' || letter == ':' || !take_one(letter, options))
            return OPTIONS_WRONG;
    }
    return OPTIONS_TAKEN;
}

static void print_line(const struct known *known)
{
    char name[32];
    const char *text = known->help;

    (void)snprintf(name, sizeof name, "--%s%s%s", known->name, known->argument ? " " : "",
                   known->argument ? known->argument : "");
    if (known->is_short)
        (void)printf("  -%c, %-16s  ", known->letter, name);
    else
        (void)printf("      %-16s  ", name);
    for (const char *end; (end = strchr(text, '\n')); text = end + 1)
        (void)printf("%.*s\n%24s", (int)(end - text), text, "");
    puts(text);
}

void options_print_help(const char *letters)
{
    for (size_t i = 0; i < KNOWN; i++)
        if (strchr(letters, table[i].letter))
            print_line(&table[i]);
}
