/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include "daemon/duration.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "run SCENARIO [OPTION]...: simulates a group of clocks and checks what comes out.\n"
    "SCENARIO is a name (see --list) or a file.  Durations have units: \"90 s\", \"1.5 h\";\n"
    "a number alone counts seconds.\n"
    "\n"
    "  --seed N         the dice (1); the same seed gives the same run\n"
    "  --seeds A-B      one run for each of these, a line each\n"
    "  --nodes N        clocks, the master included\n"
    "  --length S       simulated time\n"
    "  --settle S       figures are taken from here on\n"
    "  --interval S     from one round to the next\n"
    "  --exchanges N    in each round\n"
    "  --wander W       random walk of each clock's frequency: sd after one second (1e-9)\n"
    "  --set KEY=VALUE  any other key of a scenario file, e.g. path.queue=1ms\n"
    "  --csv FILE       a row each second (\"-\": standard output)\n"
    "  --step S         a row each S\n"
    "  --plot FILE.png  every clock's error and the spread, by gnuplot\n"
    "  --text           the spread over time, here\n"
    "  --figures        one line of figures between tabs, without units: name, seed, ok or\n"
    "                   broken, rms, p99 and largest spread [us], convergence [s], bounds that\n"
    "                   were wrong, backward steps, slews too fast, median bound / p99 error,\n"
    "                   largest spread since all were in [us], shift [us], overshoot\n"
    "  --quiet          nothing but what broke a limit\n"
    "  --list           the scenarios there are (with --faults: those of faults alone)\n"
    "\n"
    "Exit status: 0 all limits kept, 1 one was broken, 2 usage, 78 a bad scenario.\n";

enum choice {
    OPTION_SEED = 1000,
    OPTION_SEEDS,
    OPTION_CSV,
    OPTION_STEP,
    OPTION_PLOT,
    OPTION_TEXT,
    OPTION_FIGURES,
    OPTION_QUIET,
    OPTION_LIST,
    OPTION_FAULTS,
    OPTION_SET,
    OPTION_HELP,
    OPTION_KEY, /* and beyond: keys of the scenario */
};

static const char *const keys[] = {"nodes",    "exchanges", "clock.wander",
                                   "interval", "length",    "settle"};
#define FIRST_DURATION 3

static const struct option options_long[] = {
    {"seed", required_argument, NULL, OPTION_SEED},
    {"seeds", required_argument, NULL, OPTION_SEEDS},
    {"csv", required_argument, NULL, OPTION_CSV},
    {"step", required_argument, NULL, OPTION_STEP},
    {"plot", required_argument, NULL, OPTION_PLOT},
    {"text", no_argument, NULL, OPTION_TEXT},
    {"figures", no_argument, NULL, OPTION_FIGURES},
    {"quiet", no_argument, NULL, OPTION_QUIET},
    {"list", no_argument, NULL, OPTION_LIST},
    {"faults", no_argument, NULL, OPTION_FAULTS},
    {"set", required_argument, NULL, OPTION_SET},
    {"help", no_argument, NULL, OPTION_HELP},
    {"nodes", required_argument, NULL, OPTION_KEY},
    {"exchanges", required_argument, NULL, OPTION_KEY + 1},
    {"wander", required_argument, NULL, OPTION_KEY + 2},
    {"interval", required_argument, NULL, OPTION_KEY + 3},
    {"length", required_argument, NULL, OPTION_KEY + 4},
    {"settle", required_argument, NULL, OPTION_KEY + 5},
    {NULL, 0, NULL, 0},
};

static bool parse_seed(const char *text, const char **end, uint64_t *seed)
{
    char *behind;

    if (!(*text >= '0' && *text <= '9'))
        return false;
    errno = 0;
    *seed = strtoull(text, &behind, 10);
    *end = behind;
    return errno == 0;
}

