#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# with_nats.sh COMMAND...: run it with `--nats URL` of a server that is started
# for it on a free port of this machine. 77 when there is no nats-server.
set -u

command -v nats-server >/dev/null || exit 77
work=$(mktemp -d) || exit 1
nats-server -a 127.0.0.1 -p -1 --ports_file_dir "$work" 2>"$work/log" &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server"; rm -rf "$work"' EXIT

tries=0
while ! url=$(sed -n 's|.*"\(nats://127[^"]*\)".*|\1|p' "$work"/*.ports \
    2>/dev/null) || [ -z "$url" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 200 ] || ! kill -0 "$server" 2>/dev/null; then
        cat "$work/log" >&2
        exit 1
    fi
    sleep 0.05
done
"$@" --nats "$url"
