#!/usr/bin/env bash
# Does the adversarial loss close a domain gap? Sharp labelled images against degraded unlabelled frames, at small size.
#
#   CAMVID=/data/CamVid bash scripts/i2v_dev.sh [options of densevos train]
#
# CAMVID       root of CamVid (train, trainannot, val, valannot); not needed for EXPERIMENTS=synthetic
# EXPERIMENTS  default "camvid synthetic": street images against copies with motion blur, in low light, compressed;
#              still images of textured shapes against blurred videos of them
# NETWORKS     default "swin cnn"
# METHODS      default "none global spatial clustered", and mixed for cnn; a CNN's spatial is its stage1
# SEEDS        default "0 1 2"          EPOCHS   of labelled images, default 30; the same for every method
# JOBS         runs at a time, default 1: several share a GPU well
# OUT          working folder, default runs/i2v_dev; what was trained and judged stays, what was stopped goes on
# RESULT       file to copy OUT/i2v_dev.json to: benchmarks/experiments/i2v_dev/result.json for a result that is to be kept
#
# mixed is the control of the CNN, whose encoder has BatchNorm: with a discriminator its statistics are of images and
# target frames, without one of images alone, and that by itself may help. mixed sees both, but mu = 0 keeps the
# discriminator's gradient from it. A Swin needs no such control: its encoder has LayerNorm, and the BatchNorm of UperNet
# sees only what is decoded, the labelled frames. (METHODS=mixed with it shows what a discriminator can know.)
#
# Limits of camvid: the unlabelled frames are degraded copies of the very images that are labelled (train), each frame
# by itself, so the domains show the same scenes and differ by degradation alone. Judged are val degraded likewise (target)
# and as it is (source), all of one drive that train has frames of, too. A gain is one on this gap, trained from scratch:
# it says little of photographs against other people's videos.
set -euo pipefail
EXTRAS="${EXTRAS:-[segmentation]}"
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
exec "$BIN/python" "$ROOT/benchmarks" run i2v_dev "$@"
