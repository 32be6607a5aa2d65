#!/usr/bin/env bash
# Train DUL on TrackingNet as its paper does: 250 epochs, of which the encoder of epoch 88 was best.
#
#   TRACKINGNET=/data/trackingnet bash scripts/train_trackingnet.sh [options of densevos train]
#
# TRACKINGNET  folder with the index that scripts/prepare_trackingnet.sh wrote; or DATA, for --data of densevos train
# RECIPE  default dul_trackingnet        OUT  run folder, default runs/RECIPE
# GPUS, NNODES, NODE_RANK, MASTER_ADDR, MASTER_PORT, RESTARTS and --dry-run are those of scripts/train.sh.
set -euo pipefail
export RECIPE="${RECIPE:-dul_trackingnet}"
export DATA="${DATA:-${TRACKINGNET:?set TRACKINGNET to the folder of the videos, or DATA to an index}/videos.npz}"
exec bash "$(dirname -- "${BASH_SOURCE[0]}")/train.sh" "$@"
