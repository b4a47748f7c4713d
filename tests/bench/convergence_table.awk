# SPDX-License-Identifier: BSD-2-Clause
# chrony's times, then the runs' figures: a line for each cell.

function median(key, column,    i, j, n, value, sorted) {
    n = count[key]
    for (i = 1; i <= n; i++) {
        value = figure[key, i, column] == "never" ? never : figure[key, i, column] + 0
        for (j = i - 1; j > 0 && sorted[j] > value; j--) sorted[j + 1] = sorted[j]
        sorted[j + 1] = value
    }
    return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}

function largest(key, column,    i, most) {
    for (i = 1; i <= count[key]; i++)
        if (figure[key, i, column] + 0 > most) most = figure[key, i, column] + 0
    return most + 0
}

function seconds(value) {
    return value < never ? sprintf("%.3g", value) : "never"
}

BEGIN { never = 1e99 }
FNR == 1 { file++ }
file == 1 && /^(#|scenario)/ { next }
file == 1 {
    key = $1 " " $2
    order[++cells] = key; first[key] = $3; middle[key] = $4
    next
}
NF == 4 {
    count[$1]++
    for (i = 2; i <= NF; i++) figure[$1, count[$1], i] = $i
}
END {
    for (i = 1; i <= cells; i++) {
        key = order[i]
        if (count[key] != wanted) {
            print key ": " count[key] + 0 " of " wanted " runs told figures" >"/dev/stderr"
            exit 1
        }
        split(key, part, " ")
        level = median(key, 4)
        printf "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.4f\n", part[1], part[2], seconds(median(key, 3)),
            seconds(level), first[key], middle[key],
            level < never ? sprintf("%.3f", level / first[key]) : "inf", largest(key, 2)
    }
}
