# SPDX-License-Identifier: BSD-2-Clause
# Reads lines FILE:LINE:#include "..." of src and include (grep -Hn) and tells what
# breaks the order of rooms.  A room is named by how its files' names begin.

BEGIN {
    split("timestamp wire exchange estimator average discipline machine master slave", core)
    split("1 2 2 3 3 3 4 5 5", ranks)
    for (i in core) rank["core/" core[i]] = ranks[i]
    alias["timex"] = alias["emulated"] = alias["oscillator"] = "clock"
    alias["resolver"] = "transport"; alias["message"] = "journal"
    alias["tls"] = alias["guard"] = "transport"; alias["view"] = "master"
    # Leaves, for everybody.
    leaf["daemon/journal"] = leaf["daemon/prefix"] = leaf["daemon/keyring"] = 1
    leaf["daemon/duration"] = 1
    leaf["daemon/directory"] = leaf["daemon/step"] = leaf["daemon/tcp"] = 1
    # They know what machines tell of themselves.
    split("daemon narrator main chronicle metrics", shells)
    for (i in shells) shell["daemon/" shells[i]] = 1
}

function room(path,    part, n, stem) {
    n = split(path, part, "/")
    stem = part[n]
    sub(/[_.].*/, "", stem)
    if (stem in alias) stem = alias[stem]
    return part[n - 1] "/" stem
}

function complain(why) {
    print where ": " why
    bad = 1
}

{
    split($0, field, ":")
    where = field[1] ":" field[2]
    split($0, quoted, "\"")
    target = quoted[2]
    if (target !~ /^(core|daemon|ctl)\//) {
        if (target ~ /\//) { complain("\"" target "\" is no room's"); next }
        n = split(field[1], part, "/")
        target = part[n - 1] "/" target
    }
    from = room(field[1]); to = room(target)
    if (from ~ /^core\// && !(from in rank)) complain(from ": unknown core room")
    if (from == to) next
    edge[from, to] = where; rooms[from] = rooms[to] = 1
    if (from ~ /^core\//) {
        if (to !~ /^core\//) complain("core includes " target)
        else if (!(rank[to] < rank[from])) complain(from " is not above " to)
    } else if (from ~ /^ctl\//) {
        if (to !~ /^(ctl\/|core\/(wire|timestamp)$)/ && !(to in leaf))
            complain("berkeleyctl includes " target)
    } else if (!(from in shell)) {
        if (to ~ /^core\/(machine|master|slave)$/) complain("adapter " from " knows " to)
        else if (to ~ /^daemon\// && !(to in leaf))
            complain("adapter " from " knows " to)
    }
}

function walk(node, path,    next_room) {
    if (state[node] == 2) return
    if (state[node] == 1) { print "cycle of rooms:" path " " node; bad = 1; return }
    state[node] = 1
    for (next_room in rooms)
        if ((node, next_room) in edge) walk(next_room, path " " node)
    state[node] = 2
}

END {
    for (node in rooms) walk(node, "")
    exit bad
}
