/* SPDX-License-Identifier: BSD-2-Clause */
/* berkeleyctl keygen as it is run: the files it leaves, what it says, and what it never says. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/keyring.h"
#include "harness_part.h"

#define SECONDS 10
#define TEXT_SIZE 4096
#define HEX 64
#define STRANGER 4003

#define OLD                                                                                     \
    "# Head\r\n\n"                                                                              \
    "one 00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210\r\n"                  \
    "  # two's\n\ttwo  8C1F5A0BE72D94C36FA1E05B7D283946C7FE10A95D34B286013FCE4A79D5B862 db1 \n" \
    "three f00dcafe5eed5a17d1ceb0a710ca7e5c0ffee15c01dfacadefaced0b5e55ed42"

/* `arguments` are words with one blank between them. */
static struct process *start(struct harness *harness, const char *arguments)
{
    static char words[512];
    const char *list[16] = {"keygen"};
    const char *const environment[] = {"TZ=UTC", NULL};
    size_t count = 1;

    (void)snprintf(words, sizeof words, "%s", arguments);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        list[count++] = word;
    return process_spawn(
        harness,
        &(struct process_options){.program = harness_built(harness, "BERKELEYCTL", "berkeleyctl"),
                                  .arguments = list,
                                  .environment = environment});
}

static struct process *run(struct harness *harness, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static struct process *run(struct harness *harness, int code, const char *format, ...)
{
    char arguments[512];
    struct process *process;
    va_list list;
    int r;

    va_start(list, format);
    (void)vsnprintf(arguments, sizeof arguments, format, list);
    va_end(list);
    process = start(harness, arguments);
    r = process_wait_exit(process, SECONDS);
    if (r != code)
        fail_msg("keygen %s: %d: %s", arguments, r, process_stderr(process));
    return process;
}

static const char *slurp(const char *path, char text[TEXT_SIZE])
{
    FILE *file = fopen(path, "r");
    size_t length;

    assert_non_null(file);
    length = fread(text, 1, TEXT_SIZE - 1, file);
    text[length] = '\0';
    assert_int_equal(fclose(file), 0);
    return text;
}

static const char *old_file(struct harness *harness)
{
    const char *path = harness_write(harness, "old.key", "%s", OLD);

    assert_int_equal(chmod(path, 0600), 0);
    return path;
}

static struct keyring *load(const char *path)
{
    char error[KEYRING_ERROR_SIZE];
    struct keyring *ring;

    if (keyring_load(path, &ring, error) != 0)
        fail_msg("%s", error);
    return ring;
}

static unsigned files_in(const char *directory, const char *start_of_name)
{
    DIR *stream = opendir(directory);
    unsigned count = 0;

    assert_non_null(stream);
    for (struct dirent *entry; (entry = readdir(stream));)
        count += strncmp(entry->d_name, start_of_name, strlen(start_of_name)) == 0 ? 1 : 0;
    assert_int_equal(closedir(stream), 0);
    return count;
}

/* 8 hexadecimal digits in a row that are no date. */
static void assert_no_secret(struct process *process)
{
    const char *const texts[] = {process_stdout(process), process_stderr(process)};

    for (size_t i = 0; i < 2; i++) {
        unsigned row = 0;

        for (const char *c = texts[i]; *c != '\0' && row < 8; c++)
            row = strchr("0123456789abcdefABCDEF", *c) ? row + 1 : 0;
        if (row >= 8)
            fail_msg("%s", texts[i]);
    }
}

static void test_creates(void **state)
{
    const char *path = harness_path(*state, "new.key"), *other = harness_path(*state, "new2.key");
    struct process *process = run(*state, 0, "--file %s", path);
    struct keyring *ring = load(path), *second;
    struct stat status;

    assert_no_secret(process);
    assert_non_null(strstr(process_stdout(process), ": written, with the new key \""));
    assert_non_null(strstr(process_stdout(process), "\nNext: "));
    assert_int_equal(keyring_count(ring), 1);
    assert_string_equal(keyring_at(ring, 0)->name, "");
    assert_int_equal(strlen(keyring_at(ring, 0)->identity), strlen("2026-11-23"));
    assert_int_equal(strncmp(keyring_at(ring, 0)->identity, "20", 2), 0);
    assert_int_equal(files_in(harness_directory(*state), "new.key"), 1);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_uid, geteuid());
    assert_int_equal(status.st_mode & 07777, status.st_gid == getegid() ? 0600 : 0640);
    (void)run(*state, 0, "--file %s --identity %s", other, keyring_at(ring, 0)->identity);
    second = load(other);
    assert_false(keyring_agree(ring, second, keyring_at(ring, 0)->identity));
    keyring_free(second);
    keyring_free(ring);
}

