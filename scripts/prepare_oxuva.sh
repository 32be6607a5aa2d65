#!/usr/bin/env bash
# Index and check OxUvA for training:
#
#   OXUVA=/data/oxuva bash scripts/prepare_oxuva.sh [options of densevos data index]
#
# OXUVA      folder that holds images/dev/VIDEO/NNNNNN.jpeg and images/test/VIDEO/NNNNNN.jpeg
#
# Download: images_dev.tar and images_test.tar, which https://github.com/oxuva/long-term-tracking-benchmark names and
# hands out after a form. Unpack both into OXUVA. Training takes both; annotations are not needed.
#
# INDEX      file to write, default OXUVA/videos.npz, which scripts/train_oxuva.sh takes
# SAMPLE     videos to decode as a check, default 200; broken ones are marked in the index and left out of training
# --dry-run  print the commands instead
#
# A command that was stopped goes on when it is repeated.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
prepare oxuva "${OXUVA:?set OXUVA to the folder of the videos}" "$@"
