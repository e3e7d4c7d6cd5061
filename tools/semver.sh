#!/usr/bin/env bash
# The public API of each crate against that of a git revision, by cargo-semver-checks.
#
#   tools/semver.sh v0.1.0        (any revision; default: HEAD)
#
# Backends are left out: they add no API but pass a feature to Burn, and some want libraries of the system.
set -euo pipefail
cd "$(dirname "$0")/.."
revision=${1:-HEAD}

check() {
  local crate=$1
  shift
  echo "== $crate"
  cargo semver-checks --package "$crate" --baseline-rev "$revision" --only-explicit-features "$@"
}

status=0
for crate in concepts counterfactual editing illusion; do
  check "neuroinspect-$crate" --features schema || status=1
done
check neuroinspect-core --features flex,schema || status=1
check neuroinspect-datasets || status=1
check neuroinspect-models --features hub,onnx,siglip || status=1
check neuroinspect-report --features html,parquet,schema || status=1
check neuroinspect-studio || status=1
check neuroinspect --features flex,demo,experiments,hub,onnx,parquet,schema,siglip || status=1
exit $status
