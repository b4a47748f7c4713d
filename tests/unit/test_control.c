/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is answered what, and that no client stands in another's way. */
#include "control_side.h"

#include <dlfcn.h>
#include <json-c/json.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "daemon/control.h"

#define DAEMON_USER 990
#define ITEMS 100000
#define OK "{\"ok\":true}\n"

static struct control_side side;
static struct control *control;
static unsigned stepped, accepts;
static uid_t asking;     /* who clients seem to be */
static bool no_accepts;  /* no descriptors left */

int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict size)
{
    int (*real)(int, int, int, void *, socklen_t *);
    int r;

    *(void **)&real = dlsym(RTLD_NEXT, "getsockopt");
    r = real(fd, level, name, value, size);
    if (r == 0 && level == SOL_SOCKET && name == SO_PEERCRED)
        ((struct ucred *)value)->uid = asking;
    return r;
}

uid_t geteuid(void)
{
    return DAEMON_USER;
}

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict size, int flags)
{
    int (*real)(int, struct sockaddr *, socklen_t *, int);

    accepts++;
    if (no_accepts) {
        errno = EMFILE;
        return -1;
    }
    *(void **)&real = dlsym(RTLD_NEXT, "accept4");
    return real(fd, address, size, flags);
}

static struct json_object *answer_ok(void *context, const char *argument)
{
    struct json_object *answer = json_object_new_object();

    (void)argument;
    assert_ptr_equal(context, &side);
    json_object_object_add(answer, "ok", json_object_new_boolean(true));
    return answer;
}

static struct json_object *answer_echo(void *context, const char *argument)
{
    struct json_object *answer = json_object_new_object();

    (void)context;
    json_object_object_add(answer, "said", json_object_new_string(argument));
    return answer;
}

static struct json_object *answer_step(void *context, const char *argument)
{
    stepped++;
    return answer_ok(context, argument);
}

static struct json_object *answer_large(void *context, const char *argument)
{
    struct json_object *answer = json_object_new_object(), *list = json_object_new_array();

    (void)context;
    (void)argument;
    for (int i = 0; i < ITEMS; i++)
        json_object_array_add(list, json_object_new_int(i));
    json_object_object_add(answer, "list", list);
    return answer;
}

static struct json_object *answer_nothing(void *context, const char *argument)
{
    (void)context;
    (void)argument;
    return NULL;
}

static const struct control_word words[] = {
    {.word = "look", .answer = answer_ok},
    {.word = "echo", .takes_argument = true, .answer = answer_echo},
    {.word = "step", .changes = true, .answer = answer_step},
    {.word = "large", .answer = answer_large},
    {.word = "nothing", .answer = answer_nothing},
};

static int setup(void **state)
{
    (void)state;
    stepped = 0;
    asking = 1000;
    no_accepts = false;
    control_side_open(&side);
    return control_open(side.loop, side.path, words, sizeof words / sizeof words[0], &side,
                        &control);
}

static int teardown(void **state)
{
    (void)state;
    control_close(control);
    assert_int_equal(access(side.path, F_OK), -1);
    control_side_close(&side);
    return 0;
}

static void test_answers(void **state)
{
    (void)state;
    assert_answer(&side, "look\n", OK);
    assert_answer(&side, "echo\n", "{\"said\":\"\"}\n");
    assert_answer(&side, "echo \"a/b\"\n", "{\"said\":\"\\\"a/b\\\"\"}\n");
    assert_answer(&side, "nothing\n", "");
}

static void test_a_question_in_pieces(void **state)
{
    static const char question[] = "echo hello\n";
    int fd = control_dial(side.path);
    char *answer;

    (void)state;
    for (size_t i = 0; question[i]; i++) {
        assert_no_answer(fd);
        control_say(fd, (const char[]){question[i], '\0'});
        control_settle(&side);
    }
    answer = control_take(&side, fd, 1);
    assert_string_equal(answer, "{\"said\":\"hello\"}\n");
    free(answer);
}

/* One line, an object, with one text that holds all of these. */
static void expect_complaint(char *answer, const char *first, const char *second)
{
    struct json_object *object = json_tokener_parse(answer), *error = NULL;

    assert_ptr_equal(strchr(answer, '\n'), answer + strlen(answer) - 1);
    assert_true(json_object_object_get_ex(object, "error", &error));
    assert_int_equal(json_object_object_length(object), 1);
    assert_non_null(strstr(json_object_get_string(error), first));
    assert_non_null(strstr(json_object_get_string(error), second));
    json_object_put(object);
    free(answer);
}

static void test_complaints(void **state)
{
    char line[CONTROL_LINE_MAX + 64];
    int fd;

    (void)state;
    expect_complaint(control_ask(&side, "lok\n"), "\"lok\"", "look, echo, step, large, nothing");
    expect_complaint(control_ask(&side, "lok at\n"), "\"lok\"", "look, echo, step, large, nothing");
    expect_complaint(control_ask(&side, "\n"), "one line", "look, echo, step, large, nothing");
    expect_complaint(control_ask(&side, "look\nlook\n"), "one line", "look, echo");
    expect_complaint(control_ask(&side, "lo\x1bok\n"), "one line", "look, echo");
    expect_complaint(control_ask(&side, "look there\n"), "\"there\"", "look takes none");
    memset(line, 'a', sizeof line);
    line[sizeof line - 1] = '\0';
    expect_complaint(control_ask(&side, line), "one line", "look, echo");
    fd = control_begin(&side, "look");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    expect_complaint(control_take(&side, fd, 65536), "one line", "look, echo");
}

