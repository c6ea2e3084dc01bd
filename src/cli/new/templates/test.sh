#!/bin/sh
# test.sh CLIENT MODELS: starts a service with the handler, runs the client, compares what it says.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
export POCKET_SOCKET="$work/pocket.sock"
trap 'pocket service kill >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
pocket service run -d --models "$2"
"$1" > "$work/said"
diff -u "$here/expected.txt" "$work/said"
