# Whoever is killed in mid-call, every limit comes home, exactly.
# Hosts: bare docker machine
. "$(dirname "$0")/lib/scenario.sh"
. "$LIB/lending.sh"

lent_model quick echo
lent_model stuck hang # its calls never end: whoever is killed, it is in mid-call
lending_service
start_keeper
keeper_is_home() { limits_are keeper "$KEEPER"; }
all_home() { keeper_is_home && runner_is_home; }

say "kill -9 of the client"
start_victim victim stuck
kill -KILL "$(lease_pid victim)"
since=$(now_ms)
home_within 1000 "the client's and the runner's limits are home" all_home
expect "status of the client" 137 "$(wait_client victim)"
expect_nothing_lent

say "kill -9 of the runner"
start_victim other stuck
kill -KILL "$(lease_value runners.1.pid)"
since=$(now_ms)
home_within 1000 "the client's limits are home" keeper_is_home
expect "status of the client, whose call failed" 1 "$(wait_client other)"
gone() { [ ! -d "$1" ]; }
for controller in cpu memory; do
  group=$(runner_group "$controller")
  wait_until 5 "the runner's $controller group is gone" gone "${group#?:}"
done
expect_nothing_lent

say "kill -9 of the service, then start it again"
start_victim third stuck
first=$service_pid
kill -KILL "$service_pid"
wait_until 5 "pocketd is gone" ended "$service_pid"
expect "limits while no service runs" "10000 100000 $HALF" "$(limits keeper)"
start_service --config "$SCENARIO_DIR/pocketd.toml"
# Before it says that it is ready: no waiting here.
expect "limits of the client when the service is ready" "$KEEPER" "$(limits keeper)"
expect_nothing_lent
expect "accounts in the ledger" "" "$(grep "^accounts[.]" "$LEASES" || true)"
no_old_groups() {
  for controller in cpu memory; do
    top=$(controller_root "$controller")
    [ ! -d "${top#?:}/$RUNNERS/$first" ] || return 1
  done
}
wait_until 15 "the groups of the killed service's runners are gone" no_old_groups
wait_until 15 "its client is told" client_ended third
expect "status of its client" 1 "$(wait_client third)"

say "and the next client is served"
start_beside next keeper --env POCKET_CPU_POLICY=func,ratio,0.5 --env POCKET_MEM_POLICY=func,ratio,0.5 -- scenario-client --own-limit quick 5 next
expect "status of the next client" 0 "$(wait_client next)"
expect "limits after it" "$KEEPER" "$(limits keeper)"
stop_client keeper
remove_client keeper
stop_service
expect "groups of runners that are left" "" "$(runner_groups)"
nothing_left
