#!/usr/bin/env bash
# Propagate the given masks of YouTube-VOS valid, and pack what its server takes:
#
#   ENCODER=runs/mine/encoder.safetensors YTVOS=/data/ytvos bash scripts/submit_ytvos.sh [options of densevos-eval propagate]
#
# ENCODER    what computes the features, as --encoder takes it
# YTVOS      folder that holds valid/meta.json, valid/JPEGImages, valid/Annotations, and valid_all_frames/JPEGImages,
#            from https://youtube-vos.org/dataset/vos/
# DATASET    ytvos18 (default) or ytvos19, the version of YTVOS
# FRAMES     all (default), or required: every fifth frame alone, which needs no valid_all_frames
# OUT        default runs/submit_ytvos: masks in OUT/masks, the checked folder OUT/DATASET and the same as a zip; a run
#            that was stopped goes on where it was
# --dry-run  print the commands instead
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
: "${ENCODER:?set ENCODER to what computes the features}" "${YTVOS:?set YTVOS to the folder of YouTube-VOS}"
OUT="${OUT:-$ROOT/runs/submit_ytvos}"
BENCHMARK="--frames ${FRAMES:-all}" submit "${DATASET:-ytvos18}" "$YTVOS" "$@"
