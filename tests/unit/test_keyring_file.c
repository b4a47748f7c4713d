/* SPDX-License-Identifier: BSD-2-Clause */
/* Key files on disk: who may own and read them, what mends them, and what becomes of the memory.
 * Run as root, the kernel is asked for other users; the users' names are the test's own. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/keyring_file.h"

#define KEY "8c1f5a0be72d94c36fa1e05b7d283946c7fe10a95d34b286013fce4a79d5b862"
#define TEXT "one " KEY "\n"

#define ANN 4001 /* an ordinary user, and her group */
#define SERVICE 4002
#define STRANGER 4003

static struct {
    char directory[64];
    char path[128];
    bool has_service;
    bool watching;
    unsigned wiped, unwiped; /* mappings given back while watching */
} bench;

struct group *getgrnam(const char *name)
{
    static char service[] = KEYRING_SERVICE;
    static struct group group = {.gr_name = service, .gr_gid = SERVICE};

    return bench.has_service && strcmp(name, service) == 0 ? &group : NULL;
}

struct group *getgrgid(gid_t gid)
{
    static char names[][16] = {"root", "ann", KEYRING_SERVICE};
    static struct group group;

    group.gr_name = gid == 0 ? names[0] : gid == ANN ? names[1] : names[2];
    return gid == 0 || gid == ANN || gid == SERVICE ? &group : NULL;
}

struct passwd *getpwuid(uid_t uid)
{
    static char names[][16] = {"root", "ann", KEYRING_SERVICE};
    static struct passwd passwd;

    passwd.pw_name = uid == 0 ? names[0] : uid == ANN ? names[1] : names[2];
    return uid == 0 || uid == ANN || uid == SERVICE ? &passwd : NULL;
}

