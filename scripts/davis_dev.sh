#!/usr/bin/env bash
# Learn from unlabelled videos and judge on DAVIS-2016 sequences: random initialisation against trained.
#
#   VIDEOS=/data/videos DAVIS=/data/DAVIS bash scripts/davis_dev.sh [options of densevos train]
#
# VIDEOS  folder of video files or frame folders to learn from (no labels)
# DAVIS   root of DAVIS (JPEGImages/480p, Annotations/480p, ImageSets/2016/SPLIT.txt)
# SPLIT   list of sequences, default dev        RECIPE  default dul_small
# OUT     working folder, default runs/davis_dev; a run that was stopped goes on where it was
# RESULT  file to copy OUT/davis_dev.json to: benchmarks/experiments/davis_dev/result.json for a result that is to be kept
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
exec "$BIN/python" "$ROOT/benchmarks" run davis_dev "$@"
