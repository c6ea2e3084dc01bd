# What Pocket says about a machine whose only groups are cgroup v2, and about itself there.
# Hosts: machine
. "$(dirname "$0")/lib/scenario.sh"

expect "controllers for every group" "cpu memory" "$(cat /sys/fs/cgroup/cgroup.subtree_control)"
null_model echo echo
start_service
start_client caller -- scenario-client echo 10 caller hold
wait_for_output caller "answered 10"
pocket doctor
pocket doctor --json >"$SCENARIO_DIR/doctor.json"
grep -A 2 '"cgroups"' "$SCENARIO_DIR/doctor.json" | grep -q 'v2: cpu on v2 at [^;"]*; memory on v2 at [^;"]*"' ||
  fail "the doctor does not see cgroup v2: $(cat "$SCENARIO_DIR/doctor.json")"
pocket service status --json
stop_client caller
remove_client caller
stop_service
nothing_left
