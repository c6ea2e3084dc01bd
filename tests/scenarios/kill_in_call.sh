# A client that is killed in mid-call is forgotten, and the next one is served.
# Hosts: bare docker machine
. "$(dirname "$0")/lib/scenario.sh"

null_model echo echo
null_model stuck hang # its calls never end: whenever the client dies, it is in mid-call
echo "warmup = false" >"$MODELS/stuck/model.toml"
# Two calls at once, whatever the number of processors; no long wait for the stuck one at the end.
printf "[service]\ndrain_seconds = 1\n[engines]\nconcurrency = 2\n" >"$SCENARIO_DIR/pocketd.toml"
start_service --config "$SCENARIO_DIR/pocketd.toml"

start_client victim --cpus 0.2 --memory 64m -- scenario-client stuck 1 victim
wait_for_output victim "submitted 1"
knows_client victim || fail "the service does not list the client"
kill_client victim
expect "the client's exit status (128 + SIGKILL)" 137 "$(wait_client victim)"
client_says victim "answered 1" && fail "the stuck model answered"
wait_until 10 "the service forgets the client" forgot_client victim
say "the service forgot the client"

start_client next -- scenario-client echo 10 next
expect "exit status of a client after it" 0 "$(wait_client next)"
client_says next "answered 10" || fail "it got no answers: $(client_output next)"

remove_client victim
remove_client next
stop_service
nothing_left
