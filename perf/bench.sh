#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bench.sh BUILD [OPTION VALUE]...: run all programs of perf/, one question
# each, and print their lines. Options go to each of them, for instance
# `--runs 3`. With SKUA_BENCH_PEERS=1, Go, Tokio, asyncio and libuv answer
# beside, where they are installed (cmake/setup peers); perf/compare.sh makes a
# table of that.
# SKUA_BENCH_QUESTIONS names the questions to put, instead of all.
set -u

build=${1:?usage: bench.sh BUILD [OPTION VALUE]...}
shift
here=$(dirname "$0")
all='spawn yield burst pingpong post executor timers sync echo memory hog idle'
questions=${SKUA_BENCH_QUESTIONS:-$all}
runs=5
before=''
for word in "$@"; do
    [ "$before" != --runs ] || runs=$word
    before=$word
done
failed=0

# asked QUESTION... - whether any of them is to be put.
asked()
{
    for wanted in "$@"; do
        case " $questions " in
        *" $wanted "*) return 0 ;;
        esac
    done
    return 1
}

# tokio - build the program in a copy, for Cargo writes beside its sources.
tokio()
{
    rm -f "$build/peers/sync_tokio/Cargo.lock" # another Cargo may have made it
    mkdir -p "$build/peers" &&
        cp -r "$here/peers/sync_tokio" "$build/peers/" &&
        (cd "$build/peers/sync_tokio" && cargo build --quiet --release) &&
        "$build/peers/sync_tokio/target/release/sync_tokio" "$runs"
}

for question in $questions; do
    if ! "$build/perf/$question" "$@"; then
        echo "# $question failed" >&2
        failed=1
    fi
done
[ "${SKUA_BENCH_PEERS:-0}" = 1 ] || exit "$failed"

if command -v go >/dev/null; then
    if asked spawn yield pingpong timers; then
        go run "$here/peers/scheduling.go" "$runs" || failed=1
    fi
    if asked sync; then
        go run "$here/peers/sync.go" "$runs" || failed=1
    fi
fi
if asked sync && command -v cargo >/dev/null &&
    [ -n "$(find /usr/share/cargo/registry -maxdepth 1 -name 'tokio-1.*' \
        2>/dev/null)" ]; then
    tokio || failed=1
fi
if asked executor; then
    if command -v python3 >/dev/null; then
        python3 "$here/peers/executor.py" "$runs" || failed=1
    fi
    if [ -x "$build/perf/executor_uv" ]; then
        "$build/perf/executor_uv" --runs "$runs" || failed=1
    fi
fi
exit "$failed"
