# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# Sourced by the checks of this directory: how one of them says that a check, a
# function that prints complaints, was satisfied, or noticed what it must.
tests_run=0

result() { # VERDICT NAME COMPLAINTS
    tests_run=$((tests_run + 1))
    echo "$1 $tests_run - $2"
    [ -z "$3" ] || printf '%s\n' "$3" | sed 's/^/# /'
}

passes() { # NAME CHECK ARGUMENT
    [ $# = 3 ] || exit 1
    complaints=$("$2" "$3" 2>&1)
    if [ -z "$complaints" ]; then result ok "$1" ""; else result "not ok" "$1" "$complaints"; fi
}

refuses() { # NAME PATTERN CHECK ARGUMENT
    [ $# = 4 ] || exit 1
    complaints=$("$3" "$4" 2>&1)
    if printf '%s\n' "$complaints" | grep -qE -- "$2"; then
        result ok "notices $1" ""
    else
        result "not ok" "notices $1" "wanted: $2; said: $complaints"
    fi
}
