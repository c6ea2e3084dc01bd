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
  freezer=$(controller_root freezer) && freezer="${freezer#?:}/$TOP" && [ -d "$freezer" ] &&
    echo THAWED >"$freezer/freezer.state"
  for controller in cpu memory cpuacct freezer; do
    top=$(controller_root "$controller") || continue
    remove_group "$top/$TOP" || failed=1
  done
  return "$failed"
}

host_start_client() { # NAME CPUS MEMORY COMMAND...
  name=$1
  cpu_group=$(make_group cpu "$TOP/$1")
  memory_group=$(make_group memory "$TOP/$1")
  # v1 may count processor time in a tree of its own; engines make a group there too.
  counted=$(make_group cpuacct "$TOP/$1" 2>/dev/null) || counted=$cpu_group
  echo "$cpu_group" >"$CLIENTS/$name/cpu"
  echo "$memory_group" >"$CLIENTS/$name/memory"
  [ -z "$2" ] || set_cpu_limit "$cpu_group" "$2"
  [ -z "$3" ] || set_memory_limit "$memory_group" "$(bytes_of "$3")"
  shift 3
  # shellcheck disable=SC2086 # words of K=V
  run_in_groups "$name" "$cpu_group" "$memory_group" sh -c 'echo $$ >"$1" && shift && exec "$@"' \
    count "${counted#?:}/cgroup.procs" env $client_env "$@"
}
run_in_groups() { # NAME CPU-GROUP MEMORY-GROUP COMMAND...
  into="$CLIENTS/$1" into_cpu="${2#?:}/cgroup.procs" into_memory="${3#?:}/cgroup.procs"
  shift 3
  # The process moves itself in before it becomes the client: all its memory is charged there.
  run_noted "$into" sh -c 'echo $$ >"$1" && echo $$ >"$2" && echo $$ >"$3" || exit 126
    shift 3; exec "$@"' join "$into_cpu" "$into_memory" "$into/pid" "$@"
}
host_start_beside() { # NAME OTHER COMMAND...
  name=$1 other=$2
  shift 2
  # shellcheck disable=SC2086 # words of K=V
  run_in_groups "$name" "$(cat "$CLIENTS/$other/cpu")" "$(cat "$CLIENTS/$other/memory")" \
    env $client_env "$@"
}
host_find_client() { return 1; } # it writes its own pid
host_signal_client() { kill "-$2" "$(client_pid "$1")"; }
host_update_client() { # NAME CPUS MEMORY
  set_cpu_limit "$(cat "$CLIENTS/$1/cpu")" "$2"
  set_memory_limit "$(cat "$CLIENTS/$1/memory")" "$(bytes_of "$3")"
}
# host_freeze_client NAME, host_thaw_client NAME: every process of its group; fails where no group
# can be frozen. v1 has a tree of its own for that.
host_freeze_client() { freeze_bare "$1" 1 FROZEN; }
host_thaw_client() { freeze_bare "$1" 0 THAWED; }
freeze_bare() { # NAME V2-WORD V1-WORD
  frozen_group=$(cat "$CLIENTS/$1/memory")
  case $frozen_group in
    2:*)
      echo "$2" >"${frozen_group#2:}/cgroup.freeze"
      return 0
      ;;
  esac
  freezer=$(controller_root freezer) || return 1
  frozen_folder="${freezer#?:}/$TOP"
  mkdir -p "$frozen_folder" || return 1
  while read -r frozen_pid; do
    echo "$frozen_pid" >"$frozen_folder/cgroup.procs"
  done <"${frozen_group#?:}/cgroup.procs"
  echo "$3" >"$frozen_folder/freezer.state"
}
host_remove_client() {
  for controller in cpu memory cpuacct; do
    top=$(controller_root "$controller") || continue
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
