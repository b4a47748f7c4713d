/* SPDX-License-Identifier: BSD-2-Clause */
/* table: rows of cells, laid out for a terminal or, whole, for a file. */
#ifndef BERKELEY_CTL_TABLE_H
#define BERKELEY_CTL_TABLE_H

#include "ctl.h"

#include <stddef.h>

#define TABLE_COLUMNS_MAX 16

struct table_column {
    const char *title;
    bool right;
    bool cut;       /* on a terminal it gets what is left of the line */
    unsigned spare; /* where the line is too short the greatest goes first; 0: stays */
};

enum table_tone { TONE_PLAIN, TONE_GOOD, TONE_PENDING, TONE_BAD };

struct table;

/* columns: borrowed.  NULL: out of memory. */
struct table *table_new(const struct table_column *columns, size_t count);
void table_free(struct table *table);
/* cells: one for each column, copied; fit for a terminal.  tone: the row's, or of TONE_GOOD that of
 * the cell `where`.  0 or -ENOMEM. */
int table_row(struct table *table, const char *const *cells, enum table_tone tone, size_t where);
/* To standard output. */
int table_print(struct table *table, enum ctl_color color);

#endif