int munmap(void *memory, size_t size)
{
    const char *bytes = memory;
    bool zero = true;

    for (size_t i = 0; bench.watching && i < size; i++)
        zero = zero && bytes[i] == 0;
    if (bench.watching)
        (*(zero ? &bench.wiped : &bench.unwiped))++;
    return (int)syscall(SYS_munmap, memory, size);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void become(uid_t user, gid_t group)
{
    if (geteuid() != 0)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(setegid(user == 0 ? 0 : group), 0);
    assert_int_equal(setgroups(0, NULL), 0);
    assert_int_equal(seteuid(user), 0);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(bench.directory, sizeof bench.directory, "/tmp/berkeley-keyring-XXXXXX");
    if (!mkdtemp(bench.directory) || chmod(bench.directory, 0755) < 0)
        return -1;
    (void)snprintf(bench.path, sizeof bench.path, "%s/berkeley.key", bench.directory);
    write_file(bench.path, TEXT);
    bench.has_service = false;
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    if (getuid() == 0)
        become(0, 0);
    (void)snprintf(command, sizeof command, "rm -r '%s'", bench.directory);
    return system(command);
}

static int load_path(const char *path, char error[KEYRING_ERROR_SIZE])
{
    struct keyring *const none = (struct keyring *)(void *)error;
    struct keyring *ring = none;
    int r;

    error[0] = '\0';
    r = keyring_load(path, &ring, error);
    if (r == 0)
        keyring_free(ring);
    else
        assert_ptr_equal(ring, none);
    assert_true((r == 0) == (error[0] == '\0'));
    assert_null(strstr(error, "8c1f5a0b"));
    return r;
}

static void lay(uid_t user, gid_t group, mode_t mode)
{
    assert_int_equal(chown(bench.path, user, group), 0);
    assert_int_equal(chmod(bench.path, mode), 0);
}

/* The file is refused, and the error ends with this, where FILE is its path. */
static void expect_command(int error, const char *owner, const char *mode)
{
    char said[KEYRING_ERROR_SIZE], wanted[KEYRING_ERROR_SIZE];

    assert_int_equal(load_path(bench.path, said), error);
    (void)snprintf(wanted, sizeof wanted, " mends it: chown %s %s && chmod %s %s", owner,
                   bench.path, mode, bench.path);
    if (!strstr(said, wanted) || strcmp(strstr(said, wanted), wanted) != 0)
        fail_msg("\"%s\" does not end with \"%s\"", said, wanted);
}

static void expect_good(void)
{
    char said[KEYRING_ERROR_SIZE];

    if (load_path(bench.path, said) != 0)
        fail_msg("%s", said);
}

static void test_modes(void **state)
{
    (void)state;
    for (mode_t mode = 0; mode <= 07777; mode++) {
        char said[KEYRING_ERROR_SIZE];
        int r;

        assert_int_equal(chmod(bench.path, mode), 0);
        r = load_path(bench.path, said);
        if (geteuid() != 0 && !(mode & 0400))
            assert_int_equal(r, -EACCES);
        else
            assert_int_equal(r, mode & 0037 ? -EPERM : 0);
    }
}

static void test_owners_of_root(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    lay(0, 0, 0640);
    expect_good();
    lay(STRANGER, 0, 0600);
    expect_command(-EPERM, "root:root", "0600");
    lay(0, STRANGER, 0640);
    expect_command(-EPERM, "root:root", "0600");
    lay(0, STRANGER, 0600);
    expect_good();
    lay(0, SERVICE, 0640);
    expect_command(-EPERM, "root:root", "0600");
    bench.has_service = true;
    expect_good();
    lay(SERVICE, SERVICE, 0600);
    expect_command(-EPERM, "root:" KEYRING_SERVICE, "0640");
    lay(0, SERVICE, 0644);
    expect_command(-EPERM, "root:" KEYRING_SERVICE, "0640");
    lay(0, SERVICE, 0660);
    expect_command(-EPERM, "root:" KEYRING_SERVICE, "0640");
    lay(0, SERVICE, 0650);
    expect_command(-EPERM, "root:" KEYRING_SERVICE, "0640");
}

static void test_owners_of_the_service(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    bench.has_service = true;
    lay(0, SERVICE, 0640);
    become(SERVICE, SERVICE);
    expect_good();
    become(0, 0);
    lay(0, 0, 0600);
    become(SERVICE, SERVICE);
    expect_command(-EACCES, "root:" KEYRING_SERVICE, "0640");
    become(0, 0);
    lay(ANN, SERVICE, 0640);
    become(SERVICE, SERVICE);
    expect_command(-EPERM, "root:" KEYRING_SERVICE, "0640");
    become(0, 0);
    lay(SERVICE, SERVICE, 0400);
    become(SERVICE, SERVICE);
    expect_good();
}

static void test_owners_of_a_user(void **state)
{
    const gid_t also = STRANGER;

    (void)state;
    if (geteuid() != 0)
        skip();
    lay(ANN, ANN, 0600);
    become(ANN, ANN);
    expect_good();
    become(0, 0);
    lay(ANN, ANN, 0640);
    become(ANN, ANN);
    expect_good();
    become(0, 0);
    lay(ANN, STRANGER, 0640);
    become(ANN, ANN);
    expect_command(-EPERM, "ann:ann", "0600");
    become(0, 0);
    assert_int_equal(setgroups(1, &also), 0);
    assert_int_equal(seteuid(ANN), 0);
    expect_good();
    become(0, 0);
    bench.has_service = true;
    lay(ANN, SERVICE, 0640);
    assert_int_equal(setgroups(1, &also), 0);
    assert_int_equal(seteuid(ANN), 0);
    expect_good();
    become(0, 0);
    lay(STRANGER, ANN, 0640);
    become(ANN, ANN);
    expect_command(-EPERM, "ann:ann", "0600");
    become(0, 0);
    lay(STRANGER, STRANGER, 0602);
    become(STRANGER, STRANGER);
    expect_command(-EPERM, "4003:4003", "0600");
}

/* The end of the error, run as it stands, makes the file good. */
static void test_commands_mend(void **state)
{
    static const char *const names[] = {"plain.key",   "two words", "it's", "$(touch oops)`:`",
                                        "a;b&c\\\"d*", "#hash",     "~",    "t\xc3\xa9.key"};
    char own[64];

    (void)state;
    /* The names that chown(1) knows, not the test's own. */
    (void)snprintf(own, sizeof own, "%u:%u", geteuid(), getegid());
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[256], said[KEYRING_ERROR_SIZE], command[KEYRING_ERROR_SIZE];
        const char *end;

        (void)snprintf(path, sizeof path, "%s/%s", bench.directory, names[i]);
        write_file(path, TEXT);
        assert_int_equal(chmod(path, 0666), 0);
        assert_int_equal(load_path(path, said), -EPERM);
        end = strstr(said, ": chown ");
        assert_non_null(end);
        assert_non_null(strchr(end + 8, ' '));
        (void)snprintf(command, sizeof command, "chown %s%s", own, strchr(end + 8, ' '));
        assert_int_equal(system(command), 0);
        assert_int_equal(load_path(path, said), 0);
    }
}

