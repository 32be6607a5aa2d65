#!/usr/bin/env bash
#SBATCH --job-name=densevos
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
# Train on the nodes of a SLURM job. Submit it from the checkout, with any options of sbatch:
#
#   RECIPE=dul_kinetics DATA=/shared/kinetics400/videos.npz OUT=/shared/runs/kinetics \
#       sbatch --nodes 2 --partition gpu scripts/slurm.sh [options of densevos train]
#
# RECIPE, DATA, OUT  as scripts/train.sh takes them; DATA, OUT and the checkout are on a disk that all nodes share
# GPUS               processes of a node, default: the GPUs that SLURM gives the job there
# RESTARTS           how often processes start again after one of them died, default 3
# --dry-run          print the command of the nodes instead: SLURM_JOB_NUM_NODES=2 bash scripts/slurm.sh --dry-run
#
# Two minutes before its time is over, or when it is preempted, the run gets SIGTERM, saves and ends with status 143. The
# job is then queued again and goes on where it was, until training is finished. scancel ends it for good.
set -euo pipefail
scripts="${SLURM_SUBMIT_DIR:+$SLURM_SUBMIT_DIR/scripts}" # SLURM runs a copy of this file that lies elsewhere
scripts="${scripts:-$(dirname -- "${BASH_SOURCE[0]}")}"
if [ ! -f "$scripts/common.sh" ]; then
    echo "error: $scripts/common.sh is missing; submit the job from the checkout of densevos" >&2
    exit 2
fi
source "$scripts/common.sh"

NNODES="${SLURM_JOB_NUM_NODES:-1}" MASTER_ADDR="${MASTER_ADDR:-localhost}" MASTER_PORT="${MASTER_PORT:-29500}"
if [ -n "${SLURM_JOB_NODELIST:-}" ]; then
    MASTER_ADDR="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)"
    MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000)) # two jobs may share a node
fi

status=0
run srun --kill-on-bad-exit=1 env "NNODES=$NNODES" "MASTER_ADDR=$MASTER_ADDR" "MASTER_PORT=$MASTER_PORT" \
    "RESTARTS=${RESTARTS:-3}" bash "$scripts/train.sh" "$@" || status=$?
if [ "$status" = 143 ]; then
    echo "stopped by SLURM with the state saved; queued again" >&2
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
