#!/usr/bin/env bash
# Index and check TrackingNet for training:
#
#   TRACKINGNET=/data/trackingnet bash scripts/prepare_trackingnet.sh [options of densevos data index]
#
# TRACKINGNET  folder that holds TRAIN_0/frames/VIDEO/N.jpg to TRAIN_11/frames/VIDEO/N.jpg, or some of these chunks
#
# Download: with the program of https://github.com/SilvioGiancola/TrackingNet-devkit, about 1.1 TB for all chunks. It
# fetches one archive a video, frames/VIDEO.zip, and has a program that unpacks them to frames/VIDEO.
#
# INDEX      file to write, default TRACKINGNET/videos.npz, which scripts/train_trackingnet.sh takes
# SAMPLE     videos to decode as a check, default 200; broken ones are marked in the index and left out of training
# --dry-run  print the commands instead
#
# A command that was stopped goes on when it is repeated.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
prepare trackingnet "${TRACKINGNET:?set TRACKINGNET to the folder of the videos}" "$@"
