#!/usr/bin/env bash
# From a trained network: which adversarial loss closes a domain gap? Sharp labelled images against degraded unlabelled
# frames, at small size. Some hours on two cores; what was stopped goes on.
#
#   CAMVID=/data/CamVid bash scripts/adaptation.sh [options of densevos train]
#
# CAMVID         root of CamVid (train, trainannot, val, valannot); not needed for GAPS=shapes
# GAPS           default "camvid shapes": street images against copies with motion blur, in low light, compressed;
#                still images of textured shapes against blurred videos of them
# NETWORKS       default "cnn swin"; also lite, a CNN on EfficientNet-lite0 with ImageNet's weights, and dul, the CNN
#                whose source training starts from ENCODER (an encoder.safetensors of densevos train dul_small)
# STAGES         default "source grid seeds statistics extras layers pairs", in this order: the network that all go on
#                from; all settings with the first seed; the best setting of each method with the other seeds; the same
#                networks with BatchNorm's statistics of the target's training frames, and of the frames segmented;
#                settings that answer one question each; the CNN as trained, with statistics of training frames in a
#                part of its layers only; how fast the clustered loss's discriminator learns
# METHODS        default "none mixed ceiling spatial stage3 global clustered clustered-global global-rate1e-3
#                clustered-global-rate1e-3"; a CNN's early features, for spatial and clustered, are its stage1; rate1e-3
#                is the discriminator's learning rate, ten times the recipe's
# MUS, SCHEDULES default "0.01 0.1 1" and "constant ramp": what the grid tries for each method
# SEEDS          default "0 1 2": of the order of samples and of the discriminator's first weights
# SOURCE_EPOCHS  default 40        EPOCHS  of what follows, default 4; the same for every method
# RATE           learning rate of what follows, default 1e-4: a fifth of the source's
# RAMP_BATCHES   over which mu rises where it does, default 76: half of the training
# JOBS           runs at a time, default 1: several share a GPU well
# OUT            working folder, default runs/adaptation; what was trained and judged stays
# RESULT         file to copy OUT/adaptation.json to: benchmarks/experiments/adaptation/result.json for one to be kept
#
# none trains on with the labelled images alone, for as long as the others. mixed sees both domains, but its network has
# no gradient of the discriminator (mu = 0): what BatchNorm alone does. ceiling learns from the labels of the target.
#
# Limits of camvid: the unlabelled frames are degraded copies of the very images that are labelled, each frame by itself,
# so the domains show the same scenes and differ by degradation alone. The drive at dusk is in no training.
set -euo pipefail
EXTRAS="${EXTRAS:-[segmentation]}"
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
exec "$BIN/python" "$ROOT/benchmarks" run adaptation "$@"
