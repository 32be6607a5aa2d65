#!/usr/bin/env bash
# Index and check DAVIS 2017 for training:
#
#   DAVIS=/data/DAVIS bash scripts/prepare_davis.sh [options of densevos data index]
#
# DAVIS      folder that holds JPEGImages/480p/SEQUENCE/NNNNN.jpg and ImageSets/2017/train.txt
#
# Download: TrainVal, 480p, from https://davischallenge.org/davis2017/code.html, 0.8 GB. Unpack it and give its folder
# DAVIS. It is the benchmark that learned encoders are scored on: train on its training sequences only.
#
# INDEX      file to write, default DAVIS/videos.npz, for --data of densevos train
# SAMPLE     videos to decode as a check, default 200; broken ones are marked in the index and left out of training
# --dry-run  print the commands instead
#
# A command that was stopped goes on when it is repeated.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
prepare davis "${DAVIS:?set DAVIS to the folder of the videos}" "$@"
