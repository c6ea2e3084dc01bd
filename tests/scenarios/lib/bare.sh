# Clients as plain processes in groups of their own: on this machine, and inside the emulated one.
TOP="$SCENARIO_ID"

host_begin() {
  for controller in cpu memory; do
    controller_root "$controller" >/dev/null || skip "no cgroup tree has the $controller controller"
    make_group "$controller" "$TOP" >/dev/null 2>&1 ||
      skip "no permission to make $controller groups here: run as root"
  done
}
host_end() {
  failed=0
  for controller in cpu memory; do
    top=$(controller_root "$controller") || continue
    remove_group "$top/$TOP" || failed=1
  done
  return "$failed"
}

host_start_client() { # NAME CPUS MEMORY COMMAND...
  name=$1
  cpu_group=$(make_group cpu "$TOP/$1")
  memory_group=$(make_group memory "$TOP/$1")
  echo "$cpu_group" >"$CLIENTS/$name/cpu"
  echo "$memory_group" >"$CLIENTS/$name/memory"
  [ -z "$2" ] || set_cpu_limit "$cpu_group" "$2"
  [ -z "$3" ] || set_memory_limit "$memory_group" "$(bytes_of "$3")"
  shift 3
  # The process moves itself in before it becomes the client: all its memory is charged there.
  run_noted "$CLIENTS/$name" sh -c 'echo $$ >"$1" && echo $$ >"$2" && echo $$ >"$3" || exit 126
    shift 3; exec "$@"' join "${cpu_group#?:}/cgroup.procs" "${memory_group#?:}/cgroup.procs" \
    "$CLIENTS/$name/pid" "$@"
}
host_find_client() { return 1; } # it writes its own pid
host_signal_client() { kill "-$2" "$(client_pid "$1")"; }
host_update_client() { # NAME CPUS MEMORY
  set_cpu_limit "$(cat "$CLIENTS/$1/cpu")" "$2"
  set_memory_limit "$(cat "$CLIENTS/$1/memory")" "$(bytes_of "$3")"
}
host_remove_client() {
  for controller in cpu memory; do
    top=$(controller_root "$controller")
    folder="${top#?:}/$TOP/$1"
    # Only an empty group can be removed: the check that nothing of the client lives on.
    [ ! -d "$folder" ] || wait_until 10 "group $folder is empty" remove_empty "$folder"
  done
}
remove_empty() { rmdir "$1" 2>/dev/null; }
host_left() {
  for controller in cpu memory; do
    top=$(controller_root "$controller")
    find "${top#?:}/$TOP" -mindepth 1 -type d
  done
}
