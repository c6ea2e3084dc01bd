#!/bin/sh
# unit_security.sh UNIT PROGRAM: how exposed systemd finds the shipped unit, from 0 to 10. Prints the figure;
# fails above 5, which a unit without its protections has, and where systemd does not understand the unit.
set -eu
unit=$1 program=$2
command -v systemd-analyze >/dev/null || { echo "skipped: systemd-analyze is not installed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sed "s|@POCKETD@|$program|" "$unit" >"$folder/pocketd.service"
complaints=$(systemd-analyze verify --man=no --recursive-errors=no "$folder/pocketd.service" 2>&1 | grep pocketd.service || true)
[ -z "$complaints" ] || { echo "$complaints"; exit 1; }
systemd-analyze security --offline=yes --threshold=50 --no-pager "$folder/pocketd.service" >"$folder/report" 2>&1 || {
  cat "$folder/report"
  exit 1
}
grep "Overall exposure level" "$folder/report"
