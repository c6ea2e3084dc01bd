# What a container sees of the service: the socket, and no other file of it.
# Hosts: docker
. "$(dirname "$0")/lib/scenario.sh"

null_model echo echo
start_service --log-file "$SCENARIO_DIR/service/log"
start_client watched -- scenario-client echo 1 watched hold
wait_for_output watched "answered 1"
root="/proc/$(client_pid watched)/root"

# Every file of the container, but for the kernel's own trees and what the engine itself puts there.
seen=$(cd "$root" && find . \( -path ./proc -o -path ./sys -o -path ./dev \) -prune -o ! -type d -print |
  grep -v -e '^./.dockerenv$' -e '^./etc/\(hosts\|hostname\|resolv.conf\|mtab\)$' | sort | tr '\n' ' ')
expect "files in the container" "./bin/scenario-client ./run/pocket/pocket.sock " "$seen"

# Nothing of the service's folder is mounted but the sockets; nothing in it is open either.
mounted=$(awk '{ print $4 }' "/proc/$(client_pid watched)/mountinfo" | grep -o "$SCENARIO_ID.*" || true)
expect "folders of the service in the container" "$SCENARIO_ID/sockets" "$mounted"
opened=$(find "/proc/$(client_pid watched)/fd" -type l -exec readlink {} \; | grep "$SCENARIO_ID" || true)
expect "files of the service that the client has open" "" "$opened"
rm -f "$root/run/pocket/pocket.sock" 2>/dev/null && fail "the socket can be removed from the container"

stop_client watched
remove_client watched
stop_service
nothing_left
