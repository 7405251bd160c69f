#!/usr/bin/env bash
# Counts the instructions and allocations of a call, and fails when there are more than there should be.
#
# Unlike times, these are the same on a busy machine. benches/run.sh measures everything else.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."

target=$(realpath -m "${CARGO_TARGET_DIR:-benches/target}")
# What has to cancel out: set-up, warm-up, the calibration of the recorder's clock.
few=2000
many=12000

# Raised when callers that leave, uploads and the side of a layer came to count: a permit knows its side and its call's
# answer (30 of a closed breaker), a timed call learns how long answers usually take (another clock read), and a bulkhead
# in `protect()` has its own classifier.
#
# Subject of benches/, case, and at most so many instructions and allocations. The bare service is in them.
# Without `leak`, 8 and 28 instructions of ours-count and ours-bulkhead tell a call's reference from a user's: gauges end
# with the last user's handle though calls are in flight.
limits='
ours-count-static  closed  196  0
ours-count         closed  205  0
ours-time-static   closed  275  0
ours-slow-calls    closed  528  0
ours-responder     open    206  0
ours-count-static  open    417  1
ours-bulkhead-static     admitting  223  0
ours-bulkhead            admitting  236  0
ours-bulkhead-queue      admitting  223  0
ours-bulkhead-responder  admitting  178  0
ours-bulkhead-permit     admitting   95  0
ours-bulkhead-permit     rejecting   71  0
ours-bulkhead-responder  rejecting  202  0
ours-bulkhead-static     rejecting  406  1
ours-stack               admitting  410  0
ours-switch-released     admitting   21  0
ours-switch-released     rejecting  110  0
ours-switch-check        admitting   53  0
ours-switch-scoped       admitting  528  0
ours-stack-switch        admitting  402  0
ours-switch-16           admitting 3470  0
'

cargo build --quiet --release --manifest-path benches/Cargo.toml --bin count --no-default-features --features ours
counter=$target/release/count

# collected SUBJECT CASE CALLS
collected() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='count::measured*' \
    "$counter" "$1" "$2" "$3" 2>&1 | awk '/Collected/ { print $NF }'
}

printf '%-24s %-10s %13s %12s\n' '' '' instructions allocations
failed=
while read -r subject case instructions_max allocations_max; do
  [[ $subject ]] || continue
  if ! "$counter" list | cut -f 1 | grep -qx "$subject"; then
    echo "benches/ has no subject $subject any more" >&2
    exit 1
  fi
  low=$(collected "$subject" "$case" "$few")
  high=$(collected "$subject" "$case" "$many")
  instructions=$(((high - low) / (many - few)))
  allocations=$("$counter" "$subject" "$case" "$many" | awk '{ printf "%d", ($3 + $1 - 1) / $1 }')
  printf '%-24s %-10s %13s %12s' "$subject" "$case" "$instructions" "$allocations"
  if ((instructions > instructions_max || allocations > allocations_max)); then
    printf '   more than %s and %s' "$instructions_max" "$allocations_max"
    failed=yes
  fi
  printf '\n'
done <<<"$limits"
[[ ! $failed ]]
