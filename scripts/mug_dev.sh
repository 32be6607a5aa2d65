#!/usr/bin/env bash
# Learn objects from unlabelled videos with MuG and judge on DAVIS-2016: first foreground maps against both rounds.
#
#   VIDEOS=/data/videos DAVIS=/data/DAVIS bash scripts/mug_dev.sh [options of densevos train]
#
# VIDEOS     folder of video files or frame folders to learn from (no labels)
# DAVIS      root of DAVIS (JPEGImages/480p, Annotations/480p, ImageSets/2016/SPLIT.txt)
# SPLIT      list of sequences, default dev       RECIPE  default mug_small
# KNOWLEDGE  where the first maps come from, default "consensus"; also "saliency", and "cam" (pip install 'densevos[cam]')
# LEAVE_OUT  granularities to train without, one run of two rounds each on KNOWLEDGE's first: "frame short long video"
# TRANSDUCTIVE=1  train once more with the frames of the judged sequences, never their labels, among the videos
# OUT        working folder, default runs/mug_dev; steps that are done are not done again
# RESULT     file to copy OUT/mug_dev.json to: benchmarks/experiments/mug_dev/result.json for a result that is to be kept
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
exec "$BIN/python" "$ROOT/benchmarks" run mug_dev "$@"
