#!/usr/bin/env bash
# Train the encoder that comes with the package (--encoder default), and compare it where DAVIS is given:
#
#   bash scripts/train_default.sh [options of densevos train]
#
# It learns from synthetic clips made of photographs; benchmarks/experiments/train_default/stills.tsv lists each file
# with its licence, author and SHA-256, which is checked. They come from
#   github.com/BuddiesOfBudgie/budgie-backgrounds      CC0 1.0
#   Debian's lomiri-wallpapers-16.04, 20.04.0-2        CC BY 4.0 and CC0 1.0
#   the wheels of scikit-image and scikit-learn        CC0 1.0 and public domain; CC BY 2.0 (EXTRAS='[dev]' installs both)
#
# OUT        working folder, default runs/train_default; a run that was stopped goes on where it was. The result is
#            OUT/default.safetensors with its card
# BUDGIE     a clone of budgie-backgrounds, and LOMIRI, lomiri-wallpapers-16.04_20.04.0-2_all.deb: instead of downloads
# DAVIS      root of DAVIS-2016 to score on, and SPLIT, its list of sequences, default dev
# OBJECTS    root of a folder with several objects a sequence to score on too (--dataset folder)
# OTHERS     encoders to compare with, NAME=ENCODER ..., default random=random:resnet18
# RESULT     file to copy OUT/train_default.json to
# --dry-run  print the commands instead
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
if [ -n "$DRY_RUN" ]; then
    exec "$BIN/python" "$ROOT/benchmarks" run train_default --dry-run "$@"
fi
exec "$BIN/python" "$ROOT/benchmarks" run train_default "$@"
