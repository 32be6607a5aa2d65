#!/usr/bin/env bash
# Train DUL on OxUvA as its paper does: 500 epochs, of which the encoder of epoch 430 was best.
#
#   OXUVA=/data/oxuva bash scripts/train_oxuva.sh [options of densevos train]
#
# OXUVA  folder with the index that scripts/prepare_oxuva.sh wrote; or DATA, for --data of densevos train
# RECIPE  default dul_oxuva        OUT  run folder, default runs/RECIPE
# GPUS, NNODES, NODE_RANK, MASTER_ADDR, MASTER_PORT, RESTARTS and --dry-run are those of scripts/train.sh.
set -euo pipefail
export RECIPE="${RECIPE:-dul_oxuva}"
export DATA="${DATA:-${OXUVA:?set OXUVA to the folder of the videos, or DATA to an index}/videos.npz}"
exec bash "$(dirname -- "${BASH_SOURCE[0]}")/train.sh" "$@"
