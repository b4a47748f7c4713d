/* SPDX-License-Identifier: BSD-2-Clause */
/* The dashboard and the alert rules ask for metrics that there are, the dashboard is one, and
 * berkeleyd(8) has them all. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/metrics.h"

#define DASHBOARD "config/grafana-dashboard.json"
#define RULES "config/prometheus-alerts.yml"
#define PAGE "man/berkeleyd.8"
#define COLUMNS 24
#define ROWS 100
#define WORD "abcdefghijklmnopqrstuvwxyz_"

static char *told; /* all metrics of either role */

static bool on_view(void *context, size_t i, struct clock_view *view)
{
    (void)context;
    *view = (struct clock_view){.name = "a", .measured = true, .own = i == 0};
    view->name[0] = (char)('a' + i);
    return true;
}

static void tell(bool master, FILE *out)
{
    const struct summary summary = {.counted = 1};
    const struct transport_counters counters = {0};
    const struct chronicle_tally tally = {0};
    const struct metrics_input input = {.master = master, .name = "a", .group = "g",
                                        .version = "0", .files = true, .corrected = true,
                                        .summary = &summary, .counters = &counters,
                                        .tally = &tally, .views = 2, .view = on_view};
    struct metrics_text text = {0};

    assert_int_equal(metrics_write(&input, &text), 0);
    assert_int_equal(fwrite(text.bytes, 1, text.length, out), text.length);
    metrics_text_free(&text);
}

static int setup(void **state)
{
    size_t size;
    FILE *out = open_memstream(&told, &size);

    (void)state;
    assert_non_null(out);
    tell(true, out);
    tell(false, out);
    return fclose(out);
}

static int teardown(void **state)
{
    (void)state;
    free(told);
    return 0;
}

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 20);

    assert_non_null(file);
    assert_non_null(text);
    assert_in_range(fread(text, 1, (1 << 20) - 1, file), 1, (1 << 20) - 2);
    assert_int_equal(fclose(file), 0);
    return text;
}

static bool exists(const char *name, size_t length)
{
    char line[160];

    (void)snprintf(line, sizeof line, "# TYPE %.*s ", (int)length, name);
    return strstr(told, line) != NULL;
}

/* How many; each of them has to exist. */
static unsigned names_in(const char *path)
{
    char *text = read_whole(path);
    unsigned count = 0;

    for (const char *at = text; (at = strstr(at, "berkeley_")); count++) {
        const size_t length = strspn(at, WORD);

        if (!exists(at, length))
            fail_msg("%s: there is no %.*s", path, (int)length, at);
        at += length;
    }
    free(text);
    return count;
}

static void test_names(void **state)
{
    (void)state;
    assert_in_range(names_in(DASHBOARD), 20, 1000);
    assert_in_range(names_in(RULES), 6, 1000);
}

struct side {
    const char *text, *before, *between; /* a line: before, NAME, between, TYPE */
};

/* Each line of the one has to be in the other. */
static unsigned compare(const struct side *one, const struct side *other)
{
    const size_t skipped = strlen(one->before), between = strlen(one->between);
    unsigned count = 0;

    for (const char *at = one->text; (at = strstr(at, one->before)); count++) {
        const size_t name = strspn(at += skipped, WORD);
        char line[192];

        if (strncmp(at + name, one->between, between) != 0)
            fail_msg("of another form: %.80s", at);
        (void)snprintf(line, sizeof line, "%s%.*s%s%.*s\n", other->before, (int)name, at,
                       other->between, (int)strcspn(at + name + between, "\n"),
                       at + name + between);
        if (!strstr(other->text, line))
            fail_msg("not on the other side: %s", line);
    }
    return count;
}

static void test_page(void **state)
{
    char *page = read_whole(PAGE);
    const struct side of_page = {page, "\n.It Ic berkeley_", " Pq "};
    const struct side of_code = {told, "# TYPE berkeley_", " "};

    (void)state;
    assert_in_range(compare(&of_page, &of_code), 40, 1000);
    assert_in_range(compare(&of_code, &of_page), 40, 1000);
    free(page);
}

