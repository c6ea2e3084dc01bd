# Loans between cgroup v2 groups, by a process that is killed at random moments: the program that the
# other hosts run as a test of its own.
# Hosts: machine
. "$(dirname "$0")/lib/scenario.sh"

status=0
daemon_lease_groups_test --gtest_color=no || status=$?
expect "exit status" 0 "$status"
left=$(find /sys/fs/cgroup -name 'pocket-lend-*')
expect "groups that are left" "" "$left"
nothing_left
