#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bench.sh BUILD [OPTION VALUE]...: run all programs of perf/, one question
# each, and print their lines. Options go to each of them, for instance
# `--runs 3`. With SKUA_BENCH_PEERS=1, Go (where installed) answers beside.
set -u

build=${1:?usage: bench.sh BUILD [OPTION VALUE]...}
shift
failed=0

for question in spawn yield pingpong post executor timers echo memory hog idle
do
    if ! "$build/perf/$question" "$@"; then
        echo "# $question failed" >&2
        failed=1
    fi
done
if [ "${SKUA_BENCH_PEERS:-0}" = 1 ] && command -v go >/dev/null; then
    go run "$(dirname "$0")/peers/scheduling.go" || failed=1
fi
exit "$failed"
