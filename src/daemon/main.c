/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/daemon_clock.h"
#include "daemon/daemon_clock_server.h"
#include "daemon/daemon_keys.h"
#include "daemon/journal.h"
#include "daemon/message_ids.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum job {
    JOB_RUN,
    JOB_CHECK,
    JOB_PRINT,
    JOB_SAMPLE,
    JOB_CLOCK,
    JOB_TIDY,
    JOB_HELP,
    JOB_VERSION,
};

struct command {
    enum job job;
    struct daemon_options options;
};

enum long_option {
    OPTION_CHECK = 256,
    OPTION_PRINT,
    OPTION_SAMPLE,
    OPTION_OBSERVE,
    OPTION_CLOCK,
    OPTION_TIDY,
};

static const struct option long_options[] = {
    {"master", no_argument, NULL, 'm'},
    {"slave", no_argument, NULL, 's'},
    {"config", required_argument, NULL, 'c'},
    {"observe", no_argument, NULL, OPTION_OBSERVE},
    {"verbose", no_argument, NULL, 'v'},
    {"quiet", no_argument, NULL, 'q'},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"print-config", no_argument, NULL, OPTION_PRINT},
    {"print-sample", no_argument, NULL, OPTION_SAMPLE},
    {"clock", no_argument, NULL, OPTION_CLOCK},
    {"tidy", no_argument, NULL, OPTION_TIDY},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {0},
};

static void print_help(void)
{
    fputs("berkeleyd keeps the clocks of a group of machines on one common time.\n"
          "One machine runs it as the master, the others as slaves.\n"
          "\n"
          "Usage: berkeleyd --master|--slave [-c FILE] [--observe] [-v|-q]\n"
          "       berkeleyd --clock [-c FILE] [-v|-q]\n"
          "       berkeleyd --check|--print-config [-c FILE]\n"
          "\n"
          "  -m, --master         ask every slave for its time and tell each its correction\n"
          "  -s, --slave          answer the master and follow its corrections\n"
          "  -c, --config FILE    configuration file (default " CONFIG_FILE ")\n"
          "      --observe        measure and report, never touch the clock\n"
          "  -v, --verbose        log every round\n"
          "  -q, --quiet          log warnings and errors only\n"
          "      --check          check the configuration and exit\n"
          "      --print-config   print the settings in force and exit\n"
          "      --print-sample   print the commented sample configuration and exit\n"
          "      --clock          set the clock for a daemon that has no right to, within limits;\n"
          "                       the units start it\n"
          "      --tidy           after a crash, put the clock's slew, tick and status right,\n"
          "                       and exit; the units do it\n"
          "  -h, --help           print this and exit\n"
          "  -V, --version        print the version and exit\n"
          "\n"
          "Exit status: 0 stopped as told; 1 an error at run time; 64 wrong usage;\n"
          "77 not permitted; 78 wrong configuration; 80 panic: a correction beyond\n"
          "clock.panic_threshold, a person has to look.\n"
          "\n"
          "Started by systemctl enable --now berkeley-master (or berkeley-slave), asked by\n"
          "berkeleyctl status.  More: berkeleyd(8), berkeley.conf(5), berkeleyctl(1).\n",
          stdout);
}

static int bad_usage(const char *what)
{
    fprintf(stderr, "berkeleyd: %s; see berkeleyd --help\n", what);
    return EXIT_BAD_USAGE;
}

static int set_role(struct command *command, const struct role *role)
{
    if (command->options.role && command->options.role != role)
        return bad_usage("--master and --slave exclude each other");
    command->options.role = role;
    return 0;
}

static int take_option(struct command *command, int option)
{
    switch (option) {
    case 'm':
        return set_role(command, &role_master);
    case 's':
        return set_role(command, &role_slave);
    case 'c':
        command->options.config_path = optarg;
        return 0;
    case 'v':
        command->options.log_level = LOG_DEBUG;
        return 0;
    case 'q':
        command->options.log_level = LOG_WARNING;
        return 0;
    case OPTION_OBSERVE:
        command->options.observe = true;
        return 0;
    case OPTION_CHECK:
        command->job = JOB_CHECK;
        return 0;
    case OPTION_PRINT:
        command->job = JOB_PRINT;
        return 0;
    case OPTION_SAMPLE:
        command->job = JOB_SAMPLE;
        return 0;
    case OPTION_CLOCK:
        command->job = JOB_CLOCK;
        return 0;
    case OPTION_TIDY:
        command->job = JOB_TIDY;
        return 0;
    case 'h':
        command->job = JOB_HELP;
        return 0;
    case 'V':
        command->job = JOB_VERSION;
        return 0;
    default:
        fputs("See berkeleyd --help\n", stderr);
        return EXIT_BAD_USAGE;
    }
}

