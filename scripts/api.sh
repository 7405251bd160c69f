#!/usr/bin/env bash
# Compares the public items of the crate with tests/snapshots/public_api.txt.
#
# The list is that of rustdoc's all.html. BACKSTOP_UPDATE_SNAPSHOTS=1 takes the present one as the new snapshot.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
snapshot=tests/snapshots/public_api.txt

cargo doc --quiet --no-deps --all-features
items=$(grep -o '<li><a href="[^"]*">[^<]*</a>' "$target/doc/backstop/all.html" |
  sed 's/<li><a href="\([^"]*\)">\([^<]*\)<\/a>/\1 \2/; s/.*\b\(struct\|enum\|trait\|fn\|macro\|constant\|type\|static\)\.[^ ]* /\1 /' |
  LC_ALL=C sort)
if [[ ${BACKSTOP_UPDATE_SNAPSHOTS-} ]]; then
  printf '%s\n' "$items" >"$snapshot"
fi
diff -u "$snapshot" <(printf '%s\n' "$items")
echo "$(wc -l <"$snapshot") public items, as in $snapshot"
