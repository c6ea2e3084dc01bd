# When the policies lend that do not follow each call: adaptive and idle.
# Hosts: bare docker machine
. "$(dirname "$0")/lib/scenario.sh"
. "$LIB/lending.sh"

lent_model slow echo "delay_us = $LOOK_US"
lent_model brief echo "delay_us = 20000" # long enough to be lent to
lending_service "linger_seconds = 1"

say "adaptive: held over calls that follow each other, home soon after the last"
start_with adaptive adaptive adaptive --pause-us 100000 brief 20 adaptive hold
wait_for_output adaptive "submitted 3"
remember_runner
held=0
while ! client_says adaptive "answered 20"; do
  expect_quiet=$(cpu_limit adaptive)
  client_says adaptive "answered 20" || [ "$expect_quiet" = "10000 100000" ] ||
    fail "its processors were back between two calls: $expect_quiet"
  held=$((held + 1))
  client_ended adaptive && fail "$(client_output adaptive)"
done
since=$(now_ms)
say "held in $held looks"
cpu_is_home() { [ "$(cpu_limit adaptive)" = "20000 100000" ]; }
home_within 4000 "its processors are back (linger: 1 s)" cpu_is_home
read_leases
expect "loans of 20 calls" 1 "$(lease_of_client adaptive cpu total_loans)"
stop_client adaptive
remove_client adaptive
start_with patient adaptive adaptive --own-limit slow 1 patient hold
wait_until 5 "memory is lent to a long call" limits_are patient "10000 100000 $HALF"
wait_for_output patient "answered 1" # after it looked at its limit
expect_home patient "$KEEPER"
stop_client patient
remove_client patient

say "idle: lent while the client sleeps"
start_with idle idle idle brief 1 idle hold
wait_until 10 "it lends" limits_are idle "10000 100000 $HALF"
read_leases
expect_conserved
host_signal_client idle USR1
wait_for_output idle burning
since=$(now_ms)
home_within 3000 "its limits are back" limits_are idle "$KEEPER"
wait_for_output idle burnt
wait_until 10 "it lends again" limits_are idle "10000 100000 $HALF"
stop_client idle
wait_until 5 "the runner has its own limits" runner_is_home
remove_client idle

expect_nothing_lent
stop_service
expect "groups of runners that are left" "" "$(runner_groups)"
nothing_left