static void test_who_may_change_something(void **state)
{
    (void)state;
    assert_answer(&side, "step\n", "{\"error\":\"only root may step\"}\n");
    assert_int_equal(stepped, 0);
    asking = 0;
    assert_answer(&side, "step\n", OK);
    asking = DAEMON_USER;
    assert_answer(&side, "step\n", OK);
    assert_int_equal(stepped, 2);
}

/* The next one waits until somebody goes. */
static void test_full_house(void **state)
{
    int fds[CONTROL_CLIENTS_MAX], next;
    char *answer;

    (void)state;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        fds[i] = control_dial(side.path);
        control_settle(&side);
    }
    next = control_begin(&side, "look\n");
    control_settle(&side);
    assert_no_answer(next);
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        close(fds[i]);
    answer = control_take(&side, next, 65536);
    assert_string_equal(answer, OK);
    free(answer);
}

/* As many as can be, and none of them ever asks: they are sent away. */
static void test_silent_clients(void **state)
{
    int fds[CONTROL_CLIENTS_MAX];
    char *answer;

    (void)state;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        fds[i] = i % 2 ? control_dial(side.path) : control_begin(&side, "look");
    assert_answer(&side, "look\n", OK);
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        answer = control_take(&side, fds[i], 65536);
        assert_string_equal(answer, "");
        free(answer);
    }
}

static void test_a_large_answer(void **state)
{
    char *answer = control_ask(&side, "large\n");
    struct json_object *object = json_tokener_parse(answer), *list = NULL;

    (void)state;
    assert_true(json_object_object_get_ex(object, "list", &list));
    assert_int_equal(json_object_array_length(list), ITEMS);
    json_object_put(object);
    free(answer);
}

static void test_who_never_reads(void **state)
{
    int fds[CONTROL_CLIENTS_MAX];
    char *whole = control_ask(&side, "large\n"), *answer;

    (void)state;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        fds[i] = control_begin(&side, "large\n");
    assert_answer(&side, "look\n", OK);
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct pollfd gone = {.fd = fds[i]};

        while (poll(&gone, 1, 0) == 0 || !(gone.revents & POLLHUP))
            assert_true(sd_event_run(side.loop, 10000) >= 0);
    }
    /* All sixteen were dropped, what was in their sockets' buffers is all they get. */
    assert_answer(&side, "look\n", OK);
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        answer = control_take(&side, fds[i], 65536);
        assert_in_range(strlen(answer), 1, strlen(whole) - 1);
        assert_memory_equal(answer, whole, strlen(answer));
        free(answer);
    }
    free(whole);
}

static void test_who_goes_away(void **state)
{
    (void)state;
    close(control_dial(side.path));
    close(control_begin(&side, "look"));
    close(control_begin(&side, "look\n"));
    close(control_begin(&side, "large\n"));
    assert_answer(&side, "look\n", OK);
}

static int on_busy(sd_event_source *source, int fd, uint32_t events, void *context)
{
    (void)source;
    (void)fd;
    (void)events;
    ++*(unsigned *)context;
    return 0;
}

/* As long as there is anything else to do, clients wait, each of their steps anew. */
static void test_everything_else_comes_first(void **state)
{
    sd_event_source *busy = NULL;
    unsigned turns = 0;
    int asked, fresh, always = eventfd(1, EFD_CLOEXEC);
    char *answer;

    (void)state;
    asked = control_dial(side.path);
    control_settle(&side);
    control_say(asked, "look\n");
    assert_true(sd_event_add_io(side.loop, &busy, always, EPOLLIN, on_busy, &turns) >= 0);
    fresh = control_begin(&side, "look\n");
    accepts = 0;
    while (turns < 100)
        assert_true(sd_event_run(side.loop, 0) > 0);
    assert_no_answer(asked);
    assert_int_equal(accepts, 0);
    sd_event_source_disable_unref(busy);
    close(always);
    answer = control_take(&side, asked, 65536);
    assert_string_equal(answer, OK);
    free(answer);
    answer = control_take(&side, fresh, 65536);
    assert_string_equal(answer, OK);
    free(answer);
}

static void test_no_descriptors_left(void **state)
{
    int fd = control_begin(&side, "look\n");
    char *answer;

    (void)state;
    no_accepts = true;
    accepts = 0;
    control_settle(&side);
    assert_int_equal(accepts, 1);
    no_accepts = false;
    answer = control_take(&side, fd, 65536);
    assert_string_equal(answer, OK);
    free(answer);
}

/* What the teardown does finds clients in all their states. */
static void test_closed_meanwhile(void **state)
{
    (void)control_dial(side.path);
    (void)control_begin(&side, "loo");
    (void)control_begin(&side, "large\n");
    control_settle(&side);
    (void)control_begin(&side, "look\n");
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_question_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_complaints, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_may_change_something, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_house, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent_clients, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_large_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_never_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_goes_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_everything_else_comes_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_descriptors_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closed_meanwhile, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
