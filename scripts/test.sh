#!/usr/bin/env bash
# Everything that has to hold, step by step.
#
#   scripts/test.sh          all of it
#   scripts/test.sh quick    formatting, lints and the tests: what to run before a commit
#
# Slow work that rarely fails is sampled here and run whole by scripts/test_long.sh. It needs Rust and, on Debian, installs the rest through apt-get. CARGO_TARGET_DIR is honoured. With BACKSTOP_TIDY set,
# what only one step needs is removed after it, for machines with little disk.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TERM_PROGRESS_WHEN=never
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
started=$SECONDS
timings=()

case ${1-} in
  '') quick= ;;
  quick) quick=yes ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0" >&2; exit 2 ;;
esac

# step TITLE COMMAND...: runs a command and prints how long it took.
step() {
  local title=$1 begun=$SECONDS
  shift
  printf '\n==> %s\n' "$title"
  local code=0
  "$@" || code=$?
  timings+=("$(printf '%5d s  %s' $((SECONDS - begun)) "$title")")
  if ((code)); then
    printf '\nfailed after %d s: %s\n' $((SECONDS - begun)) "$title" >&2
    exit 1
  fi
  printf -- '--- %d s, %s free on the disk\n' $((SECONDS - begun)) "$(df -h --output=avail . | tail -n 1 | tr -d ' ')"
}

# begin NAME COMMAND...: starts a command beside the steps and keeps what it prints. `step TITLE finished NAME` waits for it.
# spare: at the lowest priority, so that it takes only the processor time that steps leave.
declare -A jobs=()
outputs=$(mktemp -d)
trap 'kill "${jobs[@]}" 2>/dev/null || true; rm -rf "$outputs"' EXIT
begin() {
  local name=$1
  shift
  "$@" >"$outputs/$name" 2>&1 &
  jobs[$name]=$!
}

spare() {
  renice -n 19 "$BASHPID" >/dev/null
  "$@"
}

finished() {
  local code=0
  wait "${jobs[$1]}" || code=$?
  unset "jobs[$1]"
  cat "$outputs/$1"
  return "$code"
}

# tidy FOLDER...: removes what was built there, where that is asked for.
tidy() {
  [[ ! ${BACKSTOP_TIDY-} ]] || rm -rf -- "$@"
}

