/* SPDX-License-Identifier: BSD-2-Clause */
#include "clocks.h"
#include "counters.h"
#include "ctl.h"
#include "keygen.h"
#include "now.h"
#include "options.h"
#include "rounds.h"
#include "status.h"
#include "step.h"
#include "text.h"
#include "trace.h"
#include "wait.h"
#include "watch.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct command {
    const char *name, *argument, *help, *more; /* argument: "[N]", NULL: takes none */
    const char *options;
    enum ctl_exit (*run)(const struct ctl_options *options);
    int (*main)(int argc, char **argv); /* or has everything of its own */
};

static const struct command commands[] = {
    {"status", NULL, "print what the daemon thinks of its clock and its group", "",
     OPTIONS_ASKS, status_run, NULL},
    {"clocks", NULL, "list every clock of the group, as its master sees it",
     "A slave does not know the others: ask on the master.\n", OPTIONS_ASKS "Sc", clocks_run, NULL},
    {"rounds", "[N]", "list the last 20 rounds, or N of them (at most 256)", "",
     OPTIONS_ASKS "c", rounds_run, NULL},
    {"watch", NULL, "draw the status and a plot of it anew every second",
     "q leaves.  Where there is no terminal it prints a line each time.\n",
     OPTIONS_ASKS "i", watch_run, NULL},
    {"wait", NULL, "wait until this clock is synchronised",
     "A daemon that does not run yet is waited for as well; a clock in holdover is not\n"
     "synchronised.  Exit status 2 if time ran out.\n",
     OPTIONS_ASKS "mt", wait_run, NULL},
    {"now", NULL, "print the group's time: the earliest and latest that it can be",
     "From the file that berkeleyd publishes it in, if it does, or from the daemon.\n",
     OPTIONS_ASKS "f", now_run, NULL},
    {"counters", NULL, "print what the daemon has counted since its start", "",
     OPTIONS_ASKS, counters_run, NULL},
    {"trace", "on|off", "tell every round in the journal, or no longer",
     "For root.  It ends with the daemon.\n", OPTIONS_ASKS, trace_run, NULL},
    {"step", NULL, "set a clock that is far off, once, before it is first synchronised",
     "For root.  It shows what would be done, and asks.  Without it the clock is slewed.\n",
     OPTIONS_ASKS "yC", step_run, NULL},
    {"keygen", NULL, "make, list or remove keys", NULL, NULL, NULL, keygen_main},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static void print_help(void)
{
    fputs("berkeleyctl asks the Berkeley daemon of this machine, and makes its keys.\n"
          "\n"
          "Usage: berkeleyctl [-s PATH] [--json] COMMAND [OPTION]...\n"
          "\n",
          stdout);
    for (size_t i = 0; i < COMMANDS; i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "%s %s", commands[i].name,
                       commands[i].argument ? commands[i].argument : "");
        (void)printf("  %-19s  %s\n", name, commands[i].help);
    }
    fputs("\nberkeleyctl COMMAND --help tells the options of one.  Those of all but keygen:\n"
          "\n",
          stdout);
    options_print_help(OPTIONS_BEFORE);
    fputs("\n"
          "Exit status: 0 done; 1 an error; 2 time ran out; 3 no daemon runs; 64 wrong usage;\n"
          "77 not permitted: be root or in group berkeley.\n"
          "\n"
          "berkeleyctl(1), berkeleyd(8)\n",
          stdout);
}

static void print_command_help(const struct command *command)
{
    (void)printf("Usage: berkeleyctl %s%s%s [OPTION]...\n"
                 "\n"
                 "%c%s.\n"
                 "%s\n",
                 command->name, command->argument ? " " : "",
                 command->argument ? command->argument : "", toupper(command->help[0]),
                 command->help + 1, command->more);
    options_print_help(command->options);
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

static int run(const struct command *command, int argc, char **argv, struct ctl_options *options)
{
    enum options_result result;
    int words = command->argument ? 1 : 0;

    if (command->main) {
        optind = 0; /* getopt_long() starts afresh */
        return command->main(argc, argv);
    }
    result = options_take(argc, argv, command->options, command->name, options);
    if (result == OPTIONS_HELP)
        print_command_help(command);
    if (result != OPTIONS_TAKEN)
        return result == OPTIONS_HELP ? CTL_OK : CTL_BAD_USAGE;
    if (optind + words < argc)
        return bad_usage("found a word too many: ", argv[optind + words]);
    options->argument = optind < argc ? argv[optind] : NULL;
    return (int)command->run(options);
}

int main(int argc, char **argv)
{
    struct ctl_options options;

    text_open();
    options_default(&options);
    switch (options_take(argc, argv, OPTIONS_BEFORE, NULL, &options)) {
    case OPTIONS_HELP:
        print_help();
        return printed(CTL_OK);
    case OPTIONS_VERSION:
        puts("berkeleyctl " BERKELEY_VERSION);
        return printed(CTL_OK);
    case OPTIONS_TAKEN:
        break;
    case OPTIONS_WRONG:
    default:
        return CTL_BAD_USAGE;
    }
    if (optind >= argc)
        return bad_usage("a command is needed", "");
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, argv[optind]) == 0)
            return printed(run(&commands[i], argc - optind, argv + optind, &options));
    return bad_usage("no such command: ", argv[optind]);
}
