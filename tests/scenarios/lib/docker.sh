# Clients as containers of the engine that tests/support/docker_engine.py runs. It sets
#   SCENARIO_DOCKER         the docker program; DOCKER_HOST is exported for it
#   SCENARIO_IMAGE          an image with the client's program and nothing else
#   SCENARIO_CGROUP_PARENT  where the engine makes its groups
# A container has no network, and of the service only the socket's folder, read-only.

host_begin() { :; }
host_end() { # the engine's own end does the rest
  containers=$("$SCENARIO_DOCKER" ps -aq)
  # shellcheck disable=SC2086 # one word for each container
  [ -z "$containers" ] || "$SCENARIO_DOCKER" rm -f $containers >/dev/null
}

host_start_client() { # NAME CPUS MEMORY COMMAND...
  name=$1 limits=
  [ -z "$2" ] || limits="--cpus $2"
  [ -z "$3" ] || limits="$limits --memory $3 --memory-swap $3"
  for variable in $client_env; do limits="$limits --env $variable"; done
  shift 3
  # shellcheck disable=SC2086 # options, two words each
  run_noted "$CLIENTS/$name" "$SCENARIO_DOCKER" run --name "$name" --network none --sig-proxy=false \
    $limits --volume "$SOCKETS:/run/pocket:ro" --env POCKET_SOCKET=/run/pocket/pocket.sock \
    "$SCENARIO_IMAGE" "$@"
}
host_start_beside() { # NAME OTHER COMMAND...
  name=$1 other=$2 variables=
  shift 2
  for variable in $client_env; do variables="$variables --env $variable"; done
  # shellcheck disable=SC2086 # options, two words each
  run_noted "$CLIENTS/$name" "$SCENARIO_DOCKER" exec $variables "$other" "$@"
}
host_find_client() {
  pid=$("$SCENARIO_DOCKER" inspect --format '{{.State.Pid}}' "$1" 2>/dev/null) || return 1
  [ "$pid" -gt 0 ] && echo "$pid" >"$CLIENTS/$1/pid"
}
host_signal_client() { "$SCENARIO_DOCKER" kill --signal "$2" "$1" >/dev/null; }
host_update_client() { # NAME CPUS MEMORY
  "$SCENARIO_DOCKER" update --cpus "$2" --memory "$3" --memory-swap "$3" "$1" >/dev/null
}
host_freeze_client() { "$SCENARIO_DOCKER" pause "$1" >/dev/null; }
host_thaw_client() { "$SCENARIO_DOCKER" unpause "$1" >/dev/null; }
host_remove_client() { "$SCENARIO_DOCKER" rm "$1" >/dev/null; }
host_left() {
  "$SCENARIO_DOCKER" ps --all --format 'container {{.Names}}'
  for controller in cpu memory; do
    top=$(controller_root "$controller")
    find "${top#?:}/$SCENARIO_CGROUP_PARENT" -mindepth 1 -type d 2>/dev/null || true
  done
}
