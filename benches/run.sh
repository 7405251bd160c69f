#!/usr/bin/env bash
# Measures every subject and prints one Markdown table. See README.md.
#
#   ./run.sh [--ours] [--only REGEX] [--patient] [COLUMN...]
#
#   --ours         adds our own crate (feature `ours`)
#   --only REGEX   only the subjects whose whole name matches, for example 'bare|recloser.*'
#   --patient      on a busy machine: takes disturbed samples again until they are quiet. No bound on the time
#   COLUMN         closed-1 closed-2 open-1 open-2 allocations instructions; default: all
#
# The table goes to standard output, everything else to standard error.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/target}
results=$target/figures
# Calls of the two counting runs. Their difference is what counts.
few=2000
many=12000

every_column=(closed-1 closed-2 open-1 open-2 allocations instructions)
columns=()
only='.*'
ours=
while (($#)); do
  case $1 in
    --ours) ours=ours ;;
    --patient) export BENCH_RETRIES=1000000 ;;
    --only) only=${2:?--only needs a regular expression}; shift ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit ;;
    *)
      [[ " ${every_column[*]} " == *" $1 "* ]] || { echo "no column $1; columns: ${every_column[*]}" >&2; exit 2; }
      columns+=("$1")
      ;;
  esac
  shift
done
((${#columns[@]})) || columns=("${every_column[@]}")

wants() { [[ " ${columns[*]} " == *" $1 "* ]]; }

if wants instructions && ! command -v valgrind >/dev/null; then
  echo "valgrind is not installed: instructions are left out" >&2
  kept=()
  for column in "${columns[@]}"; do [[ $column == instructions ]] || kept+=("$column"); done
  columns=(${kept[@]+"${kept[@]}"})
fi

rm -rf "$results"
mkdir -p "$results"

# build NAME FEATURES: the counter of this build as $results/NAME.count, its subjects as NAME.list.
build() {
  cargo build --quiet --release --manifest-path "$here/Cargo.toml" --bin count --features "$2" >&2
  cp "$target/release/count" "$results/$1.count"
  "$results/$1.count" list >"$results/$1.all"
}

# choose NAME REGEX: the subjects of that build that take part.
choose() {
  awk -F '\t' -v regex="^($2)\$" -v only="^($only)\$" '$1 ~ regex && $1 ~ only' "$results/$1.all" >"$results/$1.list"
}

# time_it NAME FEATURES BENCH: criterion's figures, under $results/NAME.
time_it() {
  local names groups
  names=$(cut -f 1 "$results/$1.list" | paste -sd '|' -)
  groups=$(printf '%s\n' "${columns[@]}" | { grep -E '^(closed|open)-' || true; } | paste -sd '|' -)
  [[ $names && $groups ]] || return 0
  CRITERION_HOME=$results/$1 cargo bench --quiet --manifest-path "$here/Cargo.toml" --bench "$3" \
    --features "$2" -- "^($groups)/($names)\$" 2>&1 | tee -a "$results/$1.log" >&2
}

# count_it NAME SUBJECT CASE: lines "allocations N" and "instructions N", both a call.
count_it() {
  local counter=$results/$1.count
  if wants allocations; then
    "$counter" "$2" "$3" "$many" | awk '{ printf "allocations %.2f\n", $3 / $1 }'
  fi
  if wants instructions; then
    local calls
    for calls in "$few" "$many"; do
      # The tool's own output goes with the program's into one stream; only the sum matters.
      valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='count::measured*' \
        "$counter" "$2" "$3" "$calls" 2>&1 | awk '/Collected/ { print $NF }'
    done | awk -v calls="$((many - few))" '
      { total[NR] = $1 } END { printf "instructions %.0f\n", (total[2] - total[1]) / calls }'
  fi
}

# count_all NAME: every subject's counts, as $results/NAME/SUBJECT.CASE.
count_all() {
  local name title cases case
  mkdir -p "$results/$1"
  while IFS=$'\t' read -r name title cases; do
    for case in $cases; do
      count_it "$1" "$name" "$case" >"$results/$1/$name.$case"
    done
  done <"$results/$1.list"
}

# cell NAME SUBJECT COLUMN CASE: one figure, or a dash.
cell() {
  local figure= mark= estimates=$results/$1/$3/$2/new/estimates.json
  case $3 in
    allocations | instructions)
      [[ -f $results/$1/$2.$4 ]] && figure=$(awk -v what="$3" '$1 == what { print $2 }' "$results/$1/$2.$4")
      ;;
    *)
      # Criterion writes nanoseconds, on one line.
      [[ -f $estimates ]] &&
        figure=$(sed 's/.*"median":{"confidence_interval":{[^}]*},"point_estimate":\([-+.0-9e]*\).*/\1/' "$estimates")
      grep -qsx "disturbed $3/$2" "$results/$1.log" && mark='\*'
      ;;
  esac
  [[ $figure ]] || { echo –; return; }
  awk -v figure="$figure" -v column="$3" -v mark="$mark" 'BEGIN {
    if (column == "instructions") decimals = 0
    else if (column == "allocations") decimals = (figure == int(figure)) ? 0 : 1
    else decimals = (figure < 10) ? 1 : 0
    text = sprintf("%.*f", decimals, figure)
    while (match(text, /^[0-9][0-9][0-9][0-9]+/)) {
      if (RLENGTH <= 3) break
      text = substr(text, 1, RLENGTH - 3) "," substr(text, RLENGTH - 2)
    }
    print text mark
  }'
}

