/* SPDX-License-Identifier: BSD-2-Clause */
/* Key files as text: what they may hold, what is said of those that do not, and finding keys. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/keyring.h"
#include "dice.h"

#define HEX_SIZE (2 * KEYRING_SECRET_SIZE + 1)
#define TEXT_SIZE 4096
#define PIECE 8

#define KEY_A "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210"
#define KEY_B "8c1f5a0be72d94c36fa1e05b7d283946c7fe10a95d34b286013fce4a79d5b862"
#define KEY_C "F00DCAFE5EED5A17D1CEB0A710CA7E5C0FFEE15C01DFACADEFACED0B5E55ED42"

static struct keyring *parse_bytes(const char *text, size_t length, char *error)
{
    struct keyring *ring = NULL;
    const int r = keyring_parse("k", text, length, &ring, error);

    assert_int_equal(r, ring ? 0 : -EINVAL);
    return ring;
}

static struct keyring *parse(const char *text)
{
    char error[KEYRING_ERROR_SIZE] = "";
    struct keyring *ring = parse_bytes(text, strlen(text), error);

    if (!ring)
        fail_msg("%s", error);
    return ring;
}

/* That it is refused with a line that begins like this. */
static void expect_refused(const char *text, size_t length, const char *start)
{
    char error[KEYRING_ERROR_SIZE] = "";
    struct keyring *ring = parse_bytes(text, length, error);

    assert_null(ring);
    if (strncmp(error, start, strlen(start)) != 0)
        fail_msg("\"%s\" instead of \"%s...\"", error, start);
    assert_null(strchr(error, '\n'));
}

static void test_reads_keys(void **state)
{
    static const uint8_t secret[KEYRING_SECRET_SIZE] = {
        0xf0, 0x0d, 0xca, 0xfe, 0x5e, 0xed, 0x5a, 0x17, 0xd1, 0xce, 0xb0,
        0xa7, 0x10, 0xca, 0x7e, 0x5c, 0x0f, 0xfe, 0xe1, 0x5c, 0x01, 0xdf,
        0xac, 0xad, 0xef, 0xac, 0xed, 0x0b, 0x5e, 0x55, 0xed, 0x42};
    struct keyring *ring = parse("# of June \xc3\xa9\n\n  \t\none " KEY_A "\r\n\r\n"
                                 "\t two\t \t" KEY_B "  db1 \n  # and July\nthree " KEY_C);

    (void)state;
    assert_int_equal(keyring_count(ring), 3);
    assert_string_equal(keyring_at(ring, 0)->identity, "one");
    assert_string_equal(keyring_at(ring, 0)->name, "");
    assert_string_equal(keyring_at(ring, 1)->identity, "two");
    assert_string_equal(keyring_at(ring, 1)->name, "db1");
    assert_memory_equal(keyring_at(ring, 2)->secret, secret, sizeof secret);
    assert_null(keyring_at(ring, 3));
    keyring_free(ring);
    keyring_free(NULL);
}

static void test_longest_words(void **state)
{
    char word[KEYRING_NAME_SIZE + 1], text[TEXT_SIZE];
    struct keyring *ring;

    (void)state;
    memset(word, '~', sizeof word);
    word[KEYRING_NAME_SIZE - 1] = '\0';
    (void)snprintf(text, sizeof text, "%s " KEY_A " %s\n", word, word);
    ring = parse(text);
    assert_string_equal(keyring_at(ring, 0)->identity, word);
    assert_string_equal(keyring_at(ring, 0)->name, word);
    keyring_free(ring);
    word[KEYRING_NAME_SIZE - 1] = '~';
    word[KEYRING_NAME_SIZE] = '\0';
    (void)snprintf(text, sizeof text, "%s " KEY_A "\n", word);
    expect_refused(text, strlen(text), "k:1: found no identity in the 1st column");
    (void)snprintf(text, sizeof text, "a " KEY_A " %s\n", word);
    expect_refused(text, strlen(text), "k:1: found no machine's name in the 3rd column");
}

struct refusal {
    const char *text, *start;
};