static struct json_object *get(struct json_object *object, const char *key, enum json_type type)
{
    struct json_object *value = NULL;

    if (!json_object_object_get_ex(object, key, &value) || !json_object_is_type(value, type))
        fail_msg("no %s, or of another type, in %s", key, json_object_to_json_string(object));
    return value;
}

static const char *get_text(struct json_object *object, const char *key)
{
    return json_object_get_string(get(object, key, json_type_string));
}

static int get_number(struct json_object *object, const char *key)
{
    return json_object_get_int(get(object, key, json_type_int));
}

static void check_datasource(struct json_object *object)
{
    struct json_object *source = get(object, "datasource", json_type_object);

    assert_string_equal(get_text(source, "type"), "prometheus");
    assert_string_equal(get_text(source, "uid"), "${datasource}");
}

static void check_targets(struct json_object *panel)
{
    struct json_object *targets = get(panel, "targets", json_type_array);
    const size_t count = json_object_array_length(targets);

    assert_in_range(count, 1, 26);
    for (size_t i = 0; i < count; i++) {
        struct json_object *target = json_object_array_get_idx(targets, i);
        const char expected[2] = {(char)('A' + i), '\0'};

        check_datasource(target);
        assert_string_equal(get_text(target, "refId"), expected);
        assert_non_null(strstr(get_text(target, "expr"), "{group=~\"$group\"}"));
        (void)get_text(target, "legendFormat");
    }
}

/* No two on one place, and all within the width. */
static void check_place(struct json_object *panel, bool taken[ROWS][COLUMNS])
{
    struct json_object *place = get(panel, "gridPos", json_type_object);
    const int x = get_number(place, "x"), y = get_number(place, "y");
    const int w = get_number(place, "w"), h = get_number(place, "h");

    assert_true(x >= 0 && w > 0 && x + w <= COLUMNS && y >= 0 && h > 0 && y + h <= ROWS);
    for (int row = y; row < y + h; row++)
        for (int column = x; column < x + w; column++) {
            assert_false(taken[row][column]);
            taken[row][column] = true;
        }
}

static void check_panel(struct json_object *panel)
{
    static const char *const types[] = {"stat", "timeseries", "state-timeline"};
    struct json_object *config = get(panel, "fieldConfig", json_type_object);
    const char *type = get_text(panel, "type");
    bool known = false;

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        known = known || strcmp(types[i], type) == 0;
    assert_true(known);
    assert_true(get_text(panel, "title")[0] && get_text(panel, "description")[0]);
    check_datasource(panel);
    check_targets(panel);
    (void)get_text(get(config, "defaults", json_type_object), "unit");
    (void)get(config, "overrides", json_type_array);
    (void)get(panel, "options", json_type_object);
}

static void test_dashboard(void **state)
{
    struct json_object *dashboard = json_object_from_file(DASHBOARD), *panels, *variables;
    static bool taken[ROWS][COLUMNS];

    (void)state;
    assert_non_null(dashboard);
    assert_in_range(get_number(dashboard, "schemaVersion"), 36, 41);
    assert_true(get_text(dashboard, "title")[0] && get_text(dashboard, "uid")[0]);
    variables = get(get(dashboard, "templating", json_type_object), "list", json_type_array);
    assert_int_equal(json_object_array_length(variables), 2);
    assert_string_equal(get_text(json_object_array_get_idx(variables, 0), "name"), "datasource");
    assert_string_equal(get_text(json_object_array_get_idx(variables, 1), "name"), "group");
    panels = get(dashboard, "panels", json_type_array);
    for (size_t i = 0; i < json_object_array_length(panels); i++) {
        struct json_object *panel = json_object_array_get_idx(panels, i);

        assert_int_equal(get_number(panel, "id"), i + 1);
        check_panel(panel);
        check_place(panel, taken);
    }
    json_object_put(dashboard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_dashboard),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
