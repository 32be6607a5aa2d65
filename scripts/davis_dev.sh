#!/usr/bin/env bash
# Learn from unlabelled videos and judge on DAVIS-2016 sequences: random initialisation against trained.
#
#   VIDEOS=/data/videos DAVIS=/data/DAVIS bash scripts/davis_dev.sh [options of densevos train]
#
# VIDEOS  folder of video files or frame folders to learn from (no labels)
# DAVIS   root of DAVIS (JPEGImages/480p, Annotations/480p, ImageSets/2016/SPLIT.txt)
# SPLIT   list of sequences, default dev        RECIPE  default dul_small
# OUT     working folder, default runs/davis_dev; a run that was stopped goes on where it was
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
: "${VIDEOS:?set VIDEOS to a folder of videos to learn from}" "${DAVIS:?set DAVIS to the root of DAVIS}"
SPLIT="${SPLIT:-dev}" RECIPE="${RECIPE:-dul_small}" OUT="${OUT:-$ROOT/runs/davis_dev}"

if [ ! -d "$OUT/frames" ]; then
    "$BIN/densevos" data frames "$VIDEOS" --out "$OUT/frames.part" --short-side 224 --overwrite
    mv "$OUT/frames.part" "$OUT/frames"
fi
"$BIN/densevos" train "$RECIPE" --data "$OUT/frames" --out "$OUT/run" --resume auto "$@"

judge() { # judge NAME ENCODER
    "$BIN/densevos-eval" propagate --encoder "$2" --dataset davis16 --root "$DAVIS" --split "$SPLIT" --out "$OUT/$1" --overwrite
    "$BIN/densevos-eval" score --dataset davis16 --root "$DAVIS" --split "$SPLIT" --results "$OUT/$1"
}
judge random_init random:resnet18
judge trained "$OUT/run/encoder.safetensors"
"$BIN/python" "$ROOT/benchmarks/davis_dev.py" "$OUT"
