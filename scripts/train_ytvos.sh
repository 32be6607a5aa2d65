#!/usr/bin/env bash
# Train DUL on YouTube-VOS as its paper does: 500 epochs, of which the encoder of epoch 60 was best.
#
#   YTVOS=/data/ytvos bash scripts/train_ytvos.sh [options of densevos train]
#
# YTVOS  folder with the index that scripts/prepare_ytvos.sh wrote; or DATA, for --data of densevos train
# RECIPE  default dul_ytvos        OUT  run folder, default runs/RECIPE
# GPUS, NNODES, NODE_RANK, MASTER_ADDR, MASTER_PORT, RESTARTS and --dry-run are those of scripts/train.sh.
set -euo pipefail
export RECIPE="${RECIPE:-dul_ytvos}"
export DATA="${DATA:-${YTVOS:?set YTVOS to the folder of the videos, or DATA to an index}/videos.npz}"
exec bash "$(dirname -- "${BASH_SOURCE[0]}")/train.sh" "$@"
