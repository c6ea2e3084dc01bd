# A client with limits is served, its limits are what was asked for, and nothing stays behind.
# Hosts: bare docker machine
. "$(dirname "$0")/lib/scenario.sh"

null_model echo echo
start_service
start_client limited --cpus 0.2 --memory 64m -- scenario-client echo 10 limited hold
expect "processor limit, quota and period in us" "20000 100000" "$(cpu_limit limited)"
expect "memory limit in bytes" 67108864 "$(memory_limit limited)"
wait_for_output limited "answered 10"
knows_client limited || fail "the service does not list a client that it serves"
say "answered 10 calls"

update_client limited 0.3 96m
expect "processor limit after somebody changed it" "30000 100000" "$(cpu_limit limited)"
expect "memory limit after somebody changed it" 100663296 "$(memory_limit limited)"

stop_client limited
expect "the client's exit status" 0 "$(wait_client limited)"
wait_until 10 "the service forgets the client" forgot_client limited
remove_client limited
stop_service
nothing_left
