#!/usr/bin/env bash
# Fuzzes every reader of files from strangers, and the studio's requests, each for so many seconds.
#
#   tools/fuzz.sh [--as-tests] [--jobs N] SECONDS [TARGET...]
#
# The targets stand in `fuzz`, in cargo-fuzz's layout (`cargo fuzz run --sanitizer none tables` runs one of them, too), and are
# built here without a nightly toolchain: libFuzzer by its crate, and coverage counted in our crates and in those that
# decode files (`tools/fuzz_rustc.sh`). What is found lies in `fuzz/artifacts/TARGET`. What has been learnt stays in
# `fuzz/corpus`, for the next time; reading it is part of the seconds.
#
# --as-tests   Third-party crates as the tests have them built, where CARGO_TARGET_DIR is theirs: without the checks of a debug
#              build, and without coverage of those that decode files. Saves a build of Burn.
# --jobs N     So many targets at once; 1 unless given.
#
# Exit code 1 where something is found or a target fails, 2 where the command line is not understood.
set -euo pipefail
cd "$(dirname "$0")/.."

misused() {
  echo "$*; see the head of tools/fuzz.sh" >&2
  exit 2
}
whole_number='^[1-9][0-9]*$'
as_tests=
jobs=1
while [[ ${1:-} == --* ]]; do
  case $1 in
    --as-tests) as_tests=1 ;;
    --jobs)
      jobs=${2:-}
      [[ $jobs =~ $whole_number ]] || misused "--jobs wants a number from 1 on, not '$jobs'"
      shift
      ;;
    *) misused "unknown option $1" ;;
  esac
  shift
done
seconds=${1:-}
[[ $seconds =~ $whole_number ]] || misused "how many seconds each target has is a number from 1 on, not '$seconds'"
shift
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  for file in fuzz/fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi
for target in "${targets[@]}"; do
  [ -f "fuzz/fuzz_targets/$target.rs" ] || misused "there is no target '$target' in fuzz/fuzz_targets"
done

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
  local corpus=fuzz/corpus/$target artifacts=fuzz/artifacts/$target
  mkdir -p "$corpus" "$artifacts"
  local work log code=0
  work=$(mktemp --directory)
  log=$work/log
  # Memory is bounded by the targets themselves, reader by reader; this is for what they miss, as the time is for a target
  # that does not come to its first input.
  timeout --kill-after=10 $((seconds + 600)) \
    "$CARGO_TARGET_DIR/debug/$target" "$corpus" "fuzz/seeds/$target" -max_total_time="$seconds" -timeout=60 \
    -rss_limit_mb=4096 -max_len=65536 -print_final_stats=1 -artifact_prefix="$artifacts/" >"$log" 2>&1 || code=$?
  # The folder is as old as the start.
  local executions coverage files found outcome="nothing found"
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  # None where the first input is a finding.
  coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 || true)
  files=$(find "$corpus" -type f | wc -l)
  found=$(find "$artifacts" -type f -newer "$work" ! -name 'slow-unit-*')
  if [ -n "$found" ]; then
    outcome="FOUND $found"
  elif [ "$code" != 0 ]; then
    outcome="FAILED with exit code $code"
  elif [ -z "$coverage" ]; then
    # A build of another wrapper was taken for this one.
    outcome="FAILED: nothing counts coverage; remove $CARGO_TARGET_DIR and build again"
    code=1
  fi
  local line
  line=$(printf '%-12s %10s runs, %6s a second, %s, corpus of %s: %s' "$target" "${executions:-?}" \
    "$((${executions:-0} / seconds))" "${coverage:-cov: ?}" "$files" "$outcome")
  if [ "$code" != 0 ]; then
    # At once, as another target may write, too.
    line=$(tail -n 30 "$log" && echo "$line")
  fi
  echo "$line"
  rm -r "$work"
  [ "$code" = 0 ]
}
export -f fuzz
# Not xargs' own exit codes, which tell more than ours.
printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I{} bash -c 'fuzz "$@"' _ "$seconds" {} || exit 1