static void test_refusals(void **state)
{
    static const struct refusal refusals[] = {
        {"", "k:1: found no key up to the end"},
        {"# nothing\n\n", "k:2: found no key up to the end"},
        {KEY_A "\n", "k:1: found one column"},
        {"\n# x\n" KEY_A " one\n", "k:3: found no identity in the 1st column"},
        {"one two " KEY_A "\n", "k:1: found no key in the 2nd column"},
        {"one " KEY_A "0\n", "k:1: found no key in the 2nd column"},
        {"one " KEY_A "00\n", "k:1: found no key in the 2nd column"},
        {"one 0x" KEY_A "\n", "k:1: found no key in the 2nd column"},
        {"one g" KEY_A "\n", "k:1: found no key in the 2nd column"},
        {"one 0011223344\n", "k:1: found no key in the 2nd column"},
        {"one " KEY_A " db1 db2\n", "k:1: found more than three columns"},
        {"one " KEY_A " # mine\n", "k:1: found more than three columns"},
        {"one " KEY_A " #mine\n", "k:1: found no machine's name in the 3rd column"},
        {"one " KEY_A " d\xc3\xa9\n", "k:1: found no machine's name in the 3rd column"},
        {"\xef\xbb\xbfone " KEY_A "\n", "k:1: found no identity in the 1st column"},
        {"o\x7fne " KEY_A "\n", "k:1: found no identity in the 1st column"},
        {"one " KEY_A "\r\r\n", "k:1: found no key in the 2nd column"},
        {"one " KEY_A "\rtwo " KEY_B "\n", "k:1: found no key in the 2nd column"},
        {"one " KEY_A "\f\n", "k:1: found no key in the 2nd column"},
        {"one " KEY_A "\none " KEY_B "\n", "k:2: found the identity of line 1"},
        {"a " KEY_C "\n\nb " KEY_B "\nc " KEY_B "\na " KEY_A "\n", "k:4: found the key of line 3"},
        {"a " KEY_C "\nb " KEY_B "\nc " KEY_B "\nd " KEY_C "\n", "k:3: found the key of line 2"},
        {"a f00dcafe5eed5a17d1ceb0a710ca7e5c0ffee15c01dfacadefaced0b5e55ed42\nb " KEY_C "\n",
         "k:2: found the key of line 1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        expect_refused(refusals[i].text, strlen(refusals[i].text), refusals[i].start);
}

static void test_refuses_nul(void **state)
{
    static const char *const texts[] = {"o?e " KEY_A "\n", "one " KEY_A " d?b\n",
                                        "one " KEY_A "?\n", "# c?\none " KEY_A "\n",
                                        "one " KEY_A "\n?"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[TEXT_SIZE];
        const size_t length = (size_t)snprintf(text, sizeof text, "%s", texts[i]);

        *strchr(text, '?') = '\0';
        expect_refused(text, length, i < 4 ? "k:1: found a NUL byte" : "k:2: found a NUL byte");
    }
}

static void test_refuses_weak_keys(void **state)
{
    char text[TEXT_SIZE];

    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        size_t length = (size_t)snprintf(text, sizeof text, "good " KEY_A "\nweak ");

        for (unsigned i = 0; i < KEYRING_SECRET_SIZE; i++)
            length += (size_t)snprintf(text + length, sizeof text - length, "%02x", byte);
        expect_refused(text, length, "k:2: found a key of one byte again and again");
    }
}

static void test_refuses_too_much(void **state)
{
    static const char line[] = "one " KEY_A;
    char *text = malloc(KEYRING_FILE_MAX + 1);
    struct keyring *ring;
    char error[KEYRING_ERROR_SIZE];

    (void)state;
    assert_non_null(text);
    memset(text, '\n', KEYRING_FILE_MAX + 1);
    memcpy(text, line, sizeof line - 1);
    expect_refused(text, KEYRING_FILE_MAX + 1, "k: found 4194305 bytes");
    ring = parse_bytes(text, KEYRING_FILE_MAX, error);
    assert_non_null(ring);
    keyring_free(ring);
    free(text);
}

static void random_hex(struct dice *dice, char hex[HEX_SIZE])
{
    for (size_t i = 0; i < HEX_SIZE - 1; i++)
        hex[i] = "0123456789abcdefABCDEF"[dice_below(dice, 22)];
    hex[HEX_SIZE - 1] = '\0';
}

static bool shares_piece(const char *said, const char *secret)
{
    for (size_t i = 0; i + PIECE <= strlen(secret); i++) {
        char piece[PIECE + 1];

        (void)snprintf(piece, sizeof piece, "%s", secret + i);
        if (strstr(said, piece))
            return true;
    }
    return false;
}

static void spoil(struct dice *dice, char *text)
{
    const size_t length = strlen(text);
    char *at = text + dice_below(dice, length);

    switch (dice_below(dice, 4)) {
    case 0:
        *at = " \t\n\r#z\x80~"[dice_below(dice, 8)];
        break;
    case 1:
        memmove(at, at + 1, strlen(at));
        break;
    case 2:
        memmove(at + 1, at, strlen(at) + 1);
        *at = " \n\ta"[dice_below(dice, 4)];
        break;
    default:
        *at = '\0';
    }
}

/* Whatever is wrong, and in whatever order the columns came. */
static void test_errors_keep_secrets(void **state)
{
    struct dice dice = dice_new();
    unsigned refused = 0;

    (void)state;
    for (unsigned life = 0; life < 20000; life++) {
        char one[HEX_SIZE], other[HEX_SIZE], text[TEXT_SIZE], error[KEYRING_ERROR_SIZE] = "";
        const bool turned = dice_below(&dice, 4) == 0;
        struct keyring *ring = NULL;

        random_hex(&dice, one);
        random_hex(&dice, other);
        (void)snprintf(text, sizeof text, "# mine\n%s %s db1\nb %s\n", turned ? one : "a",
                       turned ? "a" : one, other);
        for (uint64_t n = dice_below(&dice, 3); n > 0 && text[0] != '\0'; n--)
            spoil(&dice, text);
        if (keyring_parse("k", text, strlen(text), &ring, error) < 0)
            refused++;
        assert_dice(&dice, !shares_piece(error, one) && !shares_piece(error, other));
        keyring_free(ring);
    }
    assert_in_range(refused, 5000, 19999);
}

static void test_finds_among_many(void **state)
{
    enum { KEYS = 10000 };
    struct dice dice = dice_new();
    const size_t size = (size_t)KEYS * (HEX_SIZE + 16);
    char *text = malloc(size), identity[16];
    struct keyring *ring;
    size_t length = 0;

    (void)state;
    assert_non_null(text);
    for (unsigned i = 0; i < KEYS; i++) {
        char hex[HEX_SIZE];

        random_hex(&dice, hex);
        length += (size_t)snprintf(text + length, size - length, "id%u %s\n", i * 7919 % KEYS, hex);
    }
    ring = parse(text);
    free(text);
    assert_int_equal(keyring_count(ring), KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        const struct key *key = keyring_at(ring, i);

        assert_dice(&dice, keyring_find(ring, key->identity) == key);
    }
    (void)snprintf(identity, sizeof identity, "id%d", KEYS);
    assert_null(keyring_find(ring, identity));
    assert_null(keyring_find(ring, "id"));
    assert_null(keyring_find(ring, ""));
    keyring_free(ring);
}

static void test_usable(void **state)
{
    struct keyring *ring = parse("a " KEY_A " db1\nb " KEY_B "\nc " KEY_C " db2\n");
    size_t place = 99;

    (void)state;
    assert_ptr_equal(keyring_usable(ring, "db1", 0, &place), keyring_at(ring, 0));
    assert_int_equal(place, 0);
    assert_ptr_equal(keyring_usable(ring, "db1", 1, &place), keyring_at(ring, 1));
    assert_int_equal(place, 1);
    assert_null(keyring_usable(ring, "db1", 2, &place));
    assert_int_equal(place, 1);
    assert_ptr_equal(keyring_usable(ring, "db2", 2, NULL), keyring_at(ring, 2));
    assert_ptr_equal(keyring_usable(ring, "db", 0, NULL), keyring_at(ring, 1));
    assert_ptr_equal(keyring_usable(ring, "", 0, NULL), keyring_at(ring, 1));
    assert_null(keyring_usable(ring, "db2", 3, NULL));
    assert_null(keyring_usable(ring, "db2", SIZE_MAX, NULL));
    keyring_free(ring);
}

static void test_agree(void **state)
{
    struct keyring *ring = parse("a " KEY_A "\nb " KEY_B " db1\nc " KEY_C "\n");
    struct keyring *other =
        parse("c f00dcafe5eed5a17d1ceb0a710ca7e5c0ffee15c01dfacadefaced0b5e55ed42"
              "\nb " KEY_B " db2\nd " KEY_A "\n");
    struct keyring *changed = parse("a " KEY_B "\nc " KEY_A "\n");

    (void)state;
    assert_true(keyring_agree(ring, other, "c"));
    assert_true(keyring_agree(ring, ring, "b"));
    assert_false(keyring_agree(ring, other, "b"));
    assert_false(keyring_agree(ring, other, "a"));
    assert_false(keyring_agree(ring, other, "d"));
    assert_false(keyring_agree(ring, other, "e"));
    assert_false(keyring_agree(ring, changed, "a"));
    assert_false(keyring_agree(ring, changed, "c"));
    keyring_free(changed);
    keyring_free(other);
    keyring_free(ring);
}

/* Secrets that differ in one bit are not the same, wherever it is. */
static void test_agree_on_every_bit(void **state)
{
    struct keyring *ring = parse("a " KEY_B "\n");

    (void)state;
    for (unsigned bit = 0; bit < 8 * KEYRING_SECRET_SIZE; bit++) {
        uint8_t secret[KEYRING_SECRET_SIZE];
        char text[TEXT_SIZE];
        size_t length = (size_t)snprintf(text, sizeof text, "a ");
        struct keyring *other;

        memcpy(secret, keyring_at(ring, 0)->secret, sizeof secret);
        secret[bit / 8] = (uint8_t)(secret[bit / 8] ^ 1U << bit % 8);
        for (size_t i = 0; i < sizeof secret; i++)
            length += (size_t)snprintf(text + length, sizeof text - length, "%02x", secret[i]);
        other = parse(text);
        assert_false(keyring_agree(ring, other, "a"));
        keyring_free(other);
    }
    keyring_free(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_keys),
        cmocka_unit_test(test_longest_words),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_refuses_nul),
        cmocka_unit_test(test_refuses_weak_keys),
        cmocka_unit_test(test_refuses_too_much),
        cmocka_unit_test(test_errors_keep_secrets),
        cmocka_unit_test(test_finds_among_many),
        cmocka_unit_test(test_usable),
        cmocka_unit_test(test_agree),
        cmocka_unit_test(test_agree_on_every_bit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
