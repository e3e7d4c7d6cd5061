#!/usr/bin/env bash
# Fuzzes every reader of files from strangers, and the studio's requests, each for so many seconds.
#
#   tools/fuzz.sh SECONDS [TARGET...]
#
# The targets stand in `fuzz`, in cargo-fuzz's layout (`cargo fuzz run --sanitizer none tables` runs one of them, too), and are
# built here without a nightly toolchain: libFuzzer by its crate, and coverage counted in our crates and in those that
# decode files (`tools/fuzz_rustc.sh`), so that Burn need not be built for it a second time. What is found lies in
# `fuzz/artifacts/TARGET`; the exit code is 1 then. What has been learnt stays in `fuzz/corpus`, for the next time.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:?how many seconds, of each target}
shift
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  for file in fuzz/fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi

# The versions of the workspace.
cp Cargo.lock fuzz/Cargo.lock
target_folder=${CARGO_TARGET_DIR:-$PWD/fuzz/target}
RUSTC_WRAPPER=$PWD/tools/fuzz_rustc.sh CARGO_TARGET_DIR=$target_folder \
  cargo build --quiet --manifest-path fuzz/Cargo.toml
"$target_folder/debug/seeds" fuzz/seeds

found=0
for target in "${targets[@]}"; do
  corpus=fuzz/corpus/$target
  artifacts=fuzz/artifacts/$target
  mkdir -p "$corpus" "$artifacts"
  log=$(mktemp)
  # Memory is bounded by the targets themselves, reader by reader; this is for what they miss.
  if "$target_folder/debug/$target" "$corpus" "fuzz/seeds/$target" -max_total_time="$seconds" -timeout=60 \
    -rss_limit_mb=4096 -max_len=65536 -print_final_stats=1 -artifact_prefix="$artifacts/" >"$log" 2>&1; then
    outcome="nothing found"
  else
    outcome="FOUND: $(ls -t "$artifacts" | head -1)"
    found=1
    tail -n 30 "$log" >&2
  fi
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  # None where the first input is a finding.
  coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -1 || true)
  files=$(ls "$corpus" | wc -l)
  printf '%-12s %10s runs, %6s a second, %s, corpus of %s: %s\n' "$target" "${executions:-?}" \
    "$((${executions:-0} / (seconds > 0 ? seconds : 1)))" "${coverage:-cov: ?}" "$files" "$outcome"
  rm "$log"
done
exit $found
