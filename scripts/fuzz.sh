#!/usr/bin/env bash
# Throws bytes at the parsers of kill switches, ticks and policies until one of them panics or a law of fuzz/fuzz_targets breaks.
#
#   scripts/fuzz.sh [SECONDS] [TARGET...]    default: 60 seconds for each target
#
# It begins with fuzz/corpus, the archives in it among them; what it breaks goes to fuzz/artifacts. It needs a C++
# compiler, and installs cargo-fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
shift || true
targets=("$@")
((${#targets[@]})) || targets=(document scope verdict)

command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz
for target in "${targets[@]}"; do
  echo "==> $target, $seconds s"
  [[ ! -f fuzz/corpus/$target.tar.gz ]] || tar -xzf "fuzz/corpus/$target.tar.gz" -C "fuzz/corpus/$target"
  # No sanitizer: none of this is unsafe code, and without one it builds with stable Rust.
  cargo fuzz run --sanitizer none "$target" -- -max_total_time="$seconds" -max_len=16384 -print_final_stats=1 -verbosity=0
done