static void test_creates_for_one_machine(void **state)
{
    const char *path = harness_path(*state, "named.key");
    struct keyring *ring;

    (void)run(*state, 0, "--file %s --identity june --name db1", path);
    ring = load(path);
    assert_string_equal(keyring_at(ring, 0)->identity, "june");
    assert_string_equal(keyring_at(ring, 0)->name, "db1");
    keyring_free(ring);
}

static void test_overwrites_nothing(void **state)
{
    const char *path = old_file(*state), *link = harness_path(*state, "link.key");
    struct process *process = run(*state, 1, "--file %s", path);
    char text[TEXT_SIZE];

    assert_non_null(strstr(process_stderr(process), "--add puts a new key first"));
    assert_string_equal(slurp(path, text), OLD);
    assert_int_equal(symlink("nowhere", link), 0);
    (void)run(*state, 1, "--file %s", link);
    assert_int_equal(files_in(harness_directory(*state), "old.key"), 1);
    assert_int_equal(files_in(harness_directory(*state), "link.key"), 1);
}

/* What the file says with this identity's line, and nothing else, cut out. */
static void cut(char *text, const char *identity)
{
    char *line = strstr(text, identity), *end = strchr(line, '\n');

    memmove(line, end + 1, strlen(end + 1) + 1);
}

static void test_rotation(void **state)
{
    const char *path = old_file(*state);
    struct process *process = run(*state, 0, "--file %s --add --identity four", path);
    struct keyring *ring = load(path);
    char text[TEXT_SIZE], now[TEXT_SIZE];

    assert_no_secret(process);
    assert_string_equal(process_stderr(process), "");
    assert_int_equal(keyring_count(ring), 4);
    assert_string_equal(keyring_at(ring, 0)->identity, "four");
    keyring_free(ring);
    assert_int_equal(strncmp(slurp(path, text), "# Head\r\n\nfour ", 14), 0);
    cut(text, "four");
    assert_string_equal(text, OLD);

    process = run(*state, 0, "--file %s --remove two", path);
    assert_no_secret(process);
    slurp(path, now);
    cut(now, "four");
    cut(text, "\ttwo");
    assert_string_equal(now, text);
    (void)run(*state, 0, "--file %s --remove three", path);
    (void)run(*state, 0, "--file %s --remove one", path);
    process = run(*state, 1, "--file %s --remove four", path);
    assert_non_null(strstr(process_stderr(process), "\"four\" is the only key"));
    assert_string_equal(process_stdout(run(*state, 0, "--file %s --list", path)), "four\n");
    assert_int_equal(files_in(harness_directory(*state), "old.key"), 1);
}

static void test_identities_of_one_day(void **state)
{
    const char *path = harness_path(*state, "day.key");
    struct keyring *ring;
    char first[KEYRING_NAME_SIZE], second[KEYRING_NAME_SIZE + 2], third[KEYRING_NAME_SIZE + 2];

    (void)run(*state, 0, "--file %s", path);
    ring = load(path);
    memcpy(first, keyring_at(ring, 0)->identity, sizeof first);
    keyring_free(ring);
    (void)snprintf(second, sizeof second, "%s-2", first);
    (void)snprintf(third, sizeof third, "%s-3", first);
    (void)run(*state, 0, "--file %s --add", path);
    (void)run(*state, 0, "--file %s --add --name db1", path);
    ring = load(path);
    /* A test that runs over midnight sees another date, which needs no suffix. */
    if (strncmp(keyring_at(ring, 0)->identity, first, strlen(first)) == 0) {
        assert_non_null(keyring_find(ring, second));
        assert_string_equal(keyring_at(ring, 0)->identity, third);
    }
    assert_int_equal(keyring_count(ring), 3);
    keyring_free(ring);
    (void)run(*state, 1, "--file %s --add --identity %s", path, first);
}

