# SPDX-License-Identifier: BSD-2-Clause
# One run's table ("sim --csv", rows each 0.25 s): when the spread of all clocks came to stay
# for 60 s below 10 x its own steady rms, and when below limit_ns.

function came(limit,    i, since) {
    since = 0
    for (i = 1; i <= rows; i++) {
        if (!(spread[i] <= limit)) since = i
        else if (time[i] - time[since + 1] >= 60) return time[since + 1]
    }
    return "never"
}

FNR > 1 {
    rows++
    time[rows] = $1 + 0
    spread[rows] = $3 == "" ? 1e99 : $3 + 0
    if ($1 >= steady_s) { squares += $3 * $3; steady++ }
}
END { printf "%s\t%s\n", came(10 * sqrt(squares / steady)), came(limit_ns) }
