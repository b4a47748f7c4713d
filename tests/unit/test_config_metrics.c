/* SPDX-License-Identifier: BSD-2-Clause */
/* The settings for metrics that are wrong only as a whole, and those that are right. */
#include "config_loads.h"

static void test_file_of_another_name(void **state)
{
    static const struct {
        const char *text, *line;
    } wrongs[] = {
        {"metrics: {\n  file = \"/var/lib/metrics/berkeley\";\n};",
         "b.conf:2: metrics.file: found \"/var/lib/metrics/berkeley\"; allowed is a path that ends "
         "in \"NAME.prom\", or \"\""},
        {"metrics: { file = \"/a.prom.new\"; };",
         "b.conf:1: metrics.file: found \"/a.prom.new\"; allowed is a path that ends in "
         "\"NAME.prom\", or \"\""},
        {"metrics: { file = \"/metrics/.prom\"; };",
         "b.conf:1: metrics.file: found \"/metrics/.prom\"; allowed is a path that ends in "
         "\"NAME.prom\", or \"\""},
        {"metrics: { file = \"/prom\"; };",
         "b.conf:1: metrics.file: found \"/prom\"; allowed is a path that ends in \"NAME.prom\", "
         "or \"\""},
        {"metrics: { file = \"a.prom\"; };",
         "b.conf:1: metrics.file: found \"a.prom\"; allowed is an absolute path of up to 255 "
         "printable characters, or \"\""},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        write_bytes(fixture->path, wrongs[i].text, strlen(wrongs[i].text));
        refused(fixture, -EINVAL, wrongs[i].line);
    }
}

static void test_right_settings(void **state)
{
    struct config config;

    loads_text(*state, "", &config);
    assert_string_equal(config.metrics.file, "");
    assert_string_equal(config.metrics.listen[0], "");
    loads_text(*state,
               "metrics: { file = \"/a.prom\"; listen = [\"127.0.0.1\", \"::1\"]; port = 9; };",
               &config);
    assert_string_equal(config.metrics.file, "/a.prom");
    assert_string_equal(config.metrics.listen[1], "::1");
    assert_string_equal(config.metrics.listen[2], "");
    assert_int_equal(config.metrics.port, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_file_of_another_name, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_right_settings, fixture_open, fixture_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
