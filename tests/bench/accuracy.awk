# SPDX-License-Identifier: BSD-2-Clause
# The reference, then the runs' figures: a line for each cell that was run.

function median(key, column,    i, j, n, value, sorted) {
    n = count[key]
    for (i = 1; i <= n; i++) {
        value = figure[key, i, column] == "never" ? never : figure[key, i, column] + 0
        for (j = i - 1; j > 0 && sorted[j] > value; j--) sorted[j + 1] = sorted[j]
        sorted[j + 1] = value
    }
    return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}

function total(key, column,    i, sum) {
    for (i = 1; i <= count[key]; i++) sum += figure[key, i, column]
    return sum + 0
}

function largest(key, column,    i, most) {
    for (i = 1; i <= count[key]; i++)
        if (figure[key, i, column] + 0 > most) most = figure[key, i, column] + 0
    return most + 0
}

BEGIN { never = 1e99 }
FNR == 1 { file++ }
file == 1 && /^(#|scenario)/ { next }
file == 1 {
    key = $1 " " $2 " " $3
    order[++cells] = key; chrony[key] = $6; oracle[key] = $9
    next
}
# The cell, then what "sim --figures" prints.
NF >= 10 {
    count[$1]++
    for (i = 2; i <= NF; i++) figure[$1, count[$1], i] = $i
}
END {
    for (i = 1; i <= cells; i++) {
        key = order[i]
        if (!count[key]) continue
        if (count[key] != wanted) {
            print key ": " count[key] " of " wanted " runs told figures" >"/dev/stderr"
            exit 1
        }
        split(key, part, " ")
        rms = median(key, 5)
        converged = median(key, 8)
        printf "%s\t%s\t%s\t%.3g\t%.3g\t%.3g\t%s\t%.3f\t%.3f\t%d\t%d\t%.3g\n",
            part[1], part[2], part[3], rms, median(key, 6), largest(key, 7),
            converged < never ? sprintf("%.3g", converged) : "never",
            rms / chrony[key], rms / oracle[key], total(key, 9), total(key, 10), median(key, 12)
    }
}
