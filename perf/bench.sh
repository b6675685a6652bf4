#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bench.sh BUILD [OPTION VALUE]...: run all programs of perf/, one question
# each, and print their lines. Options go to each of them, for instance
# `--runs 3`.
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
exit "$failed"
