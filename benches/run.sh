#!/usr/bin/env bash
# Measures every subject and prints a Markdown table for each mechanism. See README.md.
#
#   ./run.sh [--ours] [--only REGEX] [--patient] [COLUMN...]
#
#   --ours         adds our own crate and whole requests (feature `end-to-end`)
#   --only REGEX   only the subjects whose whole name matches, for example 'bare|recloser.*'
#   --patient      on a busy machine: takes disturbed samples again until they are quiet. No bound on the time
#   COLUMN         closed-1 closed-2 open-1 open-2 allocations instructions; default: all.
#                  A closed breaker admits and an open one rejects, so admitting-1 is closed-1 and so on
#
# The tables go to standard output, everything else to standard error.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/target}
results=$target/figures
# Calls of the two counting runs. Their difference is what counts.
few=2000
many=12000

every_column=(admitting-1 admitting-2 rejecting-1 rejecting-2 allocations instructions)
# Mechanism as in `count list`, and the title of its table.
tables='circuit-breaker|Circuit breakers
bulkhead|Bulkheads
stack|Breaker over bulkhead
kill-switch|Kill switches
signals|Signals of a service
judge|Rollback verdicts, a tick
route|An axum route, in process
grpc|A unary call of tonic, client and server in one process
client|A request of reqwest over loopback'
columns=()
only='.*'
ours=
while (($#)); do
  case $1 in
    --ours) ours=end-to-end ;;
    --patient) export BENCH_RETRIES=1000000 ;;
    --only) only=${2:?--only needs a regular expression}; shift ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit ;;
    *)
      column=${1/#closed-/admitting-}
      column=${column/#open-/rejecting-}
      [[ " ${every_column[*]} " == *" $column "* ]] || { echo "no column $1; columns: ${every_column[*]}" >&2; exit 2; }
      columns+=("$column")
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

# word MECHANISM CASE: that mechanism's own word for admitting or rejecting.
word() {
  case $1.$2 in
    circuit-breaker.admitting) echo closed ;;
    circuit-breaker.rejecting) echo open ;;
    *) echo "$2" ;;
  esac
}

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
  local names groups column
  names=$(cut -f 1 "$results/$1.list" | paste -sd '|' -)
  groups=$(for column in "${columns[@]}"; do
    case $column in
      *-*) printf '%s\n' "$column" "$(word circuit-breaker "${column%-*}")-${column#*-}" ;;
    esac
  done | paste -sd '|' -)
  [[ $names && $groups ]] || return 0
  CRITERION_HOME=$results/$1 cargo bench --quiet --manifest-path "$here/Cargo.toml" --bench "$3" \
    --features "$2" -- "^($groups)/($names)\$" 2>&1 | tee -a "$results/$1.log" >&2
}

# count_it NAME SUBJECT CASE: lines "allocations N" and "instructions N", both a call.
count_it() {
  local counter=$results/$1.count few=$few many=$many
  # There a refusal sleeps for a millisecond.
  case $2.$3 in tower-resilience-bulkhead*.rejecting) few=50 many=300 ;; esac
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
  local name title mechanism cases case
  mkdir -p "$results/$1"
  while IFS=$'\t' read -r name title mechanism cases; do
    for case in $cases; do
      count_it "$1" "$name" "$case" >"$results/$1/$name.$case"
    done
  done <"$results/$1.list"
}

# cell NAME SUBJECT COLUMN CASE: one figure, or a dash. For times the column is a number of threads.
cell() {
  local figure= mark= estimates=$results/$1/$4-$3/$2/new/estimates.json
  case $3 in
    allocations | instructions)
      [[ -f $results/$1/$2.$4 ]] && figure=$(awk -v what="$3" '$1 == what { print $2 }' "$results/$1/$2.$4")
      ;;
    *)
      # Criterion writes nanoseconds, on one line.
      [[ -f $estimates ]] &&
        figure=$(sed 's/.*"median":{"confidence_interval":{[^}]*},"point_estimate":\([-+.0-9e]*\).*/\1/' "$estimates")
      grep -qsx "disturbed $4-$3/$2" "$results/$1.log" && mark='\*'
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