# install PROGRAM PACKAGE ...: installs the packages of the programs that are missing.
install() {
  local missing=()
  while (($#)); do
    command -v "$1" >/dev/null || missing+=("$2")
    shift 2
  done
  ((${#missing[@]})) || return 0
  local as_root=()
  [[ $(id -u) == 0 ]] || as_root=(sudo)
  if ! command -v apt-get >/dev/null || { ((${#as_root[@]})) && ! command -v sudo >/dev/null; }; then
    echo "not installed, and no way to install here: ${missing[*]} (the names of the Debian packages)" >&2
    return 1
  fi
  echo "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

tools() {
  if ! command -v cargo >/dev/null; then
    echo 'no cargo on PATH: https://rustup.rs' >&2
    return 1
  fi
  cargo clippy --version >/dev/null 2>&1 || rustup component add clippy || return 1
  cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt || return 1
  # A linker; promtool, amtool, Chromium, HAProxy and nginx for the tests that name them; callgrind for the count of instructions.
  install cc build-essential promtool prometheus prometheus prometheus amtool prometheus-alertmanager chromium chromium \
    valgrind valgrind haproxy haproxy nginx nginx openssl openssl || return 1
  rustc --version
  promtool --version 2>&1 | head -n 1
}

formatting() {
  cargo fmt --check && cargo fmt --check --manifest-path benches/Cargo.toml && cargo fmt --check --manifest-path deploy/check/Cargo.toml
}

# The features that stand for one thing each.
features() {
  sed -n '/^\[features\]/,/^\[dep/s/^\([a-z-]*\) = .*/\1/p' Cargo.toml | grep -vx -e default -e full
}

# Each feature alone, and the combinations in README. scripts/test_long.sh runs clippy over each.
each_feature() {
  local set
  for set in $(features) tokio,http grpc,tokio reqwest,tokio kill-switch,http file,http,axum; do
    printf ' %s' "$set"
    cargo rustc --quiet --lib --profile check --no-default-features --features "$set" -- -D warnings || return 1
  done
  printf '\n'
}

# counted COMMAND...: runs tests, and fails if none ran.
counted() {
  local output
  output=$(mktemp)
  if ! "$@" 2>&1 | tee "$output"; then
    rm -f "$output"
    return 1
  fi
  if ! grep -q '^test result: ok\. [1-9]' "$output"; then
    echo 'no test ran' >&2
    rm -f "$output"
    return 1
  fi
  rm -f "$output"
}

# With at most two preemptions in each model: the long script explores all.
models() {
  CARGO_TARGET_DIR=$target/loom LOOM_MAX_PREEMPTIONS=${LOOM_MAX_PREEMPTIONS-2} \
    cargo test --manifest-path loom/Cargo.toml loom_
}

# Every example but the canary and rollouts, which have steps of their own, and false_alarms, which tests/rollback samples and the long script
# runs. The tests have built them.
examples() {
  local path name
  for path in examples/*.rs examples/*/main.rs; do
    [[ -e $path ]] || continue
    name=${path#examples/}
    name=${name%/main.rs}
    name=${name%.rs}
    [[ $name == canary || $name == rollout || $name == false_alarms ]] && continue
    printf '\n    %s\n' "$name"
    timeout 120 "$target/debug/examples/$name" || return 1
  done
}

# The controllers' files, by a package of its own that shares the target folder. Their schemas are not ours to ship:
# BACKSTOP_CRD_SCHEMAS names a folder with the resource definitions of Argo Rollouts and Flagger. scripts/test_long.sh has
# the lints of the package.
deploy_check() {
  local package=(--manifest-path deploy/check/Cargo.toml)
  CARGO_TARGET_DIR=$target counted cargo test "${package[@]}" --test deploy || return 1
  CARGO_TARGET_DIR=$target counted cargo test "${package[@]}" --test deploy -- --nocapture --ignored promtool amtool prometheus || return 1
  # The resource definitions of the controllers: those named, or a folder of them beside the repository.
  local definitions
  definitions=${BACKSTOP_CRD_SCHEMAS-$(compgen -G '../*/schemas/flagger-crd.yaml' | head -n 1 | xargs -r dirname || true)}
  if [[ $definitions ]]; then
    BACKSTOP_CRD_SCHEMAS=$(realpath "$definitions") CARGO_TARGET_DIR=$target counted cargo test "${package[@]}" --test deploy -- --ignored schemas
  else
    printf '\n*** NOT CHECKED: deploy/ against the schemas of Argo Rollouts and Flagger: BACKSTOP_CRD_SCHEMAS names no folder ***\n\n' >&2
  fi
}

step 'tools' tools
step 'formatting' formatting
step 'lints, all features' cargo clippy --all-targets --all-features -- -D warnings
step 'lints, no feature' cargo clippy --lib --no-default-features -- -D warnings
if [[ ! $quick ]]; then
  # In target folders of their own, beside the tests, which wait much.
  begin loom spare counted models
  begin instructions spare scripts/instructions.sh
fi
step 'tests, and the examples in the docs' cargo test --all-features --no-fail-fast
# They wait more than they work, so the next steps run beside them.
begin balancers counted cargo test --all-features --test rollout -- --ignored haproxy nginx
step 'tests that need promtool' counted cargo test --all-features --test telemetry --test kill_switch -- --ignored promtool
step 'tests that need Prometheus, and OpenSSL' counted cargo test --all-features --test rollout -- --ignored prometheus openssl
step 'tests that need Chromium' counted cargo test --all-features --test rollback -- --ignored chromium
step 'tests that need Chromium, of rollouts' counted cargo test --all-features --test rollout -- --ignored chromium
[[ ! $quick ]] || step 'tests that need HAProxy and nginx: the rest of them' finished balancers
if [[ ! $quick ]]; then
  begin deploy spare deploy_check
  step 'documentation and public API' env RUSTDOCFLAGS='-D warnings' scripts/api.sh
  step 'tests that need HAProxy and nginx: the rest of them' finished balancers
  step "the controllers' files: the rest of it" finished deploy
  begin features spare each_feature
  step 'examples' examples
  step 'the canary' timeout 300 cargo run --quiet --example canary
  step 'rollouts behind HAProxy' timeout 180 cargo run --quiet --example rollout
  step 'loom models, the quick ones: the rest of them' finished loom
  step 'instructions a call: the rest of them' finished instructions
  step 'each feature alone, and what users combine: the rest of them' finished features
  tidy "$target/debug" "$target/doc" "$target/loom"
fi

printf '\n'
printf '%s\n' "${timings[@]}"
printf '%5d s  in all\n\nall steps passed\n' $((SECONDS - started))
