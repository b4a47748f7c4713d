/* SPDX-License-Identifier: BSD-2-Clause */
/* What stays in memory, and what the environment may do to us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tls_pair.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum probe { PROBE_OPEN = 0, PROBE_FORBIDDEN = 10, PROBE_FAILED = 11 };

static char program[4096];

/* How often the bytes are in the heap. */
static size_t count_in_heap(const uint8_t *bytes, size_t length)
{
    char line[512];
    size_t count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        uintptr_t start, end;
        if (!strstr(line, "[heap]") || sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &start, &end) != 2)
            continue;
        const uint8_t *at = (const uint8_t *)start;
        while ((at = memmem(at, end - (uintptr_t)at, bytes, length)) != NULL) {
            count++;
            at += length;
        }
    }
    (void)fclose(maps);
    return count;
}

/* Of the key, what a freed block's links would leave. */
static size_t count_key(const struct key *key)
{
    return count_in_heap(key->secret + 16, KEYRING_SECRET_SIZE - 16);
}

static void no_key_stays_behind(void **state)
{
    (void)state;
    for (int wrong = 0; wrong < 2; wrong++) {
        struct pair pair = pair_with(NULL);
        struct key key = *keyring_at(pair.keyring, 0), given = key;
        int server, client;

        given.secret[0] ^= (uint8_t)wrong;
        tls_free(pair.client);
        assert_int_equal(tls_call(&given, &pair.client), 0);
        if (count_key(&key) == 0) {
            pair_free(&pair);
            skip(); /* what watches us keeps its heap elsewhere */
        }
        pair_shake(&pair, TLS_OUTPUT_MAX, &server, &client);
        assert_int_equal(server, wrong ? -EKEYREJECTED : 0);
        pair_free(&pair);
        assert_int_equal(count_key(&key), 0);
    }
}

static int probe(void)
{
    struct pair pair = {.keyring = pair_keyring()};
    int server = 0, client = 0;

    int error = tls_accept(pair.keyring, &pair.server);
    if (error == 0) {
        error = tls_call(keyring_at(pair.keyring, 0), &pair.client);
        pair_shake(&pair, TLS_OUTPUT_MAX, &server, &client);
    }
    pair_free(&pair);
    if (error < 0)
        return error == -EPROTONOSUPPORT ? PROBE_FORBIDDEN : PROBE_FAILED;
    return server == 0 && client == 0 ? PROBE_OPEN : PROBE_FAILED;
}

/* What probe() returns in a process with this in its environment from the start. */
static int probe_with(const char *name, const char *value, int errors)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        if (setenv(name, value, 1) < 0 || (errors >= 0 && dup2(errors, STDERR_FILENO) < 0))
            _exit(127);
        (void)execl(program, program, "probe", (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void no_environment_makes_it_write_keys(void **state)
{
    char directory[] = "/tmp/berkeley-tls-XXXXXX", path[64], text[65536];

    (void)state;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/keys", directory);
    assert_int_equal(probe_with("SSLKEYLOGFILE", path, -1), PROBE_OPEN);
    assert_int_equal(access(path, F_OK), -1);

    int log = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(log >= 0);
    assert_int_equal(probe_with("GNUTLS_DEBUG_LEVEL", "99", log), PROBE_OPEN);
    ssize_t length = pread(log, text, sizeof(text) - 1, 0);
    assert_true(length >= 0);
    text[length] = '\0';
    assert_null(strstr(text, "KEY"));
    assert_null(strstr(text, "HSK["));
    (void)close(log);
    (void)unlink(path);
    (void)rmdir(directory);
}

/* It may leave us less, down to nothing at all, but never more. */
static void the_policy_of_a_system_may_forbid_only(void **state)
{
    static const struct {
        const char *text;
        int result;
    } POLICIES[] = {
        {"[priorities]\nSYSTEM=NORMAL:+VERS-TLS1.0\n", PROBE_OPEN},
        {"[overrides]\ndefault-priority-string = NORMAL\n", PROBE_OPEN},
        {"no such syntax\n", PROBE_OPEN},
        {"[overrides]\ntls-disabled-cipher = AES-128-GCM\n", PROBE_OPEN},
        {"[overrides]\ntls-disabled-cipher = CHACHA20-POLY1305\n", PROBE_OPEN},
        {"[overrides]\ntls-disabled-group = GROUP-X25519\n", PROBE_OPEN},
        {"[overrides]\ndisabled-version = tls1.3\n", PROBE_FORBIDDEN},
    };
    char path[] = "/tmp/berkeley-tls-XXXXXX";
    int file = mkstemp(path);

    (void)state;
    assert_true(file >= 0);
    for (size_t i = 0; i < sizeof(POLICIES) / sizeof(*POLICIES); i++) {
        size_t length = strlen(POLICIES[i].text);
        assert_int_equal(ftruncate(file, 0), 0);
        assert_int_equal(pwrite(file, POLICIES[i].text, length, 0), length);
        assert_int_equal(probe_with("GNUTLS_SYSTEM_PRIORITY_FILE", path, -1), POLICIES[i].result);
    }
    (void)close(file);
    (void)unlink(path);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_key_stays_behind),
        cmocka_unit_test(no_environment_makes_it_write_keys),
        cmocka_unit_test(the_policy_of_a_system_may_forbid_only),
    };

    if (argc > 1 && strcmp(argv[1], "probe") == 0)
        return probe();
    if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