# rows NAME NOTE: the table's rows of that build.
rows() {
  local name title cases column
  while IFS=$'\t' read -r name title cases; do
    # The bare service is there again to show whether the two builds and moments compare.
    [[ $name == bare ]] && title+=$2
    printf '| %s |' "$title"
    for column in "${columns[@]}"; do
      case $column in
        allocations | instructions)
          printf ' %s / %s |' "$(cell "$1" "$name" "$column" closed)" "$(cell "$1" "$name" "$column" open)"
          ;;
        *) printf ' %s |' "$(cell "$1" "$name" "$column" '')" ;;
      esac
    done
    echo
  done <"$results/$1.list"
}

measure() {
  build plain "$ours"
  choose plain '.*'
  time_it plain "$ours" peers
  if [[ $ours ]]; then time_it plain "$ours" circuit_breaker; fi
  count_all plain

  # Features unify within a build, so the peer's metrics have a build and a process of their own.
  build metrics peer-metrics
  choose metrics 'bare|tower-resilience-metrics'
  if [[ -s $results/metrics.list ]]; then
    time_it metrics peer-metrics peers
    count_all metrics
  fi
}

table() {
  local column
  declare -A heads=(
    [closed-1]='closed, 1 thread, ns' [closed-2]='closed, 2 threads, ns'
    [open-1]='open, 1 thread, ns' [open-2]='open, 2 threads, ns'
    [allocations]='allocations, closed / open' [instructions]='instructions, closed / open'
  )
  printf '| per call |'
  for column in "${columns[@]}"; do printf ' %s |' "${heads[$column]}"; done
  printf '\n|---|'
  for column in "${columns[@]}"; do printf -- '---:|'; done
  echo
  rows plain ''
  rows metrics ', second build'
  echo
  echo '- closed: a call that succeeds at once. open: a call that is refused.'
  wants closed-1 || wants open-1 &&
    echo '- 1 thread: criterion, median of 20 samples over 2 s after 1 s of warm-up, time on a core, inner service included.'
  wants closed-2 || wants open-2 &&
    echo '- 2 threads: the same with two threads on one instance; ns per call per thread. These drift most.'
  grep -qs '^disturbed ' "$results"/*.log &&
    echo '- \*: a thread waited for a core for more than a twentieth of the time; do not trust the figure.'
  wants allocations && echo "- allocations: a counting allocator over $many calls, after 2,000 calls of warm-up."
  wants instructions &&
    echo "- instructions: callgrind inside the loop only, $many calls less $few. Clock reads count as one system call."
  echo '- "second build": tower-resilience with its metrics needs a build of its own; the bare service is in both.'
}

started=$SECONDS
measure
table
echo "took $((SECONDS - started)) s" >&2
