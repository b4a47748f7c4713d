/* SPDX-License-Identifier: BSD-2-Clause */
/* The socket's file: its mode, whose place it takes, and whose not. */
#include "control_side.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <sys/stat.h>

#include "daemon/control.h"

static struct json_object *answer_ok(void *context, const char *argument)
{
    (void)context;
    (void)argument;
    return json_object_new_object();
}

static const struct control_word words[] = {{.word = "look", .answer = answer_ok}};

static struct control_side side;

static int setup(void **state)
{
    (void)state;
    control_side_open(&side);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    control_side_close(&side);
    return 0;
}

static int try_path(const char *path)
{
    struct control *control = NULL;
    int r = control_open(side.loop, path, words, 1, NULL, &control);

    assert_int_equal(control != NULL, r == 0);
    control_close(control);
    return r;
}

static struct control *open_one(void)
{
    struct control *control = NULL;

    assert_int_equal(control_open(side.loop, side.path, words, 1, NULL, &control), 0);
    return control;
}

/* Somebody else's socket in that place. */
static int take_place(int type)
{
    const struct sockaddr_un address = control_address(side.path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void test_mode(void **state)
{
    static const mode_t masks[] = {0, 0022, 0077, 0777};
    const mode_t before = umask(0);

    (void)state;
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        struct control *control;
        struct stat file;

        (void)umask(masks[i]);
        control = open_one();
        assert_int_equal(lstat(side.path, &file), 0);
        assert_int_equal(file.st_mode, S_IFSOCK | 0660);
        assert_int_equal(umask(0), masks[i]);
        control_close(control);
        assert_int_equal(access(side.path, F_OK), -1);
    }
    (void)umask(before);
}

static void test_left_by_a_dead_daemon(void **state)
{
    struct control *control;

    (void)state;
    close(take_place(SOCK_STREAM));
    control = open_one();
    assert_answer(&side, "look\n", "{}\n");
    control_close(control);
}

static void test_a_living_daemon(void **state)
{
    struct control *control = open_one();

    (void)state;
    assert_int_equal(try_path(side.path), -EADDRINUSE);
    assert_answer(&side, "look\n", "{}\n");
    control_close(control);
}

/* So much in demand that it takes nobody in. */
static void test_a_busy_daemon(void **state)
{
    int fd = take_place(SOCK_STREAM), first, second;

    (void)state;
    assert_int_equal(listen(fd, 0), 0);
    first = control_dial(side.path);
    second = control_dial(side.path);
    assert_int_equal(second, -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(try_path(side.path), -EADDRINUSE);
    close(first);
    close(fd);
    assert_int_equal(try_path(side.path), 0);
}

static void test_a_socket_of_another_kind(void **state)
{
    int fd = take_place(SOCK_DGRAM);

    (void)state;
    assert_int_equal(try_path(side.path), -EADDRINUSE);
    close(fd);
}

static void test_what_is_no_socket(void **state)
{
    struct stat file;
    char other[sizeof side.path + 8];
    int fd = open(side.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    (void)state;
    assert_int_equal(write(fd, "precious", 8), 8);
    close(fd);
    assert_int_equal(try_path(side.path), -EEXIST);
    assert_int_equal(lstat(side.path, &file), 0);
    assert_true(S_ISREG(file.st_mode) && file.st_size == 8);
    (void)snprintf(other, sizeof other, "%s.link", side.path);
    assert_int_equal(symlink(side.path, other), 0);
    assert_int_equal(try_path(other), -EEXIST);
    assert_int_equal(lstat(other, &file), 0);
    assert_true(S_ISLNK(file.st_mode));
    assert_int_equal(unlink(other), 0);
    assert_int_equal(try_path(side.directory), -EEXIST);
}

static void test_impossible_paths(void **state)
{
    char path[256];

    (void)state;
    assert_int_equal(try_path(""), -EINVAL);
    (void)snprintf(path, sizeof path, "%s/nowhere/x.sock", side.directory);
    assert_int_equal(try_path(path), -ENOENT);
    memset(path, '/', sizeof path);
    path[sizeof((struct sockaddr_un *)NULL)->sun_path] = '\0';
    assert_int_equal(try_path(path), -ENAMETOOLONG);
    control_close(NULL);
}

/* The file is gone and another's is in its place: that one stays. */
static void test_not_its_own_file(void **state)
{
    struct control *control = open_one();
    struct control *heir;

    (void)state;
    assert_int_equal(unlink(side.path), 0);
    heir = open_one();
    control_close(control);
    assert_answer(&side, "look\n", "{}\n");
    control_close(heir);
    assert_int_equal(access(side.path, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mode, setup, teardown),
        cmocka_unit_test_setup_teardown(test_left_by_a_dead_daemon, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_living_daemon, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_busy_daemon, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_socket_of_another_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_impossible_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_its_own_file, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
