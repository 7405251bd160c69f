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

# Where signals share the classification, it also says who brought an outcome about: some 20 of a closed breaker.
#
# Subject of benches/, case, and at most so many instructions and allocations: about 6 % more than measured. The bare service
# is in them. Why some are above the first figures (in brackets):
#
# - A call of a counted handle takes a reference that its thread has parked and parks it again: 55 instructions, and no count
#   that threads share (ours-count 159, ours-bulkhead 193).
# - A handle may be counted, and a permit looks which it is of; it knows its side, whether its call was slow, and how it was
#   answered: 12 of a closed breaker (153), 20 with a time window (222), 13 of a bulkhead (187), 42 of all three (333).
# - A bulkhead of 64 permits and more takes them from a reserve of its thread: 35 of `try_acquire`, 60 of a layer. The word
#   that threads share then changes once in many calls.
# - A permit knows of an upload that broke off, and whether its slow head was the last word: 8 of a closed breaker. A scope
#   that is gone since its word was read is looked up again: 12 of a scoped switch.
# - A rejection saves the registers that the other branch needs to call for a parked reference, also where a leaked handle
#   never calls: 22 of `try_acquire` (88 and 66), 20 of 39 of a layer (170).
limits='
ours-count-static  closed  214  0
ours-count         closed  270  0
ours-time-static   closed  290  0
ours-slow-calls    closed  407  0
ours-responder     open    210  0
ours-count-static  open    417  1
ours-bulkhead-static     admitting  276  0
ours-bulkhead            admitting  330  0
ours-bulkhead-queue      admitting  277  0
ours-bulkhead-responder  admitting  239  0
ours-bulkhead-permit     admitting  151  0
ours-bulkhead-permit     rejecting  102  0
ours-bulkhead-responder  rejecting  254  0
ours-bulkhead-static     rejecting  440  1
ours-stack               admitting  456  0
ours-switch-released     admitting   21  0
ours-switch-released     rejecting  110  0
ours-switch-check        admitting   53  0
ours-switch-scoped       admitting  515  0
ours-stack-switch        admitting  484  0
ours-switch-16           admitting 3470  0
ours-signals-static      admitting  405  0
ours-signals             admitting  468  0
ours-signals-segments    admitting  504  0
'

cargo build --quiet --release --manifest-path benches/Cargo.toml --bin count --no-default-features --features ours
counter=$target/release/count

# One run at a time for each processor, the results in the order of the table.
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# run SUBJECT CASE CALLS: what callgrind and the counter print.
run() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='count::measured*' \
    "$counter" "$1" "$2" "$3" >"$results/$1.$2.$3" 2>&1
}
export -f run
export counter results

subjects=$("$counter" list | cut -f 1)
while read -r subject case _; do
  [[ $subject ]] || continue
  if ! grep -qx "$subject" <<<"$subjects"; then
    echo "benches/ has no subject $subject any more" >&2
    exit 1
  fi
  printf '%s %s %s\n' "$subject" "$case" "$few" "$subject" "$case" "$many"
done <<<"$limits" | xargs -P "$(nproc)" -L 1 bash -c 'run "$@"' run

printf '%-24s %-10s %13s %12s\n' '' '' instructions allocations
failed=
while read -r subject case instructions_max allocations_max; do
  [[ $subject ]] || continue
  low=$(awk '/Collected/ { print $NF }' "$results/$subject.$case.$few")
  high=$(awk '/Collected/ { print $NF }' "$results/$subject.$case.$many")
  instructions=$(((high - low) / (many - few)))
  allocations=$(awk '/ calls, / { printf "%d", ($3 + $1 - 1) / $1 }' "$results/$subject.$case.$many")
  printf '%-24s %-10s %13s %12s' "$subject" "$case" "$instructions" "$allocations"
  if ((instructions > instructions_max || allocations > allocations_max)); then
    printf '   more than %s and %s' "$instructions_max" "$allocations_max"
    failed=yes
  fi
  printf '\n'
done <<<"$limits"
[[ ! $failed ]]
