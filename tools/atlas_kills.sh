#!/bin/bash
# An atlas of two workers, killed (kill -9) a hundred times at random moments and started again, against the
# atlas of one process: merged, it is the same byte for byte.
#
#   tools/atlas_kills.sh target/release/neuroinspect [KILLS] [SEED]
set -euo pipefail
program=$(realpath "$1")
kills=${2:-100}
RANDOM=${3:-1}
work=$(mktemp -d)
workers=("" "")
end() {
    for worker in "${workers[@]}"; do [ -n "$worker" ] && kill -9 "$worker" 2>/dev/null; done
    rm -rf "$work"
}
trap end EXIT

"$program" demo --save-scenes "$work/scenes" --quiet
echo '{ "execution": { "checkpoint_every": 5 } }' > "$work/options.json"
options=(atlas --quiet --config "$work/options.json" --model cifar_resnet20
    --weights "$work/scenes/scenes_classifier.safetensors" --classes "$work/scenes/classes.txt"
    --top-classes 2 --iterations 16 --picture-batch 4)
# Two of them share two cores: each thread more would wait.
export RAYON_NUM_THREADS=1
"$program" "${options[@]}" --out "$work/alone" --plan 2
start=$SECONDS
"$program" "${options[@]}" --out "$work/alone"
echo "one process: $((SECONDS - start)) s"

# Starts the worker of a shard, if it is not there.
start() {
    if [ -z "${workers[$1]}" ]; then
        "$program" "${options[@]}" --out "$work/atlas" --shard "$1/2" > /dev/null 2>&1 &
        workers[$1]=$!
    fi
}

# Waits for the worker of a shard; fails where it was killed or failed.
ended() {
    local worker=${workers[$1]}
    workers[$1]=""
    wait "$worker" 2> /dev/null
}

# Finishes the atlas, compares it, and removes it.
compare() {
    for shard in 0 1; do start "$shard"; ended "$shard"; done
    for shard in 0 1; do start "$shard"; ended "$shard"; done
    "$program" atlas merge --out "$work/atlas" --quiet > /dev/null
    diff --recursive "$work/alone" "$work/atlas"
    echo "after $killed kills: byte for byte that of one process, $(find "$work/atlas" -type f | wc -l) files"
    rm -r "$work/atlas"
}

killed=0
while [ "$killed" -lt "$kills" ]; do
    "$program" "${options[@]}" --out "$work/atlas" --plan 2 > /dev/null
    # Until it is finished; then there is another.
    while [ "$killed" -lt "$kills" ] && [ -n "$("$program" atlas status --array --out "$work/atlas")" ]; do
        start 0
        start 1
        # Up to two seconds: while it loads, in a step, while it writes.
        sleep "$((RANDOM % 2)).$(printf %03d $((RANDOM % 1000)))"
        shard=$((RANDOM % 2))
        kill -9 "${workers[$shard]}" 2> /dev/null || true
        status=0
        ended "$shard" || status=$?
        # One that had ended before was not killed.
        if [ "$status" -eq 137 ]; then killed=$((killed + 1)); fi
    done
    compare
done
