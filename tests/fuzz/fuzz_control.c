/* SPDX-License-Identifier: BSD-2-Clause */
/* Questions on the control socket: whatever is understood was said in just these words. */
#include "fuzz.h"

#include "daemon/control.h"

#include <errno.h>

static const struct control_word words[] = {
    {.word = "status"},
    {.word = "clocks"},
    {.word = "rounds", .takes_argument = true},
    {.word = "now"},
    {.word = "counters"},
    {.word = "trace", .changes = true, .takes_argument = true},
    {.word = "step", .changes = true, .takes_argument = true},
};

#define WORDS (sizeof words / sizeof words[0])

static void check_understood(const char *line, size_t size, const struct control_word *word,
                             const char *argument)
{
    char again[CONTROL_LINE_MAX + CONTROL_ARGUMENT_SIZE];

    must(word >= words && word < words + WORDS);
    must(memchr(argument, '\0', CONTROL_ARGUMENT_SIZE));
    for (const char *c = argument; *c; c++)
        must(*c >= ' ' && *c <= '~');
    (void)snprintf(again, sizeof again, "%s%s%s\n", word->word, *argument ? " " : "", argument);
    must(strlen(again) == size && memcmp(again, line, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *line = fuzz_copy(data, size);
    const struct control_word *word = NULL;
    char argument[CONTROL_ARGUMENT_SIZE] = "untouched";
    int r = control_parse(words, WORDS, (const char *)line, size, &word, argument);

    must(r == 0 || r == -EINVAL || r == -ENOENT);
    if (r == 0) {
        check_understood((const char *)line, size, word, argument);
    } else {
        must(!word);
        must(strcmp(argument, "untouched") == 0);
    }
    free(line);
    return 0;
}
