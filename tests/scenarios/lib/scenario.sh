# What every scenario begins with:  . "$(dirname "$0")/lib/scenario.sh"
#
# The same words on every host; docs/testing.md lists them. tests/scenarios/run sets
#   SCENARIO_HOST  bare (groups of this machine), docker (containers) or machine (inside the VM)
#   SCENARIO_BIN   folder of pocketd, pocket and scenario-client
#   SCENARIO_DIR   an empty folder of this run; its name also names the groups
# Plain POSIX shell: it also runs in busybox.
set -eu
LIB="$(cd "$(dirname "$0")" && pwd)/lib"
PATH="$SCENARIO_BIN:$PATH"
SCENARIO_ID="${SCENARIO_DIR##*/}"
SOCKETS="$SCENARIO_DIR/sockets" # the only folder of the service that a container gets
MODELS="$SCENARIO_DIR/models"
CLIENTS="$SCENARIO_DIR/clients"
POCKET_SOCKET="$SOCKETS/pocket.sock"
export POCKET_SOCKET
mkdir -p "$SOCKETS" "$MODELS" "$CLIENTS"
service_pid=
more_clean_up=: # a command for the very end

say() { echo "  $*"; }
fail() {
  echo "FAILED: $*" >&2
  exit 1
}
skip() {
  echo "skipped: $*"
  exit 77
}

# expect WHAT EXPECTED ACTUAL
expect() {
  [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
  say "$1: $3"
}

# wait_until SECONDS WHAT COMMAND...: polls; fails the scenario when the time is over.
wait_until() {
  wait_seconds=$1 wait_what=$2
  shift 2
  wait_end=$(($(date +%s) + wait_seconds))
  while ! "$@"; do
    [ "$(date +%s)" -le "$wait_end" ] || fail "not within $wait_seconds s: $wait_what"
    sleep 0.05
  done
}

# running PID: neither gone nor only waiting to be reaped.
running() {
  [ -r "/proc/$1/stat" ] && ! grep -q ') Z ' "/proc/$1/stat" 2>/dev/null
}
ended() { ! running "$1"; }

# run_noted FOLDER COMMAND...: the status goes to FOLDER/status once the command has ended. What it
# starts carries the mark by which `processes_left` finds it.
run_noted() {
  noted=$1
  shift
  (
    trap - EXIT INT TERM PIPE
    status=0
    env "POCKET_SCENARIO_MARK=$SCENARIO_ID" "$@" >>"$noted/output" 2>&1 </dev/null || status=$?
    echo "$status" >"$noted/status.new" && mv "$noted/status.new" "$noted/status"
  ) &
}

# --- the service -------------------------------------------------------------------------------

# null_model NAME MODE [LINE...]: a model of the null engine with one input and one output.
null_model() {
  null_file="$MODELS/$1/1/model.null"
  mkdir -p "${null_file%/*}"
  echo "mode = '$2'" >"$null_file"
  shift 2
  {
    for null_line in "$@"; do echo "$null_line"; done
    printf "[[inputs]]\nname = 'x'\nshape = [4]\n[[outputs]]\nname = 'y'\nshape = [4]\n"
  } >>"$null_file"
}

# start_service [POCKETD-OPTION...]: returns when it is ready. What it is started by: words of
# service_prefix.
service_prefix=
start_service() {
  service="$SCENARIO_DIR/service"
  rm -rf "$service"
  mkdir -p "$service"
  # shellcheck disable=SC2086 # words
  run_noted "$service" sh -c 'echo $$ >"$1/pid"; to="$1/ready"; shift; exec "$@" 3>"$to"' start \
    "$service" $service_prefix pocketd --socket "$POCKET_SOCKET" --models "$MODELS" --ready-fd 3 "$@"
  wait_until 30 "pocketd says that it is ready" service_settled
  [ -s "$service/ready" ] || fail "pocketd ended instead: $(cat "$service/output")"
  service_pid=$(cat "$service/pid")
}
service_settled() { [ -s "$service/ready" ] || [ -e "$service/status" ]; }

# stop_service: SIGTERM; fails unless it ends well.
stop_service() {
  [ -n "$service_pid" ] || return 0
  kill -TERM "$service_pid"
  wait_until 30 "pocketd ends" test -e "$service/status"
  service_pid=
  expect "pocketd's exit status" 0 "$(cat "$service/status")"
}

# knows_client NAME: the service lists a session of that name.
knows_client() { pocket service status --json | grep -q "\"name\": *\"$1\""; }
forgot_client() { ! knows_client "$1"; }

# --- clients -----------------------------------------------------------------------------------

# start_client NAME [--cpus X] [--memory Y] [--env K=V]... -- COMMAND...: X in processors (0.2), Y
# like 64m; no spaces in V. Returns when it runs (or has already ended) with its limits set.
start_client() {
  client=$1 cpus= memory= client_env=
  shift
  while [ "$1" != -- ]; do
    case $1 in
      --cpus) cpus=$2 ;;
      --memory) memory=$2 ;;
      --env) client_env="$client_env $2" ;;
      *) fail "start_client does not know '$1'" ;;
    esac
    shift 2
  done
  shift
  rm -rf "${CLIENTS:?}/$client"
  mkdir -p "$CLIENTS/$client"
  host_start_client "$client" "$cpus" "$memory" "$@"
  wait_until 30 "client $client runs" client_settled "$client"
  # Its groups as the kernel names them; kept, because a dead process has none.
  pid=$(client_pid "$client")
  for controller in cpu memory; do
    if group=$(group_of_process "$controller" "$pid"); then
      echo "$group" >"$CLIENTS/$client/$controller"
    fi
  done
}
# start_beside NAME OTHER [--env K=V]... -- COMMAND...: one more process in the group or container of
# client OTHER.
start_beside() {
  client=$1 other=$2 client_env=
  shift 2
  while [ "$1" = --env ]; do
    client_env="$client_env $2"
    shift 2
  done
  shift
  rm -rf "${CLIENTS:?}/$client"
  mkdir -p "$CLIENTS/$client"
  : >"$CLIENTS/$client/output"
  host_start_beside "$client" "$other" "$@"
}
client_settled() { [ -s "$CLIENTS/$1/pid" ] || [ -e "$CLIENTS/$1/status" ] || host_find_client "$1"; }

