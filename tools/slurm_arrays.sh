#!/bin/sh
# An atlas, and the features of a data set, each as a Slurm array of four on this machine, against one process:
# merged, they are the same byte for byte. A job of the atlas is killed on its way, one of the features is left
# out, and what is missing is submitted again.
#
#   apt-get install slurm-wlm munge
#   tools/slurm_arrays.sh target/release/neuroinspect
#
# As root, which Slurm's daemons want; they are of this script alone, and end with it. Where there are
# daemons of Slurm or MUNGE already, submit the array there instead: see docs/atlas.md.
set -eu
program=$(realpath "$1")
work=$(mktemp -d)
chmod 755 "$work"
export SLURM_CONF="$work/slurm.conf"
host=$(hostname -s)
daemons=
end() {
    for daemon in $daemons; do kill "$daemon" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT

mkdir -p "$work/munge" "$work/state" "$work/spool"
chown munge "$work/munge" && chmod 711 "$work/munge"
head -c 1024 /dev/urandom > "$work/munge/key"
chown munge "$work/munge/key" && chmod 400 "$work/munge/key"
setpriv --reuid=munge --regid=munge --clear-groups munged --foreground --force \
    --key-file="$work/munge/key" --socket="$work/munge/socket" --seed-file="$work/munge/seed" \
    --log-file="$work/munge/log" --pid-file="$work/munge/pid" > "$work/munged.out" 2>&1 &
daemons="$daemons $!"
cat > "$SLURM_CONF" <<END
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CredType=cred/munge
SlurmUser=root
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
sleep 1
slurmctld -D > "$work/slurmctld.out" 2>&1 & daemons="$daemons $!"
sleep 1
slurmd -D -N "$host" > "$work/slurmd.out" 2>&1 & daemons="$daemons $!"
for _ in $(seq 30); do
    [ "$(sinfo --noheader --format=%t 2>/dev/null)" = idle ] && break
    sleep 1
done
sinfo

"$program" demo --save-scenes "$work/scenes" --quiet
atlas="$program atlas --quiet --model cifar_resnet20 --weights $work/scenes/scenes_classifier.safetensors
    --classes $work/scenes/classes.txt --top-classes 1 --iterations 60 --picture-batch 4"
$atlas --out "$work/alone" --plan 4
$atlas --out "$work/alone"

$atlas --out "$work/atlas" --plan 4
cat > "$work/job.sh" <<END
#!/bin/sh
export RAYON_NUM_THREADS=1
exec $(echo $atlas) --out $work/atlas
END
submit() { sbatch --parsable --output="$work/job-%a.txt" "$@" "$work/job.sh"; }
job=$(submit --array=0-3)
sleep 4
scancel --signal=KILL "${job}_1"
while [ -n "$(squeue --noheader)" ]; do sleep 1; done
grep . "$work"/job-*.txt || true
missing=$("$program" atlas status --array --out "$work/atlas")
echo "missing after a job was killed: $missing"
[ -n "$missing" ]
submit --wait --array="$missing"
"$program" atlas status --out "$work/atlas"
"$program" atlas merge --out "$work/atlas" --quiet
diff --recursive "$work/alone" "$work/atlas"
echo "the array's atlas is that of one process, byte for byte"

features="$program features --quiet --model cifar_resnet20 --weights $work/scenes/scenes_classifier.safetensors
    --data $work/scenes/test --batch-size 32"
$features --out "$work/one"
$features --out "$work/parts" --plan 4
cat > "$work/job.sh" <<END
#!/bin/sh
export RAYON_NUM_THREADS=1
exec $(echo $features) --out $work/parts
END
submit --wait --array=0-2
missing=$("$program" features status --array --out "$work/parts")
echo "missing of the features: $missing"
[ "$missing" = 3 ]
job=$(submit --array="$missing")
sbatch --wait --output="$work/merge.txt" --dependency="afterok:$job" \
    --wrap "$program features merge --quiet --out $work/parts"
for file in features.safetensors features.origin.json; do cmp "$work/one/$file" "$work/parts/$file"; done
[ ! -e "$work/parts/features-shards" ]
echo "the array's features are those of one process, byte for byte"