static int parse(int argc, char **argv, struct command *command)
{
    int option, r;

    *command = (struct command){.options = {.config_path = CONFIG_FILE, .log_level = -1}};
    while ((option = getopt_long(argc, argv, "msc:vqhV", long_options, NULL)) >= 0) {
        r = take_option(command, option);
        if (r != 0)
            return r;
        if (command->job == JOB_HELP || command->job == JOB_VERSION)
            return 0;
    }
    if (optind < argc) {
        fprintf(stderr, "berkeleyd: \"%s\" is not an option; see berkeleyd --help\n", argv[optind]);
        return EXIT_BAD_USAGE;
    }
    if (command->job == JOB_RUN && !command->options.role)
        return bad_usage("one of --master and --slave is needed");
    return 0;
}

/* What was asked for has to have arrived: the file system may be full. */
static int printed(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_OK;
    fprintf(stderr, "berkeleyd: cannot write to standard output: %s\n", strerror(errno));
    return EXIT_ERROR;
}

/* What can be known of the keys.  Without a role: the file has to be good, and, where there is none,
 * neither role may need one; whom its keys are for matters to a slave only. */
static int check_keys(const struct command *command, const struct config *config)
{
    const struct role *const roles[] = {&role_master, &role_slave};
    bool found = false;
    int r = 0;

    for (size_t i = 0; i < sizeof roles / sizeof roles[0] && r == 0 && !found; i++) {
        struct keyring *keyring;

        if (command->options.role && command->options.role != roles[i])
            continue;
        r = daemon_keys_load(config, roles[i]->master, &keyring);
        found = keyring != NULL;
        keyring_free(keyring);
    }
    return r == -EACCES ? EXIT_PERMISSION : r < 0 ? EXIT_BAD_CONFIG : EXIT_OK;
}

static int check(const struct command *command, const struct config *config)
{
    int code;

    journal_set_level(LOG_WARNING);
    code = check_keys(command, config);
    if (code == EXIT_OK)
        printf("%s: valid\n", command->options.config_path);
    return code == EXIT_OK ? printed() : code;
}

/* After the loading: what is done with it. */
static int do_job(const struct command *command, const struct config *config)
{
    switch (command->job) {
    case JOB_CHECK:
        return check(command, config);
    case JOB_PRINT:
        config_print(config, stdout);
        return printed();
    case JOB_CLOCK:
        return daemon_clock_serve(command->options.config_path, config);
    case JOB_TIDY:
        return daemon_clock_tidy(config) < 0 ? EXIT_ERROR : EXIT_OK;
    default:
        return daemon_run(&command->options, config);
    }
}

static int load(const struct command *command, struct config *config)
{
    char error[CONFIG_ERROR_SIZE];
    int r = config_load(command->options.config_path, config, error);

    if (r == 0)
        return 0;
    journal_say(LOG_ERR, &(struct journal_fields){.message_id = MESSAGE_CONFIG_BAD}, "%s", error);
    return r == -EACCES ? EXIT_PERMISSION : EXIT_BAD_CONFIG;
}

/* If standard error were closed, what is opened next, a clock's file or a
 * connection, would be in its place and get the lines meant for it. */
static void open_standard_streams(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    struct command command;
    struct config config;
    int code;

    open_standard_streams();
    code = parse(argc, argv, &command);
    if (code != 0)
        return code;
    switch (command.job) {
    case JOB_HELP:
        print_help();
        return EXIT_OK;
    case JOB_VERSION:
        puts("berkeleyd " BERKELEY_VERSION);
        return EXIT_OK;
    case JOB_SAMPLE:
        config_sample(stdout);
        return printed();
    default:
        break;
    }
    journal_open(LOG_INFO);
    code = load(&command, &config);
    if (code != 0)
        return code;
    journal_set_level(command.options.log_level >= 0 ? command.options.log_level
                                                     : config.log_level);
    return do_job(&command, &config);
}
