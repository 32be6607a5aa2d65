#!/usr/bin/env bash
# The tables of the image-to-video papers and their ablations: train and judge every row, published numbers beside.
#
#   COCO=/data/coco DAVIS=/data/DAVIS bash scripts/i2v_tables.sh [options of densevos train]
#
# COCO, DAVIS, YTBB, FBMS, VOC   roots of the sets; rows that need one that is not given are left out, and named
# TABLES        default "cnn swin videoswin fbms pascal clusters placement": swin is the ablation of the loss, clusters
#               of K = 2, 5, 11, 22, pascal has unlabelled images instead of videos
# SEEDS         default 0; of several, tables have mean and deviation
# FBMS_CLASSES  classes to learn for FBMS, as its classes.csv has them, with commas between; default: those of its animals
#               and things that COCO has
# OUT           working folder, default runs/i2v_tables; what was trained and judged stays, what was stopped goes on
# DRY=1         print the commands instead
set -euo pipefail
here="$(dirname -- "${BASH_SOURCE[0]}")"
if [ -n "${DRY:-}" ]; then
    ROOT="." BIN=""
    COCO="${COCO:-COCO}" DAVIS="${DAVIS:-DAVIS}" YTBB="${YTBB:-YTBB}" FBMS="${FBMS:-FBMS}" VOC="${VOC:-VOC}"
else
    EXTRAS="${EXTRAS:-[segmentation]}"
    source "$here/environment.sh"
    COCO="${COCO:-}" DAVIS="${DAVIS:-}" YTBB="${YTBB:-}" FBMS="${FBMS:-}" VOC="${VOC:-}"
fi
source "$here/i2v_common.sh"
TABLES="${TABLES:-cnn swin videoswin fbms pascal clusters placement}" SEEDS="${SEEDS:-0}"
FBMS_CLASSES="${FBMS_CLASSES:-person,car,cat,dog,horse,bear,giraffe}" OUT="${OUT:-$ROOT/runs/i2v_tables}"
options=("$@")
classes=() # to learn; none: the ten that COCO and DAVIS share

if [ -n "${DRY:-}" ]; then
    printed=$'\n'
    product() { # product COMMAND ...: printed once, though tables share rows
        local line
        printf -v line '%q ' "$@"
        [[ "$printed" == *$'\n'"$line"$'\n'* ]] || echo "${line% }"
        printed+="$line"$'\n'
    }
else
    mkdir -p "$OUT"
fi

row() { # row RUN RECIPE "LABELLED ..." "UNLABELLED ..." JUDGED [options]: train one row with every seed, and judge it
    local run="$1" recipe="$2" labelled="$3" unlabelled="$4" judged="$5" set seed
    shift 5
    for set in $labelled $unlabelled $judged; do
        [ -n "${!set}" ] || { echo "left out: $run on $judged, which needs $set" >&2; return 0; }
    done
    local sets=(--labelled)
    for set in $labelled; do sets+=("${set,,}:${!set}"); done
    [ -z "$unlabelled" ] || sets+=(--unlabelled)
    for set in $unlabelled; do sets+=("${set,,}:${!set}"); done
    local names=()
    if [[ " $labelled " == *" COCO "* ]]; then
        coco_names train
        names=(--sets.names "$NAMES")
    fi
    for seed in $SEEDS; do
        learn "$OUT/$run/seed$seed/run" "$recipe" "${sets[@]}" "$@" ${names[@]+"${names[@]}"} --loop.seed "$seed"
        judge_on "$judged" "$OUT/$run/seed$seed"
    done
}