client_pid() { cat "$CLIENTS/$1/pid" 2>/dev/null || echo none; }
client_output() { cat "$CLIENTS/$1/output"; }
client_says() { grep -q "^$2\$" "$CLIENTS/$1/output"; }
client_ended() { [ -e "$CLIENTS/$1/status" ]; }
client_says_or_ended() { client_says "$1" "$2" || client_ended "$1"; }

# wait_for_output NAME LINE: fails when the client ends without it.
wait_for_output() {
  wait_until 30 "client $1 says '$2'" client_says_or_ended "$1" "$2"
  client_says "$1" "$2" || fail "client $1 ended without saying '$2': $(client_output "$1")"
}
# wait_client NAME: prints its exit status.
wait_client() {
  wait_until 30 "client $1 ends" client_ended "$1"
  cat "$CLIENTS/$1/status"
}
stop_client() { # SIGTERM
  host_signal_client "$1" TERM
  wait_until 30 "client $1 ends" client_ended "$1"
}
kill_client() { # SIGKILL
  host_signal_client "$1" KILL
  wait_until 30 "client $1 ends" client_ended "$1"
}
# remove_client NAME: an ended client's group or container.
remove_client() { host_remove_client "$1"; }
# update_client NAME CPUS MEMORY: somebody else changes its limits (docker update, or the files).
update_client() { host_update_client "$1" "$2" "$3"; }

# cpu_limit NAME: "QUOTA PERIOD" in microseconds, or "max PERIOD"; memory_limit NAME: bytes, or
# "max". Read from the kernel's files, the same words for cgroup v1 and v2.
# A container's group is gone once it has ended; a bare group stays until remove_client.
cpu_limit() { read_cpu_limit "$(cat "$CLIENTS/$1/cpu")"; }
memory_limit() { read_memory_limit "$(cat "$CLIENTS/$1/memory")"; }

# --- the end -----------------------------------------------------------------------------------

# processes_left: the processes that this scenario started and that still run.
processes_left() {
  for environment in $(grep -ls "POCKET_SCENARIO_MARK=$SCENARIO_ID" /proc/[0-9]*/environ); do
    left=${environment#/proc/}
    left=${left%/environ}
    if running "$left"; then echo "process $left ($(tr '\0' ' ' <"/proc/$left/cmdline"))"; fi
  done
}
# nothing_left: after stop_service and remove_client for all of them.
nothing_left() {
  left="$(processes_left)$(host_left)$(ls -A "$SOCKETS")"
  [ -z "$left" ] || fail "left behind: $left"
  say "nothing is left: no process, group, container or socket"
}

clean_up() {
  status=$?
  trap - EXIT
  trap '' INT TERM PIPE # nothing keeps it from cleaning up
  set +e
  [ "$status" -eq 0 ] || [ "$status" -eq 77 ] || show_logs >&2
  if ! host_end; then
    echo "FAILED: a group or container could not be removed" >&2
    [ "$status" -ne 0 ] || status=1
  fi
  for pid in $(processes_left | sed -n 's/^process \([0-9]*\) .*/\1/p'); do
    kill -KILL "$pid" 2>/dev/null
  done
  $more_clean_up
  exit "$status"
}
show_logs() {
  for log in "$SCENARIO_DIR"/service/output "$CLIENTS"/*/output; do
    [ -s "$log" ] && echo "--- ${log#"$SCENARIO_DIR"/}" && tail -n 30 "$log"
  done
}

. "$LIB/groups.sh"
case $SCENARIO_HOST in
  docker) . "$LIB/docker.sh" ;;
  bare | machine) . "$LIB/bare.sh" ;;
  *) fail "SCENARIO_HOST is '$SCENARIO_HOST', not bare, docker or machine" ;;
esac
trap clean_up EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
trap 'exit 141' PIPE
host_begin
