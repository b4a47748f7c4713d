/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration files: whatever is taken is the same when printed and read again; anything
 * else gets one line. */
#include "fuzz_file.h"

#include "daemon/config.h"

#define UNTOUCHED 0xa5

static int load(const struct fuzz_file *file, struct config *config, char error[CONFIG_ERROR_SIZE])
{
    static struct config untouched;
    int r;

    memset(&untouched, UNTOUCHED, sizeof untouched);
    memcpy(config, &untouched, sizeof untouched);
    memset(error, UNTOUCHED, CONFIG_ERROR_SIZE);
    r = config_load(file->path, config, error);
    must(memchr(error, '\0', CONFIG_ERROR_SIZE));
    must((r == 0) == !error[0]);
    must(!strchr(error, '\n'));
    must(r == 0 || fuzz_same(config, &untouched, sizeof untouched));
    return r;
}

static void differs(const char *key, bool live, void *context)
{
    (void)live;
    (void)context;
    (void)fprintf(stderr, "%s is another when read again\n", key);
    abort();
}

static void check_printed(const struct config *config, const struct fuzz_file *file)
{
    char *text, error[CONFIG_ERROR_SIZE];
    struct config *again = malloc(sizeof *again);
    size_t size;
    FILE *out = open_memstream(&text, &size);

    must(again && out);
    config_print(config, out);
    must(fclose(out) == 0);
    fuzz_file_write(file, text, size);
    if (load(file, again, error) != 0)
        (void)fprintf(stderr, "%s\n%s\n", text, error);
    must(!error[0]);
    config_compare(config, again, differs, NULL);
    free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_file file = {.fd = -1};
    char error[CONFIG_ERROR_SIZE];
    struct config *config = malloc(sizeof *config);

    must(config);
    if (file.fd < 0)
        fuzz_file_open(&file);
    fuzz_file_write(&file, data, size);
    if (load(&file, config, error) == 0)
        check_printed(config, &file);
    free(config);
    return 0;
}
