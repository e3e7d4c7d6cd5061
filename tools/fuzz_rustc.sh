#!/usr/bin/env bash
# rustc with coverage counted for libFuzzer, in our crates and in those that decode files: cargo's RUSTC_WRAPPER.
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
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1)
case $name in
  neuroinspect_fuzz | seeds | neuroinspect_testing) exec "$rustc" "$@" ;;
  neuroinspect* | safetensors | zip | tar | flate2 | csv | csv_core | image | png | gif | image_webp | jpeg_decoder | fdeflate | \
    weezl | prost | toml | toml_parser | burn_store)
    exec "$rustc" "$@" "${counted[@]}"
    ;;
  *) exec "$rustc" "$@" ;;
esac
