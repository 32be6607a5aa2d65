#!/usr/bin/env bash
# Index and check YouTube-VOS for training:
#
#   YTVOS=/data/ytvos bash scripts/prepare_ytvos.sh [options of densevos data index]
#
# YTVOS      folder that holds train/JPEGImages/VIDEO/NNNNN.jpg
#
# Download: train.zip of the 2018 or 2019 version, from https://youtube-vos.org/dataset/vos/ after signing up. Unpack it
# into YTVOS. It has every fifth frame; annotations are not read.
#
# INDEX      file to write, default YTVOS/videos.npz, which scripts/train_ytvos.sh takes
# SAMPLE     videos to decode as a check, default 200; broken ones are marked in the index and left out of training
# --dry-run  print the commands instead
#
# A command that was stopped goes on when it is repeated.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
prepare ytvos "${YTVOS:?set YTVOS to the folder of the videos}" "$@"
