/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocks of addresses: which texts are one, and what is in it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "daemon/prefix.h"
#include "dice.h"
#include "socket_address.h"

#define LIVES 20000

static struct prefix parse(const char *text)
{
    struct prefix prefix;

    if (prefix_parse(text, &prefix) != 0)
        fail_msg("\"%s\" is no prefix", text);
    return prefix;
}

static bool holds(const char *text, const char *address)
{
    const struct prefix prefix = parse(text);
    const struct sockaddr_storage socket_address = socket_address_of(address);

    return prefix_holds(&prefix, (const struct sockaddr *)&socket_address);
}

static void test_parses(void **state)
{
    static const uint8_t v4[16] = {192, 0, 2}, v6[16] = {0x20, 0x01, 0x0d, 0xb8};
    struct prefix prefix = parse("192.0.2.0/24");

    (void)state;
    assert_int_equal(prefix.family, AF_INET);
    assert_int_equal(prefix.bits, 24);
    assert_memory_equal(prefix.bytes, v4, sizeof v4);
    prefix = parse("2001:db8::/32");
    assert_int_equal(prefix.family, AF_INET6);
    assert_int_equal(prefix.bits, 32);
    assert_memory_equal(prefix.bytes, v6, sizeof v6);
    assert_int_equal(parse("192.0.2.7").bits, 32);
    assert_int_equal(parse("2001:db8::7").bits, 128);
    assert_int_equal(parse("0.0.0.0/0").bits, 0);
    assert_int_equal(parse("::/0").bits, 0);
}

static void test_holds(void **state)
{
    (void)state;
    assert_true(holds("192.0.2.0/24", "192.0.2.255"));
    assert_false(holds("192.0.2.0/24", "192.0.3.0"));
    assert_true(holds("192.0.2.7", "192.0.2.7"));
    assert_false(holds("192.0.2.7", "192.0.2.6"));
    assert_true(holds("192.0.2.6/31", "192.0.2.7"));
    assert_true(holds("2001:db8::/33", "2001:db8:7fff:ffff::1"));
    assert_false(holds("2001:db8::/33", "2001:db8:8000::1"));
    assert_false(holds("0.0.0.0/0", "2001:db8::1"));
    assert_false(holds("0.0.0.0/0", "::1"));
    assert_false(holds("::/0", "192.0.2.1"));
}

/* A listener on "::" sees them as ::ffff:192.0.2.7. */
static void test_mapped_addresses(void **state)
{
    (void)state;
    assert_true(holds("192.0.2.0/24", "::ffff:192.0.2.7"));
    assert_false(holds("192.0.2.0/24", "::ffff:192.0.3.7"));
    assert_false(holds("::/0", "::ffff:192.0.2.7"));
    assert_false(holds("192.0.2.0/24", "::192.0.2.7"));
    assert_true(holds("::ffff:192.0.2.0/120", "192.0.2.7"));
    assert_true(holds("::ffff:192.0.2.0/120", "::ffff:192.0.2.7"));
    assert_true(holds("::ffff:0.0.0.0/96", "192.0.2.7"));
    assert_int_equal(parse("::ffff:192.0.2.0/120").bits, 24);
    assert_int_equal(parse("::ffff:192.0.2.7").family, AF_INET);
}

static void test_other_families(void **state)
{
    const struct sockaddr_un path = {.sun_family = AF_UNIX};
    const struct prefix prefix = parse("0.0.0.0/0");

    (void)state;
    assert_false(prefix_holds(&prefix, (const struct sockaddr *)&path));
}

static void expect_error(const char *text, int error)
{
    struct prefix prefix = {.bits = 77};

    if (prefix_parse(text, &prefix) != error)
        fail_msg("\"%s\" is not refused with %d", text, error);
    assert_int_equal(prefix.bits, 77);
}

