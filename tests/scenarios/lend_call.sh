# While a client waits for its answer, its limits are lower by exactly what its policy lends and the
# runner's are higher by the same; with the answer the memory is back, and the processors soon.
# Hosts: bare docker machine
. "$(dirname "$0")/lib/scenario.sh"
. "$LIB/lending.sh"

lent_model slow echo "delay_us = $LOOK_US"
lent_model quick echo
lending_service

say "one call"
start_client one --cpus 0.2 --memory 64m -- scenario-client --own-limit slow 1 one hold
wait_for_output one "submitted 1"
wait_until 5 "the client's limits change" limits_are_not one "$KEEPER"
remember_runner
expect "limits of the client in its call" "10000 100000 $HALF" "$(limits one)"
expect "limits of the runner meanwhile" "110000 100000 $((RUNNER_MEMORY + HALF))" "$(runner_limits)"
expect "weight of the runner: its own and its client's" 2048 "$(read_cpu_weight "$(runner_group cpu)")"
for resource in cpu memory; do
  group=$(cat "$CLIENTS/one/$resource")
  case $resource in
    cpu) base=20000 lent=10000 runner_base=100000 ;;
    memory) base=67108864 lent=$HALF runner_base=$RUNNER_MEMORY ;;
  esac
  expect "$resource account of the client: base, lent, borrowed, now" \
    "$base $lent 0 $((base - lent)) true" \
    "$(for field in base lent borrowed current conserved; do account $resource "$group" $field; done | xargs)"
  expect "$resource account of the runner" "$runner_base 0 $lent $((runner_base + lent)) true" \
    "$(for field in base lent borrowed current conserved; do
      account $resource "$(runner_group $resource)" $field
    done | xargs)"
  expect "$resource lent by the client" "$lent" "$(lease_of_client one $resource lent)"
done
expect_conserved
client_says one "answered 1" && fail "the call ended before everything was looked at"
# The client itself reads its memory limit right after the answer, and fails if it is not home.
wait_for_output one "answered 1"
expect "memory of the runner with the answer" "$RUNNER_MEMORY" "$(read_memory_limit "$(runner_group memory)")"
expect_home one "$KEEPER"
client_says one "limit 67108864 after every answer" || fail "the client did not look at its limit"
expect_nothing_lent
stop_client one
expect "exit status of the client" 0 "$(wait_client one)"

say "two calls of one client, another session in its group, and a second client"
start_client third --cpus 0.3 --memory 32m -- scenario-client slow 1 third hold
start_client two --cpus 0.2 --memory 64m -- scenario-client --at-once 2 slow 1 two hold
start_beside again two -- scenario-client slow 1 again
for client in third two again; do wait_for_output $client "submitted 1"; done
all_lent() { limits_are two "10000 100000 $HALF" && limits_are third "15000 100000 16777216"; }
wait_until 5 "both groups lend, the first one for two calls and two sessions" all_lent
expect "limits of the runner: two groups add up, each lends once" \
  "125000 100000 $((RUNNER_MEMORY + HALF + 16777216))" "$(runner_limits)"
read_leases
expect_conserved
for client in two again third; do
  client_says $client "answered 1" && fail "a call ended before everything was looked at"
done
for client in two again third; do wait_for_output $client "answered 1"; done
expect_home two "$KEEPER"
expect_home third "30000 100000 33554432"
expect_nothing_lent

say "many short calls: the memory is there after each of them"
case $SCENARIO_HOST in machine) ROUNDS=200 ;; *) ROUNDS=3000 ;; esac
for at_once in 1 2; do
  start_client short$at_once --cpus 0.5 --memory 64m -- \
    scenario-client --own-limit --at-once $at_once quick $ROUNDS short$at_once hold
  wait_until 60 "the calls end" client_says_or_ended short$at_once "answered $ROUNDS"
  client_says short$at_once "answered $ROUNDS" || fail "$(client_output short$at_once | tail -n 3)"
  expect_home short$at_once "50000 100000 67108864"
done
expect_nothing_lent

for client in two third short1 short2; do
  stop_client $client
  remove_client $client
done
remove_client one
stop_service
expect "groups of runners that are left" "" "$(runner_groups)"
nothing_left
