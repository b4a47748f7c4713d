# SPDX-License-Identifier: BSD-2-Clause
# Tells functions over 80 lines (opening to closing brace) and files over 500.

function end_of_file() {
    if (lines > 500) { print name ": " lines " lines, at most 500"; bad = 1 }
}

FNR == 1 { end_of_file(); name = FILENAME; opened = 0 }
{ lines = FNR }
FILENAME !~ /\.[ch]$/ { next }
/^\{$/ || /^[A-Za-z_][^=]*\).*\{$/ { opened = FNR; title = /^\{$/ ? before : $0 }
/^\}/ && opened {
    if (FNR - opened + 1 > 80) {
        print FILENAME ":" opened ": " FNR - opened + 1 " lines, at most 80: " title
        bad = 1
    }
    opened = 0
}
{ before = $0 }
END { end_of_file(); exit bad }
