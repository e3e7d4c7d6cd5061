#!/usr/bin/env bash
# Trains the networks of the benchmark: a ResNet-20 for each Corrupted CIFAR-10.
#
#   tools/benchmark_networks.sh CIFAR RESNET20 WORK [NEUROINSPECT]
#
#   CIFAR         CIFAR-10 as folders of images, train/CLASS and test/CLASS
#   RESNET20      published weights of a CIFAR-10 ResNet-20, to fine-tune from
#   WORK          folder for images and runs; what is there is not made again
#   NEUROINSPECT  the program; a release build with `--features tch` unless given
#
# Of every class, the first 1000 images of CIFAR/train by name are trained on. All of CIFAR/test is left to
# choose and to measure on: `neuroinspect leaderboard --cifar` halves it anew for every seed. The first 200 of
# them, corrupted without bias, tell how the training goes; they decide nothing, the last epoch is kept.
#
# The device is $DEVICE, or else tch. A network from scratch takes about 7 minutes of one core, the other 5.
set -euo pipefail

cifar=$1 resnet20=$2 work=$3
program=${4:-target/release/neuroinspect}
networks=$(dirname "$0")/../benches/networks
mkdir -p "$work"

# corrupt NAME SOURCE IMAGES OPTION...
corrupt() {
  # Written last.
  [ -e "$work/$1/corruption.json" ] ||
    "$program" corrupt --data "$2" --images-per-class "$3" --out "$work/$1" "${@:4}"
}

# train NAME IMAGES OPTION...
train() {
  "$program" train --model cifar_resnet20 --data "$work/$2/images" --validation "$work/unbiased/images" \
    --device "${DEVICE:-tch}" --optimizer sgd --weight-decay 0.0005 --flip --out "$work/$1" "${@:3}"
  cp "$work/$1/model.safetensors" "$networks/$1.safetensors"
}

corrupt unbiased "$cifar/test" 200 --unbiased
for percent in 5 2 1 0.5; do
  share=$(awk "BEGIN { print $percent / 100 }")
  corrupt "conflicting-$percent" "$cifar/train" 1000 --conflicting "$share"
done

train finetuned-5 conflicting-5 --weights "$resnet20" --learning-rate 0.01 --epochs 5
for percent in 5 2 1 0.5; do
  train "scratch-$percent" "conflicting-$percent" --learning-rate 0.1 --epochs 8
done
