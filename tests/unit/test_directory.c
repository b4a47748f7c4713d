/* SPDX-License-Identifier: BSD-2-Clause */
/* Files in the directories that the service manager names. */
#include "daemon/directory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define VARIABLE "BERKELEY_TEST_DIRECTORY"

static char path[16];

static int ask(const char *value, size_t size)
{
    path[0] = '\0';
    assert_int_equal(value ? setenv(VARIABLE, value, 1) : unsetenv(VARIABLE), 0);
    return directory_file(VARIABLE, "file", path, size);
}

static void one(void **state)
{
    (void)state;
    assert_int_equal(ask("/run/one", sizeof path), 0);
    assert_string_equal(path, "/run/one/file");
}

static void the_first_of_several(void **state)
{
    (void)state;
    assert_int_equal(ask("/run/a:/run/b:/c", sizeof path), 0);
    assert_string_equal(path, "/run/a/file");
}

static void none(void **state)
{
    static const char *const values[] = {NULL, "", "relative", ":/second"};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_int_equal(ask(values[i], sizeof path), -ENOENT);
        assert_string_equal(path, "");
    }
}

static void too_long(void **state)
{
    (void)state;
    assert_int_equal(ask("/0123456789", sizeof path), -ENAMETOOLONG);
    assert_string_equal(path, "");
    assert_int_equal(ask("/012345678", sizeof path), 0);
    assert_string_equal(path, "/012345678/file");
    assert_int_equal(ask("/012345678", sizeof path - 1), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one),
        cmocka_unit_test(the_first_of_several),
        cmocka_unit_test(none),
        cmocka_unit_test(too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