coco_names() { # coco_names SPLIT: sets NAMES, a list of the images with a wanted class: all masks are read for it, once
    local wanted=() kinds="${classes[*]}"
    [ ${#classes[@]} = 0 ] || wanted=(--wanted "${classes[@]}")
    NAMES="$OUT/coco_$1${kinds:+_${kinds// /-}}.txt"
    [ -f "$NAMES" ] ||
        product densevos data classes "coco:$COCO" --split "$1" ${wanted[@]+"${wanted[@]}"} --write-names "$NAMES"
}

judge_on() { # judge_on SET FOLDER
    local set=(--dataset "${1,,}" --root "${!1}" --split val)
    [ ${#classes[@]} = 0 ] || set+=(--classes "${classes[@]}")
    if [ "$1" = COCO ]; then
        coco_names val
        set+=(--names "$NAMES")
    fi
    judge "$2/run" "$2/${1,,}" "${set[@]}"
}

table_cnn() {
    row cnn-coco i2v_cnn COCO "" DAVIS --loss none
    row cnn-coco-general-global-davis i2v_cnn COCO DAVIS DAVIS --loss general --placement global
    row cnn-coco-general-global-ytbb i2v_cnn COCO YTBB DAVIS --loss general --placement global
    row cnn-davis i2v_cnn DAVIS "" DAVIS --loss none
    row cnn-both i2v_cnn "COCO DAVIS" "" DAVIS --loss none
}

table_swin() {
    row swin-coco i2v_swin COCO "" DAVIS --loss none
    row swin-coco-general-global-davis i2v_swin COCO DAVIS DAVIS --loss general --placement global
    row swin-coco-general-spatial-davis i2v_swin COCO DAVIS DAVIS --loss general --placement spatial
    row swin-coco-clustered-spatial-davis i2v_swin COCO DAVIS DAVIS --loss clustered --placement spatial
    row swin-davis i2v_swin DAVIS "" DAVIS --loss none
    row swin-both i2v_swin "COCO DAVIS" "" DAVIS --loss none
    row swin-both-general-global i2v_swin "COCO DAVIS" "" DAVIS --loss general --placement global
    row swin-both-general-spatial i2v_swin "COCO DAVIS" "" DAVIS --loss general --placement spatial
    row swin-both-clustered-spatial i2v_swin "COCO DAVIS" "" DAVIS --loss clustered --placement spatial
}

table_videoswin() {
    row videoswin-coco i2v_videoswin COCO "" DAVIS --loss none
    row videoswin-coco-general-spatial-davis i2v_videoswin COCO DAVIS DAVIS --loss general --placement spatial
    row videoswin-davis i2v_videoswin DAVIS "" DAVIS --loss none
    row videoswin-both i2v_videoswin "COCO DAVIS" "" DAVIS --loss none
    row videoswin-both-general-spatial i2v_videoswin "COCO DAVIS" "" DAVIS --loss general --placement spatial
}

table_fbms() {
    local classes
    IFS=, read -ra classes <<<"$FBMS_CLASSES"
    local wanted=(--sets.wanted "${classes[@]}")
    row fbms-coco i2v_swin COCO "" FBMS --loss none "${wanted[@]}"
    row fbms-coco-general-spatial-fbms i2v_swin COCO FBMS FBMS --loss general --placement spatial "${wanted[@]}"
    row fbms-fbms i2v_swin FBMS "" FBMS --loss none "${wanted[@]}"
    row fbms-both i2v_swin "COCO FBMS" "" FBMS --loss none "${wanted[@]}"
}

table_pascal() {
    local judged
    for judged in DAVIS COCO; do
        row cnn-coco i2v_cnn COCO "" $judged --loss none
        row cnn-coco-general-global-voc i2v_cnn COCO VOC $judged --loss general --placement global
    done
    for judged in DAVIS COCO; do
        row swin-coco i2v_swin COCO "" $judged --loss none
        row swin-coco-general-global-voc i2v_swin COCO VOC $judged --loss general --placement global
    done
}

table_clusters() {
    local clusters
    for clusters in 2 5 11 22; do
        row swin-clusters-$clusters i2v_swin COCO DAVIS DAVIS --loss clustered --placement spatial \
            --adversarial.clusters $clusters --loop.batch 4
    done
}

table_placement() {
    local placement
    for placement in spatial stage1 stage2 stage3 global; do
        row swin-coco-general-$placement-davis i2v_swin COCO DAVIS DAVIS --loss general --placement $placement
    done
}

for table in $TABLES; do
    [ "$(type -t "table_$table")" = function ] || { echo "error: TABLES: there is no $table" >&2; exit 2; }
    "table_$table"
done
# shellcheck disable=SC2086 # several tables
[ -n "${DRY:-}" ] || product python "$ROOT/benchmarks/i2v_tables.py" "$OUT" $TABLES
