#!/usr/bin/env bash
# Train DUL on Kinetics-400 as its paper does: 80 epochs, of which the encoder of epoch 26 was best.
#
#   KINETICS=/data/kinetics400 bash scripts/train_kinetics.sh [options of densevos train]
#
# KINETICS  folder with the index that scripts/prepare_kinetics.sh wrote; or DATA, for --data of densevos train
# RECIPE  default dul_kinetics        OUT  run folder, default runs/RECIPE
# GPUS, NNODES, NODE_RANK, MASTER_ADDR, MASTER_PORT, RESTARTS and --dry-run are those of scripts/train.sh.
set -euo pipefail
export RECIPE="${RECIPE:-dul_kinetics}"
export DATA="${DATA:-${KINETICS:?set KINETICS to the folder of the videos, or DATA to an index}/videos.npz}"
exec bash "$(dirname -- "${BASH_SOURCE[0]}")/train.sh" "$@"
