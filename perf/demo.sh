#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo.sh BUILD: Skua's HTTP server under the load of Skua's load generator,
# for three kinds of load; then one table and the server's counters.
set -u

build=${1:?usage: demo.sh BUILD}
seconds=${SKUA_DEMO_SECONDS:-3}
server=$build/examples/http_server
load=$build/perf/load
primes='/primes?below=20000'

for program in "$server" "$load"; do
    if [ ! -x "$program" ]; then
        echo "demo: $program is missing; build it first (make demo)" >&2
        exit 1
    fi
done

work=$(mktemp -d) || exit 1
server_pid=
failed=0

finish()
{
    if [ -n "$server_pid" ]; then
        kill -TERM "$server_pid" 2>/dev/null
        wait "$server_pid" 2>/dev/null
    fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

"$server" --port 0 >"$work/server" &
server_pid=$!
tries=0
while ! grep -q listening "$work/server"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ] || ! kill -0 "$server_pid" 2>/dev/null; then
        echo "demo: the server did not start" >&2
        exit 1
    fi
    sleep 0.1
done
address=$(sed -n 's/^listening on //p' "$work/server")
port=${address##*:}
echo "http_server listens on $address, on all loops; $seconds s each:"

# drive FILE NAME PATH CONNECTIONS PIPELINE
drive()
{
    "$load" --port "$port" --duration "$seconds" --header no --name "$2" \
        --path "$3" --connections "$4" --pipeline "$5" >"$work/$1"
}

drive 1 'plain' / 64 1 || failed=1
drive 2 'plain, pipeline 16' / 64 16 || failed=1
drive 3 'primes' "$primes" 32 1 || failed=1
drive 4 'plain beside primes' / 64 1 &
plain_pid=$!
drive 5 'primes beside plain' "$primes" 32 1 || failed=1
wait "$plain_pid" || failed=1

kill -TERM "$server_pid"
wait "$server_pid" || failed=1
server_pid=

echo
printf '%-24s %11s %9s %9s %9s %9s %7s\n' scenario requests/s 'p50 ms' \
    'p99 ms' 'p99.9 ms' 'max ms' errors
cat "$work/1" "$work/2" "$work/3" "$work/4" "$work/5"
echo
echo "what the server's loops did:"
sed 1d "$work/server"
if [ "$failed" -ne 0 ]; then
    echo "demo: there were errors" >&2
fi
exit "$failed"
