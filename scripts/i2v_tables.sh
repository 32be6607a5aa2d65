#!/usr/bin/env bash
# The tables of the image-to-video papers and their ablations: train and judge every row, published numbers beside.
#
#   COCO=/data/coco DAVIS=/data/DAVIS bash scripts/i2v_tables.sh [options of densevos train]
#
# COCO, DAVIS, YTBB, FBMS, VOC   roots of the sets; rows that need one that is not given are left out, and named
# DAVIS_UNSUPERVISED             root of DAVIS-2017 with Annotations_unsupervised, for the table unovost
# TABLES        default "cnn swin videoswin fbms pascal clusters unovost placement": swin is the ablation of the loss,
#               clusters of K = 2, 5, 11, 22, pascal has unlabelled images instead of videos, unovost has the objects
#               that UnOVOST finds with the network
# SEEDS         default 0; of several, tables have mean and deviation
# FBMS_CLASSES  classes to learn for FBMS, as its classes.csv has them, with commas between; default: those of its animals
#               and things that COCO has
# OUT           working folder, default runs/i2v_tables; what was trained and judged stays, what was stopped goes on
# RESULT        file to copy OUT/i2v_tables.json to: benchmarks/experiments/i2v_tables/result.json for a result to keep
# DRY=1         print the commands instead
set -euo pipefail
here="$(dirname -- "${BASH_SOURCE[0]}")"
if [ -n "${DRY:-}" ]; then # nothing has to be installed for it
    export PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}"
    exec "${PYTHON:-python3}" "$here/../benchmarks" run i2v_tables "$@"
fi
EXTRAS="${EXTRAS:-[segmentation]}"
source "$here/environment.sh"
exec "$BIN/python" "$ROOT/benchmarks" run i2v_tables "$@"
