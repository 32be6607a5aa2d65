#!/usr/bin/env bash
# Train a recipe on every GPU of one or more machines (or on CPUs):
#
#   DATA=/data/ytvos/train/JPEGImages RECIPE=dul_ytvos bash scripts/train.sh [options of densevos train]
#   RECIPE=i2v_swin bash scripts/train.sh --labelled coco:/data/coco --unlabelled davis:/data/DAVIS
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=node0 DATA=... OUT=/shared/run bash scripts/train.sh    # NODE_RANK=1 on the other
#
# RECIPE       dul_ytvos (default), or any other of densevos train
# DATA         for its --data: an index, a folder of frame folders or videos, or a list; recipes without --data need none
# OUT          run folder, default runs/RECIPE; a run that was stopped goes on where it was
# GPUS         processes on this machine, default: the GPUs there are (each takes --loop.batch clips a step)
# NNODES       machines, default 1; they share the folders DATA and OUT, and each runs this script
# NODE_RANK    number of this machine, 0 to NNODES - 1, default: what SLURM says
# MASTER_ADDR  name or address of machine 0, by which the others reach it
# MASTER_PORT  a free port of machine 0, default 29500
# RESTARTS     how often all processes start again after one of them died, default 0; they resume by themselves
# --dry-run    print the command instead
#
# Status: 0 done, 143 stopped by SIGTERM with the state saved, 2 unusable input, 1 anything else.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
RECIPE="${RECIPE:-dul_ytvos}" OUT="${OUT:-$ROOT/runs/${RECIPE:-dul_ytvos}}" NNODES="${NNODES:-1}"
GPUS="${GPUS:-$(count_gpus)}"

if [ "$NNODES" = 1 ]; then
    meeting=(--standalone)
else
    NODE_RANK="${NODE_RANK:-${SLURM_NODEID:?set NODE_RANK to the number of this machine, 0 to NNODES - 1}}"
    : "${MASTER_ADDR:?set MASTER_ADDR to the name of machine 0}"
    # Machine 0 keeps the list of who is here. The others may come ten minutes before it.
    is_host=$((NODE_RANK == 0))
    meeting=(--nnodes "$NNODES" --rdzv-backend c10d --rdzv-endpoint "$MASTER_ADDR:${MASTER_PORT:-29500}"
        --rdzv-conf "is_host=$is_host,read_timeout=600,join_timeout=600")
fi

run_last "$BIN/python" -m densevos.torchrun "${meeting[@]}" --nproc-per-node "$GPUS" --max-restarts "${RESTARTS:-0}" \
    --module densevos train "$RECIPE" ${DATA:+--data "$DATA"} --out "$OUT" --resume auto "$@"
