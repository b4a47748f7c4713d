/* SPDX-License-Identifier: BSD-2-Clause */
#include "counters.h"
#include "ctl.h"
#include "keygen.h"
#include "query.h"
#include "status.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define DIRECTORY "/run/berkeley"

enum long_option {
    OPTION_JSON = 256,
};

static const struct option long_options[] = {
    {"socket", required_argument, NULL, 's'},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {0},
};

struct command {
    const char *name, *help;
    void (*show)(struct json_object *answer); /* asks the daemons the word of this name, or */
    int (*run)(int argc, char **argv);        /* has options of its own */
};

static const struct command commands[] = {
    {"status", "what the daemon thinks of its clock and its group", status_show, NULL},
    {"counters", "what it has counted since its start", counters_show, NULL},
    {"keygen", "make, list or remove keys; see berkeleyctl keygen --help", NULL, keygen_main},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static void print_help(void)
{
    fputs("berkeleyctl asks the Berkeley daemon of this machine, and makes its keys.\n"
          "\n"
          "Usage: berkeleyctl [-s PATH] [--json] COMMAND\n"
          "\n",
          stdout);
    for (size_t i = 0; i < COMMANDS; i++)
        (void)printf("  %-19s  %s\n", commands[i].name, commands[i].help);
    fputs("\n"
          "  -s, --socket PATH    a daemon's socket, or the directory of master.sock and\n"
          "                       slave.sock (default " DIRECTORY ")\n"
          "      --json           answers as JSON, one a line\n"
          "  -h, --help           print this and exit\n"
          "  -V, --version        print the version and exit\n"
          "\n"
          "Exit status: 0 done; 1 an error; 3 no daemon runs; 64 wrong usage;\n"
          "77 not permitted: be root or in group berkeley.\n"
          "\n"
          "berkeleyctl(1), berkeleyd(8)\n",
          stdout);
}

static int bad_usage(const char *what, const char *which)
{
    (void)fprintf(stderr, "berkeleyctl: %s%s; see berkeleyctl --help\n", what, which);
    return CTL_BAD_USAGE;
}

/* What was asked for has to have arrived: the file system may be full. */
static int printed(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    (void)fprintf(stderr, "berkeleyctl: cannot write to standard output: %s\n", strerror(errno));
    return CTL_ERROR;
}

/* Up to the first word that is none; true: *code is the program's. */
static bool take_options(int argc, char **argv, struct ctl_options *options, int *code)
{
    int option;

    while ((option = getopt_long(argc, argv, "+s:hV", long_options, NULL)) >= 0) {
        switch (option) {
        case 's':
            options->socket = optarg;
            break;
        case OPTION_JSON:
            options->json = true;
            break;
        case 'h':
            print_help();
            *code = CTL_OK;
            return true;
        case 'V':
            puts("berkeleyctl " BERKELEY_VERSION);
            *code = CTL_OK;
            return true;
        default:
            fputs("See berkeleyctl --help\n", stderr);
            *code = CTL_BAD_USAGE;
            return true;
        }
    }
    return false;
}

static int run(const struct command *command, int argc, char **argv, struct ctl_options *options)
{
    char word[64];
    int code;

    optind = 0; /* getopt_long() starts afresh */
    if (command->run)
        return command->run(argc, argv);
    if (take_options(argc, argv, options, &code))
        return code;
    if (optind < argc)
        return bad_usage("found a word too many: ", argv[optind]);
    (void)snprintf(word, sizeof word, "%s\n", command->name);
    return (int)query_run(options, word, command->show);
}

int main(int argc, char **argv)
{
    struct ctl_options options = {.socket = DIRECTORY};
    int code;

    if (take_options(argc, argv, &options, &code))
        return printed(code);
    if (optind >= argc)
        return bad_usage("a command is needed", "");
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, argv[optind]) == 0)
            return printed(run(&commands[i], argc - optind, argv + optind, &options));
    return bad_usage("no such command: ", argv[optind]);
}