static void test_no_file(void **state)
{
    char path[128], said[KEYRING_ERROR_SIZE], wanted[KEYRING_ERROR_SIZE];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/none", bench.directory);
    assert_int_equal(load_path(path, said), -ENOENT);
    (void)snprintf(wanted, sizeof wanted, "%s: found no such file; `berkeleyctl keygen` writes one",
                   path);
    assert_string_equal(said, wanted);
}

/* A FIFO without a writer, and a terminal's end, are not waited for. */
static void test_no_regular_file(void **state)
{
    char path[128], said[KEYRING_ERROR_SIZE];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/fifo", bench.directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(load_path(path, said), -EINVAL);
    assert_non_null(strstr(said, ": found no regular file"));
    assert_int_equal(load_path(bench.directory, said), -EINVAL);
    assert_non_null(strstr(said, ": found no regular file"));
    assert_int_equal(load_path("/dev/zero", said), -EINVAL);
}

static void test_too_large(void **state)
{
    char said[KEYRING_ERROR_SIZE];

    (void)state;
    assert_int_equal(chmod(bench.path, 0600), 0);
    assert_int_equal(truncate(bench.path, (off_t)KEYRING_FILE_MAX + 1), 0);
    assert_int_equal(load_path(bench.path, said), -EINVAL);
    assert_non_null(strstr(said, ": found 4194305 bytes; allowed are 4194304"));
    /* More than there is memory to read it into. */
    assert_int_equal(truncate(bench.path, (off_t)1 << 40), 0);
    assert_int_equal(load_path(bench.path, said), -EINVAL);
}

/* What is allowed is said even where no command fits. */
static void test_long_path(void **state)
{
    char path[700], said[KEYRING_ERROR_SIZE];
    size_t length = (size_t)snprintf(path, sizeof path, "%s", bench.directory);

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        length += (size_t)snprintf(path + length, sizeof path - length, "/%0200d", (int)i);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    (void)snprintf(path + length, sizeof path - length, "/%0200d", 0);
    write_file(path, TEXT);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(load_path(path, said), -EPERM);
    assert_null(strstr(said, "chown"));
    assert_non_null(strstr(said, "allowed is 0600 "));
}

/* munmap() above sees the pages as they are given back. */
static void test_memory_is_wiped(void **state)
{
    char said[KEYRING_ERROR_SIZE];
    struct keyring *ring = NULL;

    (void)state;
    assert_int_equal(chmod(bench.path, 0600), 0);
    bench.watching = true;
    bench.wiped = bench.unwiped = 0;
    assert_int_equal(keyring_load(bench.path, &ring, said), 0);
    assert_int_equal(bench.wiped, 1); /* the text of the file */
    keyring_free(ring);
    assert_int_equal(bench.wiped, 2);
    write_file(bench.path, TEXT "two " KEY "\n");
    assert_int_equal(load_path(bench.path, said), -EINVAL);
    assert_int_equal(bench.wiped, 4); /* refused after its keys were read */
    bench.watching = false;
    assert_int_equal(bench.unwiped, 0);
}

/* The flags in /proc/self/smaps of the mapping that holds the address. */
static void mapping_flags(const void *address, char *flags, size_t size)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false;

    assert_non_null(file);
    flags[0] = '\0';
    while (fgets(line, sizeof line, file)) {
        char *end;
        const uintptr_t first = strtoul(line, &end, 16);

        if (*end == '-')
            inside = first <= (uintptr_t)address && (uintptr_t)address < strtoul(end + 1, NULL, 16);
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            (void)snprintf(flags, size, "%s", line);
    }
    assert_int_equal(fclose(file), 0);
    assert_true(flags[0] != '\0');
}

/* Locked as far as a page of the test's own can be: limits and sanitizers may forbid it. */
static void test_memory_is_not_dumped_nor_swapped(void **state)
{
    char said[KEYRING_ERROR_SIZE], flags[512], own[512];
    struct keyring *ring = NULL;
    char *page = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_true(page != MAP_FAILED);
    (void)mlock(page, 1);
    mapping_flags(page, own, sizeof own);
    assert_null(strstr(own, " dd"));
    assert_int_equal(chmod(bench.path, 0600), 0);
    assert_int_equal(keyring_load(bench.path, &ring, said), 0);
    mapping_flags(keyring_at(ring, 0), flags, sizeof flags);
    assert_non_null(strstr(flags, " dd"));
    assert_true(strstr(flags, " lo") || !strstr(own, " lo"));
    assert_int_equal(munmap(page, 1), 0);
    keyring_free(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_modes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_owners_of_root, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_owners_of_the_service, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_owners_of_a_user, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_commands_mend, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_regular_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory_is_wiped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory_is_not_dumped_nor_swapped, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
