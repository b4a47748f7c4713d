/* SPDX-License-Identifier: BSD-2-Clause */
/* Long answers: made in pieces, for whoever reads them, and ended once in every case. */
#include "control_side.h"

#include <json-c/json.h>

#include "daemon/control.h"

#define ELEMENTS 20000 /* of some 40 bytes: far beyond a socket's buffer */
#define TURN_MAX 64    /* elements that one turn of the loop may make */

static struct control_side side;
static struct control *control;
static int wanted, made;
static unsigned begun, ended;

static struct json_object *next(void *context)
{
    struct json_object *element;

    assert_ptr_equal(context, &made);
    if (made == wanted)
        return NULL;
    element = json_object_new_object();
    json_object_object_add(element, "number", json_object_new_int(made++));
    json_object_object_add(element, "text", json_object_new_string("]}, what a name"));
    return element;
}

static void end(void *context)
{
    assert_ptr_equal(context, &made);
    ended++;
}

static struct json_object *answer_list(void *context, const char *argument,
                                       struct control_list *list)
{
    struct json_object *answer = json_object_new_object();

    assert_ptr_equal(context, &side);
    json_object_object_add(answer, "kind", json_object_new_string(argument));
    json_object_object_add(answer, "list", json_object_new_array());
    *list = (struct control_list){.next = next, .end = end, .context = &made};
    begun++;
    made = 0;
    return answer;
}

static struct json_object *answer_refusal(void *context, const char *argument,
                                          struct control_list *list)
{
    (void)context;
    (void)list;
    return control_complain("found \"%s\"; allowed is 100 %% nothing", argument);
}

static const struct control_word words[] = {
    {.word = "list", .takes_argument = true, .answer_long = answer_list},
    {.word = "refuse", .takes_argument = true, .answer_long = answer_refusal},
};

static int setup(void **state)
{
    (void)state;
    wanted = ELEMENTS;
    begun = ended = 0;
    made = 0;
    control_side_open(&side);
    return control_open(side.loop, side.path, words, sizeof words / sizeof words[0], &side,
                        &control);
}

static int teardown(void **state)
{
    (void)state;
    control_close(control);
    control_side_close(&side);
    return begun == ended ? 0 : -1;
}

static void expect_list(char *answer)
{
    struct json_object *object = json_tokener_parse(answer), *list = NULL, *number = NULL;

    assert_ptr_equal(strchr(answer, '\n'), answer + strlen(answer) - 1);
    assert_true(json_object_object_get_ex(object, "list", &list));
    assert_int_equal(json_object_array_length(list), wanted);
    for (size_t i = 0; i < (size_t)wanted; i++) {
        assert_true(
            json_object_object_get_ex(json_object_array_get_idx(list, i), "number", &number));
        assert_int_equal(json_object_get_int(number), i);
    }
    assert_int_equal(ended, begun);
    json_object_put(object);
    free(answer);
}

static void test_short_lists(void **state)
{
    (void)state;
    wanted = 0;
    assert_answer(&side, "list a\n", "{\"kind\":\"a\",\"list\":[]}\n");
    wanted = 1;
    assert_answer(&side, "list\n",
                  "{\"kind\":\"\",\"list\":[{\"number\":0,\"text\":\"]}, what a name\"}]}\n");
    assert_int_equal(ended, 2);
}

/* Around the ends of pieces, whatever their size. */
static void test_lists_of_all_lengths(void **state)
{
    (void)state;
    for (wanted = 2; wanted < 3 * TURN_MAX; wanted++)
        expect_list(control_ask(&side, "list\n"));
}

static void test_a_refusal(void **state)
{
    (void)state;
    assert_answer(&side, "refuse x\n", "{\"error\":\"found \\\"x\\\"; allowed is 100 % nothing\"}\n");
}

/* Nobody else waits for longer than it takes to make a few elements. */
static void test_in_pieces(void **state)
{
    int fd = control_begin(&side, "list\n"), before = 0, longest = 0;
    char bytes[65536];
    ssize_t n;

    (void)state;
    do {
        assert_true(sd_event_run(side.loop, 10000) >= 0);
        longest = made - before > longest ? made - before : longest;
        before = made;
        n = recv(fd, bytes, sizeof bytes, 0);
    } while (n > 0 || (n < 0 && errno == EAGAIN));
    close(fd);
    assert_int_equal(made, ELEMENTS);
    assert_in_range(longest, 1, TURN_MAX);
}

/* Half a megabyte and more, a little at a time: and what nobody takes is not made. */
static void test_a_slow_reader(void **state)
{
    int fd = control_begin(&side, "list\n");

    (void)state;
    control_settle(&side);
    assert_in_range(made, 1, ELEMENTS - 1);
    expect_list(control_take(&side, fd, 1500));
}

static void test_who_goes_away(void **state)
{
    (void)state;
    close(control_begin(&side, "list\n"));
    control_settle(&side);
    assert_int_equal(begun, 1);
    assert_int_equal(ended, 1);
    assert_in_range(made, 0, ELEMENTS - 1);
}

static void test_closed_meanwhile(void **state)
{
    (void)state;
    (void)control_begin(&side, "list\n");
    control_settle(&side);
    assert_int_equal(begun, 1);
    assert_int_equal(ended, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_short_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lists_of_all_lengths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_refusal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_slow_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_goes_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closed_meanwhile, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
