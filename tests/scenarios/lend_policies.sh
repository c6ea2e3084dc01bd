# What each policy lends and until when; and what is said where nothing is lent.
# Hosts: bare docker machine
. "$(dirname "$0")/lib/scenario.sh"
. "$LIB/lending.sh"

lent_model slow echo "delay_us = $LOOK_US"
lent_model quick echo
lending_service

say "conn: from the opening of a model to its end"
start_with conn conn,ratio,0.5 conn,ratio,0.25 quick 1 conn hold
wait_for_output conn "answered 1"
remember_runner
expect "limits long after its call" "10000 100000 50331648" "$(limits conn)"
expect "limits of the runner" "110000 100000 $((RUNNER_MEMORY + 16777216))" "$(runner_limits)"
expect_conserved
stop_client conn
wait_until 5 "the runner has its own limits" runner_is_home
[ "$SCENARIO_HOST" = docker ] || expect_home conn "$KEEPER" # a container's group has gone with it
remove_client conn

say "in one call each: none, ratio 0, minimum, no limit"
start_with none none none slow 1 none hold
start_with zero func,ratio,0 func,ratio,0 slow 1 zero hold
start_with small func,minimum func,minimum slow 1 small hold
cpus_of=1.2 memory_of=256m
start_with large func,minimum func,minimum slow 1 large hold
start_client unlimited -- scenario-client slow 1 unlimited hold
wait_until 5 "the large client lends" limits_are_not large "120000 100000 268435456"
expect "minimum of a large client" "30000 100000 209715200" "$(limits large)"
wait_until 5 "the small client lends" limits_are_not small "$KEEPER"
expect "minimum of a small client" "1000 100000 67108864" "$(limits small)"
read_leases
expect_conserved
for client in none zero; do
  expect "limits of a client with '$client'" "$KEEPER" "$(limits $client)"
  for resource in cpu memory; do
    expect "$resource loans of it" "0" "$(lease_of_client $client $resource total_loans)"
  done
done
expect "what is said of it" "the policy is none" "$(lease_of_client none cpu note)"
for resource in cpu memory; do
  note=$(lease_of_client unlimited $resource note)
  case $note in unlimited:*) ;; *) fail "of the unlimited client is said: '$note'" ;; esac
done
say "said of the client without limits: $note"
for client in none zero small large unlimited; do wait_for_output $client "answered 1"; done
for client in none zero small large unlimited; do
  case $client in
    large) expect_home large "120000 100000 268435456" ;;
    unlimited) expect "its limits" "max 100000 max" "$(limits unlimited)" ;;
    *) expect_home $client "$KEEPER" ;;
  esac
  stop_client $client
  remove_client $client
done
say "wrong policies are refused with the grammar"
case $SCENARIO_HOST in
  docker) WRONG="func,ratio,1.5" ;; # refused before the service looks where its client is
  *) WRONG="func,ratio,1 func,ratio,1.5 func,ratio,-1 func,ratio,NaN func,ratio, func,,0.5 sometimes" ;;
esac
for wrong in $WRONG; do
  for resource in CPU MEM; do
    start_client wrong --env POCKET_${resource}_POLICY=$wrong -- scenario-client quick 1 wrong
    expect "status of a client with $resource policy '$wrong'" 1 "$(wait_client wrong)"
    client_output wrong | grep -q "expected func|conn , ratio,R" || fail "$(client_output wrong)"
    remove_client wrong
  done
done
client_output wrong

if [ "$SCENARIO_HOST" != docker ]; then
  say "a client in the root groups"
  mkdir -p "$CLIENTS/root"
  run_in_groups root "$(controller_root cpu)" "$(controller_root memory)" scenario-client quick 1 root hold
  wait_for_output root "answered 1"
  read_leases
  note=$(lease_of_client root cpu note)
  [ -n "$note" ] || fail "nothing is said of it"
  say "said of it: $note"
  stop_client root
fi
expect_nothing_lent
stop_service
expect "groups of runners that are left" "" "$(runner_groups)"
nothing_left