static bool take_seeds(struct options *options, const char *text, bool several)
{
    const char *end = text;

    if (!parse_seed(text, &end, &options->first_seed))
        return false;
    options->last_seed = options->first_seed;
    if (several && *end == '-' && !parse_seed(end + 1, &end, &options->last_seed))
        return false;
    return *end == '\0' && options->first_seed <= options->last_seed;
}

static bool is_bare(const char *text)
{
    return text[strspn(text, "0123456789.")] == '\0';
}

/* A duration with its unit: the caller's to free. */
static char *with_unit(const char *key, const char *text)
{
    char *made;

    if (asprintf(&made, "%s%s%s%s", key ? key : "", key ? "=" : "", text,
                 is_bare(text) ? " s" : "") < 0)
        return NULL;
    return made;
}

static bool take_step(struct options *options, const char *text)
{
    char *whole = with_unit(NULL, text);
    const bool good = whole && duration_parse(whole, &options->step_ns) == 0 &&
                      options->step_ns > 0;

    free(whole);
    return good;
}

static bool take_key(struct options *options, size_t n, const char *text)
{
    char *made = NULL;

    if (options->change_count == OPTIONS_CHANGES_MAX || n >= sizeof(keys) / sizeof(keys[0]))
        return false;
    if (n >= FIRST_DURATION)
        made = with_unit(keys[n], text);
    else if (asprintf(&made, "%s=%s", keys[n], text) < 0)
        made = NULL;
    if (!made)
        return false;
    options->made[options->made_count++] = made;
    options->changes[options->change_count++] = made;
    return true;
}

static bool take_switch(struct options *options, int option)
{
    switch (option) {
    case OPTION_TEXT:
        return options->text = true;
    case OPTION_FIGURES:
        return options->figures = true;
    case OPTION_QUIET:
        return options->quiet = true;
    case OPTION_LIST:
        return options->list = true;
    case OPTION_FAULTS:
        return options->faults = true;
    default:
        return false;
    }
}

static bool take(struct options *options, int option, const char *text)
{
    switch (option) {
    case OPTION_SEED:
    case OPTION_SEEDS:
        return take_seeds(options, text, option == OPTION_SEEDS);
    case OPTION_CSV:
        return *(options->csv = text) != '\0';
    case OPTION_PLOT:
        return *(options->png = text) != '\0';
    case OPTION_STEP:
        return take_step(options, text);
    case OPTION_SET:
        if (options->change_count == OPTIONS_CHANGES_MAX)
            return false;
        options->changes[options->change_count++] = text;
        return true;
    default:
        if (option >= OPTION_KEY)
            return take_key(options, (size_t)(option - OPTION_KEY), text);
        return take_switch(options, option);
    }
}

static int refuse(const char *what, const char *found)
{
    (void)fprintf(stderr, "%s%s%s; --help tells what there is\n", what, found ? ": found " : "",
                  found ? found : "");
    return 1 + EXIT_USAGE;
}

int options_parse(struct options *options, int argc, char *argv[])
{
    int option, index = 0;

    *options = (struct options){.first_seed = 1, .last_seed = 1, .step_ns = 1000000000};
    while ((option = getopt_long(argc, argv, "", options_long, &index)) != -1) {
        if (option == '?')
            return 1 + EXIT_USAGE;
        if (option == OPTION_HELP) {
            (void)fputs(help, stdout);
            return 1;
        }
        if (!take(options, option, optarg)) {
            (void)fprintf(stderr, "--%s: ", options_long[index].name);
            return refuse("not a value for it", optarg);
        }
    }
    if (options->list)
        return optind == argc ? 0 : refuse("one word too many", argv[optind]);
    if (optind == argc)
        return refuse("no scenario named", NULL);
    if (optind + 1 < argc)
        return refuse("one scenario at a time", argv[optind + 1]);
    options->scenario = argv[optind];
    if (options->first_seed != options->last_seed && (options->csv || options->png))
        return refuse("--csv and --plot are for one seed", NULL);
    return 0;
}

void options_free(struct options *options)
{
    for (size_t i = 0; i < options->made_count; i++)
        free(options->made[i]);
}
