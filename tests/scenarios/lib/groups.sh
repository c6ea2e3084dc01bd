# Control groups by their files: cgroup v1, v2, and hosts where each controller is somewhere else.
# A group is named "VERSION:FOLDER", e.g. "1:/sys/fs/cgroup/memory/x"; CONTROLLER is cpu or memory.

# controller_root CONTROLLER: the group at the top of the tree that has it; fails without one.
controller_root() {
  root=$(awk -v name="$1" '$3 == "cgroup" {
    count = split($4, options, ",")
    for (i = 1; i <= count; i++) if (options[i] == name) { print $2; exit }
  }' /proc/mounts)
  if [ -n "$root" ]; then
    echo "1:$root"
    return 0
  fi
  root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
  [ -n "$root" ] && grep -qw "$1" "$root/cgroup.controllers" && echo "2:$root"
}

# group_of_process CONTROLLER PID
group_of_process() {
  of_root=$(controller_root "$1") || return 1
  case $of_root in
    1:*) of_path=$(awk -F: -v name="$1" '{
        count = split($2, names, ",")
        for (i = 1; i <= count; i++) if (names[i] == name) print $3
      }' "/proc/$2/cgroup" 2>/dev/null) ;;
    2:*) of_path=$(sed -n 's/^0:://p' "/proc/$2/cgroup" 2>/dev/null) ;;
  esac
  [ -n "$of_path" ] && echo "$of_root${of_path%/}"
}

# make_group CONTROLLER PATH: below the controller's root; prints the group.
make_group() {
  made=$(controller_root "$1") || return 1
  for part in $(echo "$2" | tr / ' '); do
    case $made in 2:*) echo "+$1" >"${made#2:}/cgroup.subtree_control" || return 1 ;; esac
    made="$made/$part"
    mkdir -p "${made#?:}" || return 1
  done
  echo "$made"
}

# bytes_of 64m
bytes_of() {
  case $1 in
    *k) echo $((${1%k} * 1024)) ;;
    *m) echo $((${1%m} * 1048576)) ;;
    *g) echo $((${1%g} * 1073741824)) ;;
    *) echo "$1" ;;
  esac
}

set_cpu_limit() { # GROUP PROCESSORS
  quota=$(echo "$2" | awk '{ printf "%d", $1 * 100000 + 0.5 }')
  case $1 in
    1:*) echo 100000 >"${1#1:}/cpu.cfs_period_us" && echo "$quota" >"${1#1:}/cpu.cfs_quota_us" ;;
    2:*) echo "$quota 100000" >"${1#2:}/cpu.max" ;;
  esac
}
set_memory_limit() { # GROUP BYTES
  case $1 in
    1:*) echo "$2" >"${1#1:}/memory.limit_in_bytes" ;;
    2:*) echo "$2" >"${1#2:}/memory.max" ;;
  esac
}

read_cpu_limit() { # GROUP: "QUOTA PERIOD" as cgroup v2 writes it
  case $1 in
    1:*) echo "$(cat "${1#1:}/cpu.cfs_quota_us") $(cat "${1#1:}/cpu.cfs_period_us")" |
      sed 's/^-1 /max /' ;;
    2:*) cat "${1#2:}/cpu.max" ;;
    *) return 1 ;;
  esac
}
read_cpu_weight() { # GROUP: in v1's shares, 1024 as a rule
  case $1 in
    1:*) cat "${1#1:}/cpu.shares" ;;
    2:*) echo $(($(cat "${1#2:}/cpu.weight") * 1024 / 100)) ;;
    *) return 1 ;;
  esac
}
read_memory_limit() { # GROUP: bytes, or max
  case $1 in
    1:*) sed 's/^9223372036854771712$/max/' "${1#1:}/memory.limit_in_bytes" ;;
    2:*) cat "${1#2:}/memory.max" ;;
    *) return 1 ;;
  esac
}

# remove_group GROUP: ends what runs in it and below, and removes it.
remove_group() {
  folder=${1#?:}
  [ -d "$folder" ] || return 0
  tries=0
  while ! remove_tree "$folder"; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || return 1
    for member in $(find "$folder" -name cgroup.procs -exec cat {} +); do
      kill -KILL "$member" 2>/dev/null || true
    done
    sleep 0.05
  done
}
remove_tree() { find "$1" -depth -type d -exec rmdir {} \; 2>/dev/null; [ ! -d "$1" ]; }
