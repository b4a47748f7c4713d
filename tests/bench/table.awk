# SPDX-License-Identifier: BSD-2-Clause
# accuracy.tsv as README.md quotes it: a line for each path and wander, and what they come to.

function known(value) { return value == "" ? "-" : value }

BEGIN { FS = "\t" }
FNR == 1 { next }
{
    row = $1 SUBSEP $3
    if (!(row in seen)) {
        seen[row] = 1
        path[++rows] = $1; wander[rows] = $3
    }
    figures[row, $2] = $4 " / " $5
    ratio[row, $2] = sprintf("%.2f", $8)
    chrony += log($8); oracle += log($9); above += $8 > 0.9
    bounds += $10; back += $11
}
END {
    if (NR < 2) exit 1
    format = "| %-4s | %-4s | %-18s | %-9s | %-18s | %-9s | %-19s | %-9s |\n"
    printf format, "path", "W", "T = 1 s: rms / p99", "of chrony", "T = 4 s: rms / p99", "of chrony",
        "T = 16 s: rms / p99", "of chrony"
    line = sprintf(format, "", "", "", "", "", "", "", "")
    gsub(/ /, "-", line)
    printf "%s", line
    for (i = 1; i <= rows; i++) {
        row = path[i] SUBSEP wander[i]
        printf format, path[i], wander[i], known(figures[row, 1]), known(ratio[row, 1]),
            known(figures[row, 4]), known(ratio[row, 4]), known(figures[row, 16]),
            known(ratio[row, 16])
    }
    printf "\n%d cells.  Geometric means: %.2f of best-tuned chrony, %.2f of the practical limit.\n",
        NR - 1, exp(chrony / (NR - 1)), exp(oracle / (NR - 1))
    printf "Above 0.9 of chrony: %d.  Bounds that were wrong: %d.  Backward steps: %d.\n",
        above, bounds, back
}
