#!/usr/bin/env bash
# Does the adversarial loss close a domain gap? Sharp labelled images against degraded unlabelled frames, at small size.
#
#   CAMVID=/data/CamVid bash scripts/i2v_dev.sh [options of densevos train]
#
# CAMVID       root of CamVid (train, trainannot, val, valannot); not needed for EXPERIMENTS=synthetic
# EXPERIMENTS  default "camvid synthetic": street images against copies with motion blur, in low light, compressed;
#              still images of textured shapes against blurred videos of them
# NETWORKS     default "swin cnn"       METHODS  default "none global spatial clustered"; a CNN's spatial is its stage1
# SEEDS        default "0 1 2"          EPOCHS   of labelled images, default 30; the same for every method
# JOBS         runs at a time, default 1: several share a GPU well
# OUT          working folder, default runs/i2v_dev; what was trained and judged stays, what was stopped goes on
set -euo pipefail
EXTRAS="${EXTRAS:-[segmentation]}"
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
EXPERIMENTS="${EXPERIMENTS:-camvid synthetic}" NETWORKS="${NETWORKS:-swin cnn}" SEEDS="${SEEDS:-0 1 2}"
METHODS="${METHODS:-none global spatial clustered}" EPOCHS="${EPOCHS:-30}"
JOBS="${JOBS:-1}" OUT="${OUT:-$ROOT/runs/i2v_dev}"
options=("$@")

made() { # made FOLDER COMMAND ...: a folder of data that is there only when whole
    [ ! -d "$1" ] || return 0
    "$BIN/densevos" data "${@:2}" --out "$1.part" --overwrite
    mv "$1.part" "$1"
}

prepare() { # prepare EXPERIMENT: sets LABELLED, UNLABELLED, and the --dataset and --root of SOURCE and TARGET
    case "$1" in
        camvid)
            : "${CAMVID:?set CAMVID to the root of CamVid, or EXPERIMENTS=synthetic}"
            made "$OUT/data/camvid" degrade "camvid:$CAMVID" --split train val
            LABELLED="camvid:$CAMVID" UNLABELLED="folder:$OUT/data/camvid"
            SOURCE=(--dataset camvid --root "$CAMVID") TARGET=(--dataset folder --root "$OUT/data/camvid") ;;
        synthetic)
            made "$OUT/data/synthetic" synth-classes
            LABELLED="folder:$OUT/data/synthetic/stills" UNLABELLED="folder:$OUT/data/synthetic/videos"
            SOURCE=(--dataset folder --root "${LABELLED#folder:}") TARGET=(--dataset folder --root "${UNLABELLED#folder:}") ;;
        *) environment_die "EXPERIMENTS: there is no $1; known are camvid, synthetic" ;;
    esac
}

adversarial() { # adversarial NETWORK METHOD: sets LOSS; a CNN has no patch embedding, so its first stage stands for it
    local early=spatial
    [ "$1" = swin ] || early=stage1
    # Spatial and clustered alike judge feature maps, so that only the clusters differ.
    case "$2" in
        none) LOSS=(--loss none) ;;
        global) LOSS=(--loss general --placement global) ;;
        spatial) LOSS=(--loss general --placement "$early" --adversarial.discriminator maps) ;;
        clustered) LOSS=(--loss clustered --placement "$early") ;;
        *) environment_die "METHODS: there is no $2; known are none, global, spatial, clustered" ;;
    esac
}

judge() { # judge RUN RESULTS [--dataset ... --root ...]: what was scored stays
    [ ! -f "$2/results.json" ] || return 0
    "$BIN/densevos-eval" segment --model "$1" "${@:3}" --out "$2" --resume
    "$BIN/densevos-eval" score --metric miou "${@:3}" --results "$2"
}

learn() { # learn RUN NETWORK [options]: a finished run stays
    [ -f "$1/model.safetensors" ] ||
        "$BIN/densevos" train "i2v_small_$2" "${@:3}" --loop.epochs "$EPOCHS" --out "$1" --resume auto \
            ${options[@]+"${options[@]}"}
}

run() { # run EXPERIMENT NETWORK METHOD SEED: learn, and judge on both domains
    local here="$OUT/$1/$2/$3/seed$4"
    adversarial "$2" "$3"
    learn "$here/run" "$2" --labelled "$LABELLED" --unlabelled "$UNLABELLED" "${LOSS[@]}" --loop.seed "$4"
    judge "$here/run" "$here/target" "${TARGET[@]}"
    judge "$here/run" "$here/source" "${SOURCE[@]}"
}

trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
mkdir -p "$OUT/data"
for experiment in $EXPERIMENTS; do
    prepare "$experiment"
    for seed in $SEEDS; do
        for network in $NETWORKS; do
            for method in $METHODS; do
                while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n; done
                run "$experiment" "$network" "$method" "$seed" &
            done
        done
    done
done
while [ -n "$(jobs -p)" ]; do wait -n; done
"$BIN/python" "$ROOT/benchmarks/i2v_dev.py" "$OUT"
