#!/usr/bin/env bash
# Lays out a CPU libtorch for the `tch` backend from the PyTorch wheels on PyPI.
#
#   tools/setup_libtorch.sh [FOLDER]        (default: ~/.cache/neuroinspect/libtorch-2.9.0)
#
# Prints the two variables to export before building with `--features tch`:
#
#   eval "$(tools/setup_libtorch.sh)"
#   cargo test -p neuroinspect --features tch --test facade -- backends
#
# PyPI has only the CUDA build of PyTorch for Linux x86-64; of it, the CPU libraries are kept and
# `libtorch.so` is pointed at `libtorch_cpu.so`, so that none of CUDA's 3 GB need to be there.
# With a libtorch of your own (CUDA included), set LIBTORCH to it and skip this script.
set -euo pipefail

version=2.9.0
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/neuroinspect/libtorch-$version}

if [ ! -e "$folder/lib/libtorch.so" ]; then
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  python3 -m pip install --quiet --root-user-action=ignore --no-deps --no-compile --only-binary=:all: --target "$scratch/site" \
    "torch==$version" "nvidia-cuda-runtime-cu12==12.8.90" "nvidia-cuda-cupti-cu12==12.8.90" >&2

  # Of an earlier run that was interrupted.
  rm -rf "$folder.partial"
  mkdir -p "$folder.partial/lib"
  cp -r "$scratch/site/torch/include" "$folder.partial/include"
  for library in libtorch_cpu.so libc10.so libgomp.so.1 libshm.so; do
    cp "$scratch/site/torch/lib/$library" "$folder.partial/lib/"
  done
  cp "$scratch"/site/nvidia/cuda_runtime/lib/libcudart.so.12 "$folder.partial/lib/"
  cp "$scratch"/site/nvidia/cuda_cupti/lib/libcupti.so.12 "$folder.partial/lib/"
  ln -s libtorch_cpu.so "$folder.partial/lib/libtorch.so"
  # Renamed at the end, so that an interrupted run is not taken for a finished one.
  rm -rf "$folder"
  mv "$folder.partial" "$folder"
fi

echo "export LIBTORCH='$folder'"
echo "export LD_LIBRARY_PATH='$folder/lib'\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
