# Where pocketd may not write limits, calls are served, nothing is lent, and the reason is named.
# Hosts: bare docker machine
. "$(dirname "$0")/lib/scenario.sh"
. "$LIB/lending.sh"

lent_model slow echo "delay_us = 500000"

# served_without NAME REASON
served_without() {
  start_client "$1" --cpus 0.2 --memory 64m -- scenario-client --own-limit slow 1 "$1" hold
  wait_for_output "$1" "submitted 1"
  expect "limits in its call" "$KEEPER" "$(limits "$1")"
  wait_for_output "$1" "answered 1"
  expect "limits after it" "$KEEPER" "$(limits "$1")"
  pocket leases | grep "$2" || fail "pocket leases does not say '$2': $(pocket leases)"
  pocket service status --json | grep -q "$2" || fail "the status does not say '$2'"
  stop_client "$1"
  remove_client "$1"
  stop_service
}

say "every tree of groups is mounted read-only for the service"
cat >"$SCENARIO_DIR/read-only" <<'END'
for tree in $(awk '$3 ~ /^cgroup/ { print $2 }' /proc/mounts); do
  mount -o remount,bind,ro "$tree" "$tree" || exit 1
done
exec "$@"
END
service_prefix="unshare -m sh $SCENARIO_DIR/read-only"
lending_service
served_without read-only "mounted read-only"

if command -v setpriv >/dev/null && setpriv --reuid 65534 true 2>/dev/null; then
  say "the service runs as an ordinary user"
  chmod 777 "$SCENARIO_DIR" "$SOCKETS"
  service_prefix="setpriv --reuid 65534 --regid 65534 --clear-groups"
  lending_service
  served_without ordinary "cannot be changed"
  chmod 755 "$SCENARIO_DIR" "$SOCKETS"
fi
expect "groups of runners that are left" "" "$(runner_groups)"
nothing_left
