/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs a target once for each file named, or for standard input: how any build replays a corpus,
 * and what "afl-fuzz ... TARGET @@" needs. */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

static void run(FILE *in)
{
    uint8_t *data = NULL, *grown;
    size_t size = 0, room = 0, got;

    do {
        if (size == room) {
            room = 2 * room + 4096;
            grown = realloc(data, room);
            must(grown);
            data = grown;
        }
        got = fread(data + size, 1, room - size, in);
        size += got;
    } while (got > 0);
    /* Just that size, so that a read beyond its end is noticed. */
    grown = fuzz_copy(data, size);
    (void)LLVMFuzzerTestOneInput(grown, size);
    free(grown);
    free(data);
}

int main(int argc, char *argv[])
{
    if (argc < 2)
        run(stdin);
    for (int i = 1; i < argc; i++) {
        FILE *in = fopen(argv[i], "rb");

        if (!in) {
            (void)fprintf(stderr, "%s: %s\n", argv[i], strerror(errno));
            return EXIT_FAILURE;
        }
        run(in);
        (void)fclose(in);
    }
    return EXIT_SUCCESS;
}
