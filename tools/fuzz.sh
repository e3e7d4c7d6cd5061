#!/usr/bin/env bash
# Fuzzes every reader of files from strangers, and the studio's requests, each for so many seconds.
#
#   tools/fuzz.sh [--as-tests] [--jobs N] SECONDS [TARGET...]
#
# The targets stand in `fuzz`, in cargo-fuzz's layout (`cargo fuzz run --sanitizer none tables` runs one of them, too), and are
# built here without a nightly toolchain: libFuzzer by its crate, and coverage counted in our crates and in those that
# decode files (`tools/fuzz_rustc.sh`). What is found lies in
# `fuzz/artifacts/TARGET`; the exit code is 1 then. What has been learnt stays in `fuzz/corpus`, for the next time.
#
# --as-tests   Third-party crates as the tests have them built, where CARGO_TARGET_DIR is theirs: without the checks of a debug
#              build, and without coverage of those that decode files. Saves a build of Burn.
# --jobs N     So many targets at once; 1 unless given.
set -euo pipefail
cd "$(dirname "$0")/.."

as_tests=
jobs=1
while [[ ${1:-} == --* ]]; do
  case $1 in
    --as-tests) as_tests=1 ;;
    --jobs)
      jobs=${2:?how many targets at once}
      shift
      ;;
    *)
      echo "unknown option: $1" >&2
      exit 2
      ;;
  esac
  shift
done
seconds=${1:?how many seconds, of each target}
shift
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "not a number of seconds from 1 on: $seconds" >&2; exit 2; }
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  for file in fuzz/fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi

# The versions of the workspace.
cp Cargo.lock fuzz/Cargo.lock
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/fuzz/target}
build=(--quiet --manifest-path fuzz/Cargo.toml --bins)
if [ -n "$as_tests" ]; then
  mkdir -p "$CARGO_TARGET_DIR"
  tools/fuzz_profile.py >"$CARGO_TARGET_DIR/fuzz-profile.toml"
  build+=(--config "$CARGO_TARGET_DIR/fuzz-profile.toml")
  export FUZZ_ONLY_OURS=1
fi
RUSTC_WRAPPER=$PWD/tools/fuzz_rustc.sh cargo build "${build[@]}"
"$CARGO_TARGET_DIR/debug/seeds" fuzz/seeds

fuzz() {
  set -euo pipefail
  local seconds=$1 target=$2
  local corpus=fuzz/corpus/$target artifacts=fuzz/artifacts/$target log outcome found=0
  mkdir -p "$corpus" "$artifacts"
  log=$(mktemp)
  # Memory is bounded by the targets themselves, reader by reader; this is for what they miss.
  if "$CARGO_TARGET_DIR/debug/$target" "$corpus" "fuzz/seeds/$target" -max_total_time="$seconds" -timeout=60 \
    -rss_limit_mb=4096 -max_len=65536 -print_final_stats=1 -artifact_prefix="$artifacts/" >"$log" 2>&1; then
    outcome="nothing found"
  else
    outcome="FOUND: $(ls -t "$artifacts" | head -1)"
    found=1
    tail -n 30 "$log" >&2
  fi
  local executions coverage files
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  # None where the first input is a finding.
  coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -1 || true)
  files=$(ls "$corpus" | wc -l)
  printf '%-12s %10s runs, %6s a second, %s, corpus of %s: %s\n' "$target" "${executions:-?}" \
    "$((${executions:-0} / seconds))" "${coverage:-cov: ?}" "$files" "$outcome"
  rm "$log"
  return $found
}
export -f fuzz
# 1 where any of them found something.
printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I{} bash -c 'fuzz "$@"' _ "$seconds" {} || exit 1
