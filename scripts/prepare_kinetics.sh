#!/usr/bin/env bash
# Index and check Kinetics-400 for training:
#
#   KINETICS=/data/kinetics400 bash scripts/prepare_kinetics.sh [options of densevos data index]
#
# KINETICS   folder that holds train/, with the video files in it or one folder deeper, by class
#
# Download: https://github.com/cvdfoundation/kinetics-dataset has a script that fetches the CVDF's copy, k400: about
# 240,000 training videos; all splits are 450 GB. Unpack the archives of train/ into KINETICS/train.
#
# INDEX      file to write, default KINETICS/videos.npz, which scripts/train_kinetics.sh takes
# SAMPLE     videos to decode as a check, default 200; broken ones are marked in the index and left out of training
# --dry-run  print the commands instead
#
# A command that was stopped goes on when it is repeated.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
prepare kinetics400 "${KINETICS:?set KINETICS to the folder of the videos}" "$@"
