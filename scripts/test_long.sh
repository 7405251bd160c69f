#!/usr/bin/env bash
# Slow work that rarely fails, whole: an hour on two cores. scripts/test.sh samples it.
#
# BACKSTOP_MODEL_STEPS, BACKSTOP_DAY_SERVICES, BACKSTOP_STORE_KILLS, BACKSTOP_ROLLOUT_KILLS and the seconds for the fuzzers (first argument) may be set.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TERM_PROGRESS_WHEN=never
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")

step() {
  printf '\n==> %s\n' "$1"
  shift
  "$@"
}

# Each feature alone, and every two together.
pairs() {
  local all=() first second
  mapfile -t all < <(sed -n '/^\[features\]/,/^\[dep/s/^\([a-z-]*\) = .*/\1/p' Cargo.toml | grep -vx -e default -e full)
  for first in "${!all[@]}"; do
    for second in "${!all[@]}"; do
      ((second >= first)) || continue
      echo "${all[first]},${all[second]}" # one twice is one alone
      cargo clippy --quiet --lib --no-default-features --features "${all[first]},${all[second]}" -- -D warnings
    done
  done
}

step 'each feature, and every two' pairs
step 'a million steps beside the reference models' \
  env BACKSTOP_MODEL_STEPS="${BACKSTOP_MODEL_STEPS-1000000}" \
  cargo test --release --test circuit_breaker --test bulkhead model
step 'a day in production, a thousand services' \
  env BACKSTOP_DAY_SERVICES="${BACKSTOP_DAY_SERVICES-1000}" \
  cargo test --release --test circuit_breaker day -- --nocapture
step 'adaptive limits: every scenario, every outage' \
  cargo test --release --test bulkhead -- adaptive outages --nocapture
step 'a thousand killed writers' \
  env BACKSTOP_STORE_KILLS="${BACKSTOP_STORE_KILLS-1000}" cargo test --release --test kill_switch store
step 'a rollout controller that is killed five hundred times' \
  env BACKSTOP_ROLLOUT_KILLS="${BACKSTOP_ROLLOUT_KILLS-500}" bash -o pipefail -c \
  'cargo test --release --all-features --test rollout -- --ignored haproxy::a_controller | tee /dev/stderr | grep "^test result: ok\. 1 " >&2'
step 'false alarms and delays of the default policy' cargo run --release --example false_alarms
step 'the canary, as README runs it' timeout 300 cargo run --release --example canary
step 'loom models, every interleaving' \
  env CARGO_TARGET_DIR="$target/loom" cargo test --manifest-path loom/Cargo.toml loom_
step 'lints of the check of the files for controllers' \
  cargo clippy --manifest-path deploy/check/Cargo.toml --all-targets -- -D warnings
step 'benches build' cargo check --manifest-path benches/Cargo.toml --benches --bins --features end-to-end
step 'fuzzers' scripts/fuzz.sh "${1-60}"
