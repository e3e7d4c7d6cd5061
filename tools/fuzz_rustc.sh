#!/usr/bin/env bash
# rustc with coverage counted for libFuzzer, in our crates and in those that decode files: cargo's RUSTC_WRAPPER. With
# FUZZ_ONLY_OURS in ours alone, as tests may use what is built of the others.
set -euo pipefail
rustc=$1
shift

name=
previous=
for argument in "$@"; do
  [ "$previous" = --crate-name ] && name=$argument
  previous=$argument
done

counted=(-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares)
# One unit of code has a place counted once where it is inlined; many are quicker to build.
[ -n "${FUZZ_ONLY_OURS:-}" ] || counted+=(-Ccodegen-units=1)
case $name in
  # What reads nothing; its loops would be many times slower.
  neuroinspect_convolution) exec "$rustc" "$@" ;;
  neuroinspect_fuzz | seeds | neuroinspect_testing) exec "$rustc" "$@" ;;
  neuroinspect*) exec "$rustc" "$@" "${counted[@]}" ;;
  safetensors | zip | tar | flate2 | csv | csv_core | image | png | gif | image_webp | jpeg_decoder | fdeflate | \
    weezl | prost | toml | toml_parser | burn_store)
    if [ -n "${FUZZ_ONLY_OURS:-}" ]; then exec "$rustc" "$@"; fi
    exec "$rustc" "$@" "${counted[@]}"
    ;;
  *) exec "$rustc" "$@" ;;
esac
