# What the scenarios of lending share, after lib/scenario.sh.

# A service whose runners have 1 processor and 256 MiB. Further lines go into its [budget].
RUNNER_CPU="100000 100000"
RUNNER_MEMORY=268435456
CONCURRENCY=8
lending_service() { # [LINE...]
  {
    printf "[service]\ndrain_seconds = 1\n[engines]\nconcurrency = %s\n" "$CONCURRENCY"
    printf "[budget]\ncpus = 1.0\nmemory = %s\ncgroup = '%s'\nledger = '%s'\n" \
      "$RUNNER_MEMORY" "$RUNNERS" "$SCENARIO_DIR/ledger"
    case "$*" in *_policy*) ;; *) echo "cpu_policy = 'func,ratio,0.5'" && echo "mem_policy = 'func,ratio,0.5'" ;; esac
    for budget_line in "$@"; do echo "$budget_line"; done
  } >"$SCENARIO_DIR/pocketd.toml"
  start_service --config "$SCENARIO_DIR/pocketd.toml"
}

# What the service made, and where it is killed might leave.
RUNNERS="$SCENARIO_ID-runners"
runner_groups() {
  for controller in cpu memory cpuacct; do
    top=$(controller_root "$controller") && find "${top#?:}/$RUNNERS" -type d 2>/dev/null
  done
  true
}
remove_runner_groups() { # the scenario has ended, and so have pocketd and its runners
  for controller in cpu memory cpuacct; do
    top=$(controller_root "$controller") && remove_group "$top/$RUNNERS"
  done
}
more_clean_up=remove_runner_groups

# lent_model NAME MODE [LINE...]: as null_model; all of them are in one runner, not warmed up.
lent_model() {
  null_model "$@"
  printf "group = 'lending'\nwarmup = false\n" >"$MODELS/$1/model.toml"
}

# A call that takes LOOK_US is long enough to look at everything while it runs.
case $SCENARIO_HOST in
  machine) LOOK_US=6000000 ;;
  *) LOOK_US=2500000 ;;
esac

# flatten_json: each value of indented JSON as a line "path<TAB>value"; strings without quotes.
flatten_json() {
  awk '
    function join(  i, text) {
      for (i = 1; i <= depth; i++) text = text (i > 1 ? "." : "") at[i]
      return text
    }
    {
      sub(/^ +/, ""); sub(/,$/, "")
      if ($0 ~ /^[]}]$/) { depth--; next }
      if (depth > 0 && list[depth]) at[depth] = ++count[depth]
      if (match($0, /^"[^"]*": /)) {
        at[depth] = substr($0, 2, RLENGTH - 4)
        $0 = substr($0, RLENGTH + 1)
      }
      if ($0 == "{" || $0 == "[") { depth++; list[depth] = $0 == "["; count[depth] = 0; next }
      if ($0 ~ /^".*"$/) $0 = substr($0, 2, length($0) - 2)
      printf "%s\t%s\n", join(), $0
    }'
}

