#!/usr/bin/env bash
# Propagate the given masks of DAVIS 2017 test-dev, and pack what its server takes:
#
#   ENCODER=runs/mine/encoder.safetensors DAVIS=/data/DAVIS bash scripts/submit_davis.sh [options of densevos-eval propagate]
#
# ENCODER    what computes the features, as --encoder takes it
# DAVIS      folder that holds JPEGImages/480p, Annotations/480p and ImageSets/2017/test-dev.txt, from Test-Dev (480p) of
#            https://davischallenge.org/davis2017/code.html
# OUT        default runs/submit_davis: masks in OUT/masks, the checked folder OUT/davis17-testdev and the same as a zip;
#            a run that was stopped goes on where it was
# --dry-run  print the commands instead
#
# The zip is for the server of the DAVIS challenge, https://davischallenge.org. Of val there is nothing to submit: score
# it with densevos-eval score.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
: "${ENCODER:?set ENCODER to what computes the features}" "${DAVIS:?set DAVIS to the folder of test-dev}"
OUT="${OUT:-$ROOT/runs/submit_davis}"
submit davis17-testdev "$DAVIS" "$@"
