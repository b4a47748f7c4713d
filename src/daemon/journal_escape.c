/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/journal_escape.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ESCAPED_SIZE 4 /* \xNN */

static const char ellipsis[] = "...";

/* Length and code point of the UTF-8 sequence at `at`, 0 if it is none. */
static size_t sequence_read(const unsigned char *at, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;

    if (length == 0 || at[0] >= 0xf8)
        return 0;
    *code = length == 1 ? at[0] : at[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (at[i] & 0x3fU);
    }
    if (*code < least[length] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
        return 0;
    return length;
}

static bool code_is_printable(uint32_t code)
{
    return code >= 0x20 && !(code >= 0x7f && code < 0xa0) &&     /* C0, DEL, C1 */
           code != 0x061c && code != 0x200e && code != 0x200f && /* direction marks */
           !(code >= 0x2028 && code <= 0x202e) && /* separators, embeddings, overrides */
           !(code >= 0x2066 && code <= 0x2069);   /* isolates */
}

static void byte_escape(unsigned char byte, char out[ESCAPED_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[byte >> 4];
    out[3] = digits[byte & 0xf];
}

const char *journal_escape(const char *text, char *out, size_t size)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t used = 0, cut = 0;

    assert(size >= 8);
    while (*at != '\0') {
        uint32_t code = 0;
        size_t taken = sequence_read(at, &code);
        bool plain = taken > 0 && code_is_printable(code);
        size_t made = plain ? taken : ESCAPED_SIZE;

        if (!plain)
            taken = 1;
        if (used + sizeof(ellipsis) <= size)
            cut = used;
        if (used + made + 1 > size) {
            memcpy(out + cut, ellipsis, sizeof(ellipsis));
            return out;
        }
        if (plain)
            memcpy(out + used, at, taken);
        else
            byte_escape(*at, out + used);
        used += made;
        at += taken;
    }
    out[used] = '\0';
    return out;
}