static void test_refusals(void **state)
{
    static const char *const nonsense[] = {
        "",
        "/",
        "/8",
        "x",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.0/",
        "192.0.2.0/ 24",
        "192.0.2.0/+8",
        "192.0.2.0/-1",
        "192.0.2.0/024",
        "192.0.2.0/24 ",
        " 192.0.2.0/24",
        "192.0.2.0/24/8",
        "192.0.2.0/0x8",
        "192.0.2.0/255.255.255.0",
        "192.0.02.0",
        "2001:db8::/3 2",
        "fe80::1%lo",
        "2001:db8:::/32",
        "::1::",
        "time1.example.org",
        "[::1]",
        "::1/",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc/16",
    };
    static const char *const out_of_range[] = {
        "192.0.2.7/24",
        "192.0.2.0/33",
        "192.0.2.0/256",
        "192.0.2.0/4294967320",
        "192.0.2.1/31",
        "128.0.0.0/0",
        "::1/127",
        "2001:db8::/129",
        "2001:db9::/31",
        "::ffff:192.0.2.7/120",
        "192.0.2.0/18446744073709551640",
    };

    (void)state;
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++)
        expect_error(nonsense[i], -EINVAL);
    for (size_t i = 0; i < sizeof out_of_range / sizeof out_of_range[0]; i++)
        expect_error(out_of_range[i], -ERANGE);
}

static void text_of(const uint8_t bytes[16], bool six, unsigned bits, char *text, size_t size)
{
    char address[INET6_ADDRSTRLEN];

    assert_non_null(inet_ntop(six ? AF_INET6 : AF_INET, bytes, address, sizeof address));
    (void)snprintf(text, size, "%s/%u", address, bits);
}

static void flip(uint8_t bytes[16], unsigned bit)
{
    bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 0x80U >> bit % 8);
}

/* Of a random block: a member stays one whatever is changed after its bits, and is none any more
 * when one of them is. */
static void test_every_bit_counts(void **state)
{
    struct dice dice = dice_new();

    (void)state;
    for (unsigned life = 0; life < LIVES; life++) {
        const bool six = dice_below(&dice, 2) == 0;
        const unsigned width = six ? 128 : 32;
        const unsigned bits = (unsigned)dice_below(&dice, width + 1);
        const unsigned bit = (unsigned)dice_below(&dice, width);
        uint8_t block[16], member[16];
        struct prefix prefix;
        struct sockaddr_storage address;
        char text[64];

        for (size_t i = 0; i < 16; i++)
            member[i] = (uint8_t)dice_below(&dice, 256);
        member[0] |= 1; /* not IPv4 in IPv6 */
        memcpy(block, member, sizeof block);
        for (unsigned i = bits; i < width; i++)
            block[i / 8] = (uint8_t)(block[i / 8] & ~(0x80U >> i % 8));
        text_of(block, six, bits, text, sizeof text);
        assert_dice(&dice, prefix_parse(text, &prefix) == 0);
        address = socket_address_make(member, six);
        assert_dice(&dice, prefix_holds(&prefix, (const struct sockaddr *)&address));
        flip(member, bit);
        address = socket_address_make(member, six);
        assert_dice(&dice,
                    prefix_holds(&prefix, (const struct sockaddr *)&address) == (bit >= bits));
        flip(block, bit);
        text_of(block, six, bits, text, sizeof text);
        assert_dice(&dice, prefix_parse(text, &prefix) == (bit >= bits ? -ERANGE : 0));
    }
}

static void test_of_address(void **state)
{
    const struct sockaddr_storage six = socket_address_of("2001:db8:1:2:3:4:5:6");
    const struct sockaddr_storage mapped = socket_address_of("::ffff:192.0.2.7");
    struct prefix prefix, expected = parse("2001:db8:1:2::/64");

    (void)state;
    assert_true(prefix_of((const struct sockaddr *)&six, 32, 64, &prefix));
    assert_int_equal(prefix.family, AF_INET6);
    assert_int_equal(prefix.bits, 64);
    assert_memory_equal(prefix.bytes, expected.bytes, 16);
    expected = parse("192.0.2.0/24");
    assert_true(prefix_of((const struct sockaddr *)&mapped, 24, 64, &prefix));
    assert_int_equal(prefix.family, AF_INET);
    assert_int_equal(prefix.bits, 24);
    assert_memory_equal(prefix.bytes, expected.bytes, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parses),           cmocka_unit_test(test_holds),
        cmocka_unit_test(test_mapped_addresses), cmocka_unit_test(test_other_families),
        cmocka_unit_test(test_refusals),         cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_of_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