static void test_list(void **state)
{
    struct process *process = run(*state, 0, "--file %s --list", old_file(*state));

    assert_string_equal(process_stdout(process), "one\ntwo db1\nthree\n");
    assert_string_equal(process_stderr(process), "");
}

/* The line for a pipe is the whole of standard output, and a key file of its own. */
static void test_stdout(void **state)
{
    struct process *process = run(*state, 0, "--stdout --identity five --name db1");
    const char *piped = harness_write(*state, "piped.key", "%s", process_stdout(process));
    const char *path = old_file(*state);
    struct keyring *ring, *other;

    assert_int_equal(strlen(process_stdout(process)), strlen("five ") + HEX + strlen(" db1\n"));
    assert_string_equal(process_stderr(process), "");
    assert_int_equal(chmod(piped, 0600), 0);
    keyring_free(load(piped));

    process = run(*state, 0, "--file %s --add --stdout --identity six --name db2", path);
    harness_write(*state, "piped.key", "%s", process_stdout(process));
    assert_non_null(strstr(process_stderr(process), "the new key \"six\" is first"));
    ring = load(path);
    other = load(piped);
    assert_int_equal(keyring_count(other), 1);
    assert_true(keyring_agree(ring, other, "six"));
    keyring_free(other);
    keyring_free(ring);
}

static void test_no_secret_on_terminals(void **state)
{
    const char *program = harness_built(*state, "BERKELEYCTL", "berkeleyctl");
    char text[TEXT_SIZE] = "";
    size_t length = 0;
    int terminal, status;
    const pid_t child = forkpty(&terminal, NULL, NULL, NULL);

    assert_true(child >= 0);
    if (child == 0) {
        (void)execl(program, "berkeleyctl", "keygen", "--stdout", (char *)NULL);
        _exit(127);
    }
    for (ssize_t r; (r = read(terminal, text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)r;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(close(terminal), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 64);
    assert_non_null(strstr(text, "standard output is a terminal"));
}

static void test_keeps_owner_and_mode(void **state)
{
    const char *path = old_file(*state);
    struct stat before, after;

    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(path, 0, STRANGER), 0);
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(stat(path, &before), 0);
    (void)run(*state, 0, "--file %s --add", path);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_uid, before.st_uid);
    assert_int_equal(after.st_gid, before.st_gid);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_not_equal(after.st_ino, before.st_ino);
    (void)run(*state, 0, "--file %s --remove one", path);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_gid, before.st_gid);
    assert_int_equal(after.st_mode, before.st_mode);
}