# read_leases [OPTION...]: what `pocket leases` says now, for the words below.
LEASES="$SCENARIO_DIR/leases"
read_leases() {
  pocket leases --json "$@" >"$LEASES.json" || fail "pocket leases failed"
  flatten_json <"$LEASES.json" >"$LEASES"
}
lease_value() { awk -F '\t' -v path="$1" '$1 == path { print $2 }' "$LEASES"; } # PATH
lease_path_of() { # PATTERN VALUE: the path without its last word, of the first such value
  awk -F '\t' -v pattern="$1" -v value="$2" '$1 ~ pattern && $2 == value {
    sub(/[.][^.]*$/, "", $1); print $1; exit }' "$LEASES"
}
# account RESOURCE GROUP FIELD; nothing where the ledger has no such account.
account() {
  for account_index in $(awk -F '\t' -v group="${2#?:}" '
    $1 ~ /^accounts[.][0-9]+[.]group$/ && $2 == group { split($1, part, "."); print part[2] }' \
    "$LEASES"); do
    [ "$(lease_value "accounts.$account_index.resource")" != "$1" ] ||
      lease_value "accounts.$account_index.$3"
  done
}
lease_of_client() { # NAME RESOURCE FIELD
  lease_value "$(lease_path_of '^clients[.][0-9]+[.]name$' "$1").$2.$3"
}
# remember_runner: the groups of the service's one runner, kept for runner_limits.
remember_runner() {
  read_leases
  for controller in cpu memory; do
    top=$(controller_root "$controller")
    echo "${top%%:*}:$(lease_value "runners.1.${controller}_group")" >"$SCENARIO_DIR/runner-$controller"
  done
}
runner_group() { cat "$SCENARIO_DIR/runner-$1"; }

# "QUOTA PERIOD BYTES", of a client and of the runner.
limits() { echo "$(cpu_limit "$1") $(memory_limit "$1")"; }
runner_limits() {
  echo "$(read_cpu_limit "$(runner_group cpu)") $(read_memory_limit "$(runner_group memory)")"
}
limits_are() { [ "$(limits "$1")" = "$2" ]; }
limits_are_not() { ! limits_are "$1" "$2"; }
runner_limits_are() { [ "$(runner_limits)" = "$1" ]; }
runner_is_home() { runner_limits_are "$RUNNER_CPU $RUNNER_MEMORY"; }

# start_with NAME CPU-POLICY MEMORY-POLICY CLIENT-ARGUMENT...: a client of 0.2 processors and 64 MiB,
# or of $cpus_of and $memory_of.
cpus_of=0.2 memory_of=64m
start_with() {
  with=$1 with_cpu=$2 with_memory=$3
  shift 3
  start_client "$with" --cpus "$cpus_of" --memory "$memory_of" \
    --env "POCKET_CPU_POLICY=$with_cpu" --env "POCKET_MEM_POLICY=$with_memory" -- scenario-client "$@"
}

# start_victim NAME MODEL: makes one call of MODEL from the group of client "keeper", which
# stays, and so do its limits, whatever happens to the victim.
KEEPER="20000 100000 67108864" # 0.2 processors and 64 MiB
HALF=33554432 # of the 64 MiB
start_keeper() {
  start_client keeper --cpus 0.2 --memory 64m --env POCKET_CPU_POLICY=none \
    --env POCKET_MEM_POLICY=none -- scenario-client quick 1 keeper hold
  wait_for_output keeper "answered 1"
}
start_victim() {
  victim=$1 victim_model=$2
  start_beside "$victim" keeper --env POCKET_CPU_POLICY=func,ratio,0.5 \
    --env POCKET_MEM_POLICY=func,ratio,0.5 -- scenario-client "$victim_model" 1 "$victim"
  wait_for_output "$victim" "submitted 1"
  wait_until 5 "both limits of the client change" limits_are keeper "10000 100000 $HALF"
  remember_runner
  expect "limits of the runner" "110000 100000 $((RUNNER_MEMORY + HALF))" "$(runner_limits)"
  expect_conserved
}
# lease_pid NAME: as the service knows it.
lease_pid() { lease_value "$(lease_path_of '^clients[.][0-9]+[.]name$' "$1").pid"; }

# home_within MILLISECONDS WHAT COMMAND...: from the moment $since (now_ms) on; says how long it was.
home_within() {
  home_limit=$1 home_what=$2
  shift 2
  while ! "$@"; do
    [ $(($(now_ms) - since)) -le "$home_limit" ] ||
      fail "not within $home_limit ms: $home_what"
  done
  say "$home_what after $(($(now_ms) - since)) ms (to 10 ms)"
}

# expect_home NAME LIMITS: within a second (processors come back beside the answer) the client has
# exactly its own, and so has the runner.
expect_home() {
  wait_until 5 "client $1 has its limits back" limits_are "$1" "$2"
  wait_until 5 "the runner has its own limits" runner_is_home
  say "$1 and the runner have their own limits: $2 and $RUNNER_CPU $RUNNER_MEMORY"
}
# expect_conserved: of both resources, and of each account.
expect_conserved() {
  for resource in cpu memory; do
    expect "sum of $resource is conserved" "true" "$(lease_value "sums.$resource.conserved")"
    expect "$resource: all that is there" "$(lease_value "sums.$resource.base")" \
      "$(lease_value "sums.$resource.current")"
    expect "$resource: in transit and unbacked" "0 0" \
      "$(lease_value "sums.$resource.in_transit") $(lease_value "sums.$resource.unbacked")"
  done
  if grep -q "^accounts[.].*[.]conserved	false" "$LEASES"; then
    fail "an account is not conserved: $(cat "$LEASES.json")"
  fi
}
# expect_nothing_lent: no account has lent or borrowed anything.
expect_nothing_lent() {
  read_leases
  if grep -Eq "^accounts[.][0-9]+[.](lent|borrowed)	[^0]" "$LEASES"; then
    fail "something is still lent: $(cat "$LEASES.json")"
  fi
  expect_conserved
}

# Milliseconds of a clock that only runs on; to 10 ms.
now_ms() { awk '{ printf "%d", $1 * 1000 }' /proc/uptime; }
