# A client lends from the moment it calls, also while the runner is busy with the call of another.
# Hosts: bare docker machine
. "$(dirname "$0")/lib/scenario.sh"
. "$LIB/lending.sh"

lent_model slow echo "delay_us = $LOOK_US"
CONCURRENCY=1
lending_service
start_client first --cpus 0.2 --memory 64m -- scenario-client --own-limit slow 1 first hold
wait_for_output first "submitted 1"
wait_until 5 "the first client lends" limits_are first "10000 100000 $HALF"
start_client second --cpus 0.3 --memory 32m -- scenario-client --own-limit slow 1 second hold
wait_for_output second "submitted 1"
wait_until 5 "the second client lends" limits_are second "15000 100000 16777216"
client_says first "answered 1" && fail "the second client lent only when the first had its answer"
remember_runner
expect "limits of the runner" "125000 100000 $((RUNNER_MEMORY + HALF + 16777216))" "$(runner_limits)"
expect_conserved
wait_for_output first "answered 1"
wait_until 5 "the first client has its limits back" limits_are first "$KEEPER"
expect "limits of the second, whose call runs now" "15000 100000 16777216" "$(limits second)"
wait_for_output second "answered 1"
expect_home second "30000 100000 33554432"
expect_nothing_lent
for client in first second; do
  stop_client $client
  expect "exit status of the $client client" 0 "$(wait_client $client)"
  remove_client $client
done
stop_service
expect "groups of runners that are left" "" "$(runner_groups)"
nothing_left
