/* SPDX-License-Identifier: BSD-2-Clause */
#include "demo_screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINES_MAX 16
#define ROWS_MIN (LINES_MAX + 1) /* a lower terminal has no room for the table */
#define COLUMNS_READABLE 100
#define TEXT_SIZE 1024

struct screen {
    bool live, coloured;
    bool after_table; /* the next paragraph keeps its distance */
    unsigned columns;
    /* The table as it stands, and the one being made. */
    unsigned widths[LINES_MAX], lines;
    unsigned width; /* of the line being made */
    char *table;
    size_t table_size;
    FILE *making;
};

static struct winsize size_now(void)
{
    struct winsize size = {0};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0)
        return (struct winsize){.ws_col = 80, .ws_row = 24};
    return size;
}

struct screen *screen_new(void)
{
    struct screen *screen = calloc(1, sizeof(*screen));
    const char *type = getenv("TERM"), *no_colour = getenv("NO_COLOR");

    if (!screen) {
        fprintf(stderr, "demo: out of memory\n");
        exit(EXIT_FAILURE);
    }
    if (isatty(STDOUT_FILENO) && type && *type && strcmp(type, "dumb") != 0) {
        screen->live = size_now().ws_row >= ROWS_MIN;
        screen->coloured = !no_colour || !*no_colour;
    }
    screen->columns = COLUMNS_READABLE;
    return screen;
}

void screen_free(struct screen *screen)
{
    free(screen->table);
    free(screen);
}

bool screen_live(const struct screen *screen)
{
    return screen->live;
}

/* In UTF-8 every character but its continuation bytes. */
static unsigned width_of(const char *text, size_t length)
{
    unsigned width = 0;

    for (size_t i = 0; i < length; i++)
        width += ((unsigned char)text[i] & 0xc0) != 0x80;
    return width;
}

unsigned screen_width(const char *text)
{
    return width_of(text, strlen(text));
}

static const char *tone_code(const struct screen *screen, enum tone tone)
{
    static const char *const codes[TONE_COUNT] = {
        [TONE_QUIET] = "\033[2m",    [TONE_STRONG] = "\033[1m", [TONE_GOOD] = "\033[32m",
        [TONE_PENDING] = "\033[33m", [TONE_BAD] = "\033[31m",
    };

    return screen->coloured && codes[tone] ? codes[tone] : "";
}

static const char *tone_end(const struct screen *screen, enum tone tone)
{
    return *tone_code(screen, tone) ? "\033[0m" : "";
}

/* Up to where the table begins; a terminal made narrower has broken its lines. */
static void table_erase(const struct screen *screen)
{
    unsigned columns = size_now().ws_col, rows = 0;

    for (unsigned i = 0; i < screen->lines; i++)
        rows += screen->widths[i] > columns ? (screen->widths[i] + columns - 1) / columns : 1;
    if (rows > 0)
        printf("\033[%uA\r\033[J", rows);
}

static void paragraph(const struct screen *screen, enum tone tone, unsigned indent,
                      const char *text)
{
    unsigned columns = isatty(STDOUT_FILENO) ? size_now().ws_col : 0, column = 0;

    fputs(tone_code(screen, tone), stdout);
    if (columns > COLUMNS_READABLE)
        columns = COLUMNS_READABLE;
    while (*text) {
        size_t length = strcspn(text, " ");
        unsigned width = width_of(text, length);

        if (column > indent && columns > indent && column + 1 + width >= columns) {
            printf("\n%*s", (int)indent, "");
            column = indent;
        } else if (column > 0) {
            putchar(' ');
            column++;
        }
        printf("%.*s", (int)length, text);
        column += width;
        text += length;
        text += *text == ' ';
    }
    printf("%s\n", tone_end(screen, tone));
}

void screen_say(struct screen *screen, enum tone tone, unsigned indent, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (screen->live)
        table_erase(screen);
    else if (screen->after_table)
        putchar('\n');
    screen->after_table = false;
    paragraph(screen, tone, indent, text);
    if (screen->live && screen->table)
        fputs(screen->table, stdout);
    fflush(stdout);
}

void screen_begin(struct screen *screen)
{
    if (screen->live) {
        table_erase(screen);
        screen->columns = size_now().ws_col;
    }
    free(screen->table);
    screen->table = NULL;
    screen->making = open_memstream(&screen->table, &screen->table_size);
    if (!screen->making)
        exit(EXIT_FAILURE);
    screen->lines = 0;
    screen->width = 0;
}

/* What has no room in the line is left away. */
void screen_part(struct screen *screen, enum tone tone, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list args;
    size_t length;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    length = strlen(text);
    while (length > 0 && screen->live && screen->width + width_of(text, length) >= screen->columns)
        do
            length--;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80);
    fprintf(screen->making, "%s%.*s%s", tone_code(screen, tone), (int)length, text,
            tone_end(screen, tone));
    screen->width += width_of(text, length);
}

void screen_line_end(struct screen *screen)
{
    fputc('\n', screen->making);
    if (screen->lines < LINES_MAX)
        screen->widths[screen->lines++] = screen->width;
    screen->width = 0;
}

void screen_end(struct screen *screen)
{
    fclose(screen->making);
    fputs(screen->table, stdout);
    fflush(stdout);
    screen->after_table = true;
}