# rows NAME MECHANISM NOTE: the table's rows of that build; none without that mechanism's own.
rows() {
  local name title mechanism cases column admitting rejecting
  has "$1" "$2" || return 0
  while IFS=$'\t' read -r name title mechanism cases; do
    # The bare service is there again to show whether the two builds and moments compare.
    case $mechanism in
      bare) title+=$3 ;;
      "$2") ;;
      *) continue ;;
    esac
    admitting=$(word "$mechanism" admitting)
    rejecting=$(word "$mechanism" rejecting)
    printf '| %s |' "$title"
    for column in "${columns[@]}"; do
      case $column in
        admitting-*) printf ' %s |' "$(cell "$1" "$name" "${column#*-}" "$admitting")" ;;
        rejecting-*) printf ' %s |' "$(cell "$1" "$name" "${column#*-}" "$rejecting")" ;;
        *)
          printf ' %s / %s |' "$(cell "$1" "$name" "$column" "$admitting")" "$(cell "$1" "$name" "$column" "$rejecting")"
          ;;
      esac
    done
    echo
  done <"$results/$1.list"
}

# has NAME MECHANISM: whether subjects of that mechanism take part.
has() { cut -f 3 "$results/$1.list" | grep -qx -e "$2"; }

measure() {
  build plain "$ours"
  choose plain '.*'
  time_it plain "$ours" peers
  if [[ $ours ]]; then time_it plain "$ours" ours; fi
  count_all plain

  # Features unify within a build, so the peer's metrics have a build and a process of their own.
  build metrics peer-metrics
  choose metrics 'bare|tower-resilience-.*metrics'
  # Alone, the bare service has nothing to compare there.
  if cut -f 3 "$results/metrics.list" | grep -qvx bare; then
    time_it metrics peer-metrics peers
    count_all metrics
  else
    : >"$results/metrics.list"
  fi
}

# table MECHANISM TITLE: its figures, where it has any.
table() {
  local column admitting rejecting
  has plain "$1" || has metrics "$1" || return 0
  admitting=$(word "$1" admitting)
  rejecting=$(word "$1" rejecting)
  declare -A heads=(
    [admitting-1]="$admitting, 1 thread, ns" [admitting-2]="$admitting, 2 threads, ns"
    [rejecting-1]="$rejecting, 1 thread, ns" [rejecting-2]="$rejecting, 2 threads, ns"
    [allocations]="allocations, $admitting / $rejecting" [instructions]="instructions, $admitting / $rejecting"
  )
  printf '### %s\n\n| per call |' "$2"
  for column in "${columns[@]}"; do printf ' %s |' "${heads[$column]}"; done
  printf '\n|---|'
  for column in "${columns[@]}"; do printf -- '---:|'; done
  echo
  rows plain "$1" ''
  rows metrics "$1" ', second build'
  echo
}

notes() {
  echo '- closed, admitting: a call that succeeds at once. open, rejecting: a call that is refused.'
  wants admitting-1 || wants rejecting-1 &&
    echo '- 1 thread: criterion, median of 20 samples over 2 s after 1 s of warm-up, time on a core, inner service included.'
  wants admitting-2 || wants rejecting-2 &&
    echo '- 2 threads: the same with two threads on one instance; ns per call per thread. These drift most.'
  grep -qs '^disturbed ' "$results"/*.log &&
    echo '- \*: a thread waited for a core for more than a twentieth of the time; do not trust the figure.'
  wants allocations && echo "- allocations: a counting allocator over $many calls, after 2,000 calls of warm-up."
  wants instructions &&
    echo "- instructions: callgrind inside the loop only, $many calls less $few. Clock reads count as one system call."
  if [[ -s $results/metrics.list ]]; then
    echo '- "second build": tower-resilience with its metrics needs a build of its own; the bare service is in both.'
  fi
}

started=$SECONDS
measure
while IFS='|' read -r mechanism title; do
  table "$mechanism" "$title"
done <<<"$tables"
cut -f 3 "$results"/*.list | grep -qvx bare || table bare 'The bare service'
notes
echo "took $((SECONDS - started)) s" >&2