static void test_follows_links(void **state)
{
    const char *path = old_file(*state), *link = harness_path(*state, "to-old.key");
    struct stat status;

    assert_int_equal(symlink("old.key", link), 0);
    (void)run(*state, 0, "--file %s --add --identity four", link);
    assert_int_equal(lstat(link, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_non_null(strstr(process_stdout(run(*state, 0, "--file %s --list", path)), "four\n"));
}

static void test_bad_files(void **state)
{
    const char *path = old_file(*state);
    const char *bad = harness_write(*state, "bad.key", "%s\n", strstr(OLD, "f00d"));
    const char *none = harness_path(*state, "none.key");
    struct process *process;
    char text[TEXT_SIZE];

    assert_int_equal(chmod(bad, 0600), 0);
    process = run(*state, 78, "--file %s --add", bad);
    assert_no_secret(process);
    assert_non_null(strstr(process_stderr(process), "bad.key:1: found one column"));
    (void)run(*state, 78, "--file %s --list", bad);
    assert_int_equal(chmod(path, 0644), 0);
    process = run(*state, 78, "--file %s --add", path);
    assert_non_null(strstr(process_stderr(process), "&& chmod 06"));
    assert_string_equal(slurp(path, text), OLD);
    process = run(*state, 1, "--file %s --add", none);
    assert_non_null(strstr(process_stderr(process), "`berkeleyctl keygen` writes one"));
    (void)run(*state, 1, "--file %s/none/x.key", harness_directory(*state));
    assert_int_equal(chmod(path, 0600), 0);
    process = run(*state, 1, "--file %s --remove four", path);
    assert_non_null(strstr(process_stderr(process), "no identity \"four\""));
    assert_string_equal(slurp(path, text), OLD);
}

/* As a user who may enter the directory, but not write there, nor read the file; the way to the
 * program may be closed to him as well. */
static int run_as_stranger(int program, char *const *arguments)
{
    const pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        if (setgid(STRANGER) < 0 || setuid(STRANGER) < 0 || !freopen("/dev/null", "w", stderr))
            _exit(126);
        (void)fexecve(program, arguments, environ);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_no_permission(void **state)
{
    static char name[] = "berkeleyctl", command[] = "keygen", file[] = "--file";
    static char actions[][8] = {"--list", "--add"};
    char path[256];
    int program;

    if (geteuid() != 0)
        skip();
    program = open(harness_built(*state, "BERKELEYCTL", "berkeleyctl"), O_PATH | O_CLOEXEC);
    assert_true(program >= 0);
    (void)snprintf(path, sizeof path, "%s", old_file(*state));
    assert_int_equal(chmod(harness_directory(*state), 0755), 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(
            run_as_stranger(program, (char *[]){name, command, file, path, actions[i], NULL}), 77);
    (void)snprintf(path, sizeof path, "%s/new.key", harness_directory(*state));
    assert_int_equal(run_as_stranger(program, (char *[]){name, command, file, path, NULL}), 77);
    assert_int_equal(close(program), 0);
}

/* Two at a time lose no key of each other. */
static void test_at_the_same_time(void **state)
{
    enum { PROCESSES = 12 };
    const char *path = old_file(*state);
    struct process *processes[PROCESSES];
    struct keyring *ring;

    for (size_t i = 0; i < PROCESSES; i++) {
        char arguments[256];

        (void)snprintf(arguments, sizeof arguments, "--file %s --add --identity p%zu", path, i);
        processes[i] = start(*state, arguments);
    }
    for (size_t i = 0; i < PROCESSES; i++)
        assert_int_equal(process_wait_exit(processes[i], SECONDS), 0);
    ring = load(path);
    assert_int_equal(keyring_count(ring), PROCESSES + 3);
    keyring_free(ring);
    assert_int_equal(files_in(harness_directory(*state), "old.key"), 1);
}

static void test_usage(void **state)
{
    static const char *const wrong[] = {
        "--add --list",
        "--remove",
        "--remove a --add",
        "--list --name x",
        "--list --stdout",
        "--remove a --identity b",
        "--identity #x",
        "--stdout word",
        "--nonsense",
        "--file",
        "--stdout --name 0123456789012345678901234567890123456789012345678901234567890123",
    };
    const char *help = process_stdout(run(*state, 0, "--help"));

    assert_non_null(strstr(help, "--remove ID"));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct process *process = run(*state, 64, "%s", wrong[i]);

        assert_string_equal(process_stdout(process), "");
        assert_non_null(strstr(process_stderr(process), "see berkeleyctl keygen --help"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_creates, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_creates_for_one_machine, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_overwrites_nothing, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_rotation, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_identities_of_one_day, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_list, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_stdout, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_no_secret_on_terminals, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_keeps_owner_and_mode, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_follows_links, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_bad_files, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_no_permission, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_at_the_same_time, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_usage, harness_setup, harness_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
