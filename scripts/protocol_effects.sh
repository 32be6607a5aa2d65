#!/usr/bin/env bash
# The same encoders under every published protocol: what the protocol alone does to the score.
#
#   DAVIS=/data/DAVIS ENCODER=runs/mine/encoder.safetensors bash scripts/protocol_effects.sh
#
# DAVIS      root of DAVIS (JPEGImages/480p, Annotations/480p, ImageSets/2016/SPLIT.txt)
# ENCODER    a trained encoder that has a layer res4; it is compared with the untrained random:resnet18
# SEQUENCES  names of sequences, default those of SPLIT        SPLIT  list of sequences, default dev
# PRESETS    default: every preset of a published program
# OUT        working folder, default runs/protocol_effects; a run that was stopped goes on where it was
# RESULT     file to copy OUT/protocol_effects.json to: benchmarks/experiments/protocol_effects/result.json to keep it
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
exec "$BIN/python" "$ROOT/benchmarks" run protocol_effects "$@"
