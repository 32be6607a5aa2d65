#!/usr/bin/env bash
# Find objects without a first mask and without training, and judge on DAVIS-2016 sequences: motion and consensus.
#
#   DAVIS=/data/DAVIS bash scripts/zero_shot_dev.sh
#
# DAVIS    root of DAVIS (JPEGImages/480p, Annotations/480p, ImageSets/2016/SPLIT.txt)
# SPLIT    list of sequences, default dev
# ENCODER  also votes between features of this encoder, as --encoder of densevos-eval propagate
# OUT      working folder, default runs/zero_shot_dev; a run that was stopped goes on where it was
# RESULT   file to copy OUT/zero_shot_dev.json to: benchmarks/experiments/zero_shot_dev/result.json to keep it
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
exec "$BIN/python" "$ROOT/benchmarks" run zero_shot_dev "$@"
