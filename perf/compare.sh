#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# compare.sh [--min] [FILE]...: read the lines of perf/bench.sh and print a
# Markdown table, a column for each system and a row for each question that two
# or more systems answered. Of a result that comes twice the last one counts.
# With --min the best run counts, not the median: for a machine that others use.
set -u

best=0
if [ "${1:-}" = --min ]; then
    best=1
    shift
fi
awk -v best="$best" '
best && /^# spread / { value[$3 " " $5 " ns", $4] = $9; next }
/^#/ || NF != 5 || (best && $5 != "ns") { next }
{
    row = $1 " " $3 " " $5
    if (!(row in rows)) { rows[row] = ++row_count; row_at[row_count] = row }
    if (!($2 in systems)) { systems[$2] = 1; system_at[++system_count] = $2 }
    if (!best) { value[row, $2] = $4 }
}
function line(first, row,    i, cell, text)
{
    text = "| " first " |"
    for (i = 1; i <= system_count; i++) {
        cell = system_at[i]
        if (row != "") {
            cell = (row, cell) in value ? value[row, cell] : ""
        }
        text = text " " cell " |"
    }
    print text
}
END {
    line("question", "")
    printf "|---|"
    for (i = 1; i <= system_count; i++) { printf "---|" }
    print ""
    for (r = 1; r <= row_count; r++) {
        row = row_at[r]
        answers = 0
        for (i = 1; i <= system_count; i++) {
            answers += (row, system_at[i]) in value
        }
        split(row, words, " ")
        if (answers > 1) { line(words[1] " " words[2] " in " words[3], row) }
    }
}' "$@"
