#!/usr/bin/env bash
# Train a recipe on every GPU of this machine (or the CPU): DATA=/data/ytvos/train/JPEGImages RECIPE=dul_ytvos bash scripts/train.sh [options of densevos train]
#
#   RECIPE=i2v_swin bash scripts/train.sh --labelled coco:/data/coco --unlabelled davis:/data/DAVIS
#
# RECIPE  dul_ytvos (default), or any other of densevos train
# DATA    for its --data: a folder of frame folders or videos, or a list of them; recipes that have none go without
# OUT     run folder, default runs/RECIPE; a run that was stopped goes on where it was
# GPUS    number of processes, default: the GPUs there are (each takes --loop.batch clips a step)
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
RECIPE="${RECIPE:-dul_ytvos}" OUT="${OUT:-$ROOT/runs/${RECIPE:-dul_ytvos}}"
GPUS="${GPUS:-$("$BIN/python" -c 'import torch; print(max(torch.cuda.device_count(), 1))')}"
exec "$BIN/python" -m torch.distributed.run --standalone --nproc-per-node "$GPUS" --module densevos \
    train "$RECIPE" ${DATA:+--data "$DATA"} --out "$OUT" --resume auto "$@"
