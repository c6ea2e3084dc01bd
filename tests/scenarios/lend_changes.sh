# What others do to a client's group while its budget is lent: it never harms, and comes home.
# Hosts: bare docker machine
. "$(dirname "$0")/lib/scenario.sh"
. "$LIB/lending.sh"

lent_model quick echo
lent_model slow echo "delay_us = $LOOK_US"
lending_service
start_keeper

say "somebody else changes the limits in mid-call"
start_victim changed slow
update_client keeper 0.3 96m
client_says changed "answered 1" && fail "the call ended before the change"
expect "their limits in the call" "30000 100000 100663296" "$(limits keeper)"
wait_for_output changed "answered 1"
wait_until 5 "the runner has its own limits" runner_is_home
expect "their limits after it" "30000 100000 100663296" "$(limits keeper)"
expect_nothing_lent
start_beside later keeper --env POCKET_CPU_POLICY=func,ratio,0.5 --env POCKET_MEM_POLICY=func,ratio,0.5 -- scenario-client --own-limit quick 3 later
expect "status of a client after the change" 0 "$(wait_client later)"
expect_home keeper "30000 100000 100663296"
update_client keeper 0.2 64m

say "the client is frozen in mid-call"
if host_freeze_client keeper; then
  host_thaw_client keeper
  start_victim frozen slow
  host_freeze_client keeper
  wait_until 30 "the loan comes home although the client cannot take its answer" limits_are keeper "$KEEPER"
  wait_until 5 "the runner has its own limits" runner_is_home
  host_thaw_client keeper
  wait_for_output frozen "answered 1"
else
  say "skipped: nothing freezes groups here"
fi

say "a client that uses most of its memory lends what it can spare"
start_client full --cpus 0.2 --memory 24m -- scenario-client --own-limit --touch-mb 16 slow 1 full hold
wait_until 10 "it lends" limits_are_not full "20000 100000 25165824"
sleep 0.2
left=$(memory_limit full)
usage_file=$(cat "$CLIENTS/full/memory")
case $usage_file in
  1:*) usage=$(cat "${usage_file#1:}/memory.usage_in_bytes") ;;
  2:*) usage=$(cat "${usage_file#2:}/memory.current") ;;
esac
[ "$left" -gt 16777216 ] || fail "it has $left bytes left of 25165824, and uses 16777216 at least"
[ "$left" -le 25165824 ] || fail "it has $left bytes"
say "it uses $usage bytes, has $left, and lends $((25165824 - left))"
expect "memory of the runner" "$((RUNNER_MEMORY + 25165824 - left))" "$(read_memory_limit "$(runner_group memory)")"
wait_for_output full "answered 1"
expect_home full "20000 100000 25165824"
stop_client full
expect "status of the full client" 0 "$(wait_client full)"
remove_client full

if [ "$SCENARIO_HOST" != docker ]; then
  say "the client moves to another group in mid-call, and its old group goes"
  start_client elsewhere --cpus 0.1 --memory 32m -- scenario-client quick 1 elsewhere hold
  for removed in no yes; do
    start_client mover --cpus 0.2 --memory 64m -- scenario-client slow 1 mover hold
    wait_until 10 "it lends" limits_are mover "10000 100000 $HALF"
    for controller in cpu memory; do
      group=$(cat "$CLIENTS/elsewhere/$controller")
      client_pid mover >"${group#?:}/cgroup.procs"
      old=$(cat "$CLIENTS/mover/$controller")
      [ "$removed" = no ] || [ ! -d "${old#?:}" ] || rmdir "${old#?:}"
    done
    client_says mover "answered 1" && fail "the call ended before the move"
    wait_for_output mover "answered 1"
    wait_until 5 "the runner has its own limits" runner_is_home
    [ "$removed" = yes ] || expect_home mover "$KEEPER"
    expect "limits of the group it moved to" "10000 100000 33554432" "$(limits elsewhere)"
    stop_client mover
    remove_client mover
  done
  stop_client elsewhere
  remove_client elsewhere
fi
expect_nothing_lent
stop_client keeper
remove_client keeper
stop_service
expect "groups of runners that are left" "" "$(runner_groups)"
nothing_left
