/* SPDX-License-Identifier: BSD-2-Clause */
/* One end of a handshake, either one, and an intruder at the other: it is never over. */
#include "fuzz_intruder.h"

#include <errno.h>

static int feed(struct tls *tls, const struct intruder *intruder)
{
    int r = tls_handshake(tls);

    for (size_t at = 0; at < intruder->size && r == -EAGAIN; at += intruder->piece) {
        const size_t left = intruder->size - at;
        const size_t length = left < intruder->piece ? left : intruder->piece;
        uint8_t *piece = fuzz_copy(intruder->bytes + at, length);

        r = tls_feed(tls, piece, length);
        free(piece);
        if (r == -ENOBUFS)
            return r;
        must(r == 0);
        r = tls_handshake(tls);
    }
    return r;
}

static void check(struct tls *tls, const struct intruder *intruder, uint8_t *output)
{
    int r = feed(tls, intruder);

    must(r == -EAGAIN || r == -ENOBUFS || r == -EPROTO || r == -ENOKEY || r == -EKEYREJECTED);
    must(r == -EAGAIN || r == -ENOBUFS || tls_handshake(tls) == r);
    must(memchr(tls_identity(tls), '\0', KEYRING_NAME_SIZE));
    for (const char *c = tls_identity(tls); *c; c++)
        must(*c > ' ' && *c <= '~');
    intruder_check_answer(intruder, output, intruder_drain(tls, output));
    tls_close(tls);
    must(intruder_drain(tls, output) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct keyring *keyring;
    uint8_t output[INTRUDER_FLIGHT_MAX], hello[INTRUDER_FLIGHT_MAX];
    const bool calls = intruder_wants_call(data, size);
    struct intruder intruder;
    struct tls *tls = NULL;
    size_t length = 0;

    if (!keyring)
        keyring = intruder_keyring();
    if (calls) {
        const struct key key = intruder_key(keyring, FLIGHT_OVERHEARD);

        must(tls_call(&key, &tls) == 0);
        must(tls_handshake(tls) == -EAGAIN);
        length = intruder_drain(tls, hello);
    } else {
        must(tls_accept(keyring, &tls) == 0);
    }
    if (intruder_begin(&intruder, keyring, calls ? hello : NULL, length, data, size)) {
        check(tls, &intruder, output);
        free(intruder.bytes);
    }
    tls_free(tls);
    return 0;
}
