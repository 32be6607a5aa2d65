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
# RESULT       file to copy OUT/i2v_dev.json to: benchmarks/results/i2v_dev.json for a result that is to be kept
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
source "$(dirname -- "${BASH_SOURCE[0]}")/i2v_common.sh"
EXPERIMENTS="${EXPERIMENTS:-camvid synthetic}" NETWORKS="${NETWORKS:-swin cnn}" SEEDS="${SEEDS:-0 1 2}"
METHODS="${METHODS:-}" EPOCHS="${EPOCHS:-30}" JOBS="${JOBS:-1}" OUT="${OUT:-$ROOT/runs/i2v_dev}"
options=("$@")

made() { # made FOLDER COMMAND ...: a folder of data that is there only when whole
    [ ! -d "$1" ] || return 0
    product densevos data "${@:2}" --out "$1.part" --overwrite
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

methods() { # methods NETWORK: those that are wanted
    local control=
    [ "$1" != cnn ] || control=mixed
    echo "${METHODS:-none $control global spatial clustered}"
}

adversarial() { # adversarial NETWORK METHOD: sets LOSS; a CNN has no patch embedding, so its first stage stands for it
    local early=spatial
    [ "$1" = swin ] || early=stage1
    # Spatial and clustered alike judge feature maps, so that only the clusters differ.
    case "$2" in
        none) LOSS=(--loss none) ;;
        mixed) LOSS=(--loss general --placement global --adversarial.mu 0) ;;
        global) LOSS=(--loss general --placement global) ;;
        spatial) LOSS=(--loss general --placement "$early" --adversarial.discriminator maps) ;;
        clustered) LOSS=(--loss clustered --placement "$early" --adversarial.discriminator siamese) ;;
        *) environment_die "METHODS: there is no $2; known are none, mixed, global, spatial, clustered" ;;
    esac
}

run() { # run EXPERIMENT NETWORK METHOD SEED: learn, and judge on both domains
    local here="$OUT/$1/$2/$3/seed$4"
    adversarial "$2" "$3"
    # Every step is logged: a mean over several would hide those in which no pair could be drawn.
    learn "$here/run" "i2v_small_$2" --labelled "$LABELLED" --unlabelled "$UNLABELLED" "${LOSS[@]}" --loop.seed "$4" \
        --loop.epochs "$EPOCHS" --loop.log-every 1
    judge "$here/run" "$here/target" "${TARGET[@]}"
    judge "$here/run" "$here/source" "${SOURCE[@]}"
}

start() { # start EXPERIMENT NETWORK METHOD SEED: run it in the background as soon as there is room
    local name="$*"
    while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n; done
    set -m # a process group of its own, which can be stopped whole
    (
        trap 'exit 143' TERM # when the command that runs has ended
        trap 'told $? "$name"' EXIT
        run "$@"
    ) &
    set +m
}

told() { # told STATUS RUN: name a run that failed; one that was stopped is not to blame
    [ "$1" = 0 ] || [ "$1" = 143 ] || echo "error: $2 failed with exit status $1" >&2
}

stop() { # end what still runs and wait for it: trainings save their state
    local group
    trap '' HUP INT TERM
    for group in $(jobs -p); do kill -TERM -- "-$group" 2>/dev/null || true; done
    wait
}

leave() { # leave STATUS: after a signal; others that follow it, as those of timeout do, must not keep it from stop
    trap '' HUP INT TERM
    exit "$1"
}

main() { # a function, so that the script may be changed while it runs
    local experiment seed network method
    trap stop EXIT
    trap 'leave 129' HUP
    trap 'leave 130' INT
    trap 'leave 143' TERM
    mkdir -p "$OUT/data"
    for experiment in $EXPERIMENTS; do
        prepare "$experiment"
        for seed in $SEEDS; do
            for network in $NETWORKS; do
                for method in $(methods "$network"); do start "$experiment" "$network" "$method" "$seed"; done
            done
        done
    done
    while [ -n "$(jobs -p)" ]; do wait -n; done
    product python "$ROOT/benchmarks/i2v_dev.py" "$OUT" ${RESULT:+"$RESULT"}
    exit
}

main
