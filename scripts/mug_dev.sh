#!/usr/bin/env bash
# Learn objects from unlabelled videos with MuG and judge on DAVIS-2016: first foreground maps against both rounds.
#
#   VIDEOS=/data/videos DAVIS=/data/DAVIS bash scripts/mug_dev.sh [options of densevos train]
#
# VIDEOS     folder of video files or frame folders to learn from (no labels)
# DAVIS      root of DAVIS (JPEGImages/480p, Annotations/480p, ImageSets/2016/SPLIT.txt)
# SPLIT      list of sequences, default dev       RECIPE  default mug_small
# KNOWLEDGE  where the first maps come from, default "saliency cam" (cam: pip install 'densevos[cam]')
# LEAVE_OUT  granularities to train without, one run of two rounds each on KNOWLEDGE's first: "frame short long video"
# TRANSDUCTIVE=1  train once more with the frames of the judged sequences, never their labels, among the videos
# OUT        working folder, default runs/mug_dev; steps that are done are not done again
# RESULT     file to copy OUT/mug_dev.json to: benchmarks/results/mug_dev.json for a result that is to be kept
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
: "${VIDEOS:?set VIDEOS to a folder of videos to learn from}" "${DAVIS:?set DAVIS to the root of DAVIS}"
SPLIT="${SPLIT:-dev}" RECIPE="${RECIPE:-mug_small}" OUT="${OUT:-$ROOT/runs/mug_dev}"
KNOWLEDGE="${KNOWLEDGE:-saliency cam}" LEAVE_OUT="${LEAVE_OUT:-}" TRANSDUCTIVE="${TRANSDUCTIVE:-}"
mkdir -p "$OUT"

extract() { # extract VIDEOS FRAMES: a folder of frames that is there only when whole
    [ ! -d "$2" ] || return 0
    "$BIN/densevos" data frames "$1" --out "$2.part" --short-side 192 --every 3 --overwrite
    mv "$2.part" "$2"
}

extract "$VIDEOS" "$OUT/frames"
while read -r sequence; do
    [ -n "$sequence" ] && echo "$(realpath "$DAVIS")/JPEGImages/480p/$sequence"
done <"$DAVIS/ImageSets/2016/$SPLIT.txt" >"$OUT/judged.txt"
DATASET=(--dataset davis16 --root "$DAVIS" --split "$SPLIT")

score() { # score RESULTS [options]; what was scored stays
    [ -f "$1/results.json" ] || "$BIN/densevos-eval" score "${DATASET[@]}" --results "$@"
}

learn() { # learn NAME VIDEOS MAPS [options of densevos train]: two rounds, and what each finds in the judged sequences
    local name="$1" videos="$2" maps="$3" round results masks
    shift 3
    "$BIN/densevos" train "$RECIPE" --data "$videos" --foreground "$maps" --out "$OUT/$name" --resume auto "$@"
    for round in "$OUT/$name"/round[0-9]*; do
        results="$OUT/${name}_$(basename "$round")"
        "$BIN/densevos-eval" zeroshot --model "$round" "${DATASET[@]}" --out "$results" --save-probabilities --resume
        [ -f "$results/equal-area/results.json" ] ||
            "$BIN/python" "$ROOT/benchmarks/equal_area.py" "$results/no-crf" "$maps" "$results/equal-area"
        score "$results"
        for masks in "$results/no-crf" "$results/equal-area"; do score "$masks" --no-stability; done
    done
}

for kind in $KNOWLEDGE; do
    "$BIN/densevos" data foreground "$OUT/frames" --method "$kind" --out "$OUT/maps_$kind"
    "$BIN/densevos" data foreground "$OUT/judged.txt" --method "$kind" --uncertain 0 --out "$OUT/${kind}"
    "$BIN/densevos" data foreground "$OUT/judged.txt" --method "$kind" --uncertain 0 --no-crf --out "$OUT/${kind}_no_crf"
    "$BIN/python" "$ROOT/benchmarks/mean_map.py" "$OUT/maps_$kind" "$OUT/judged.txt" "$OUT/${kind}_mean"
    score "$OUT/$kind"
    for maps in "${kind}_no_crf" "${kind}_mean"; do score "$OUT/$maps" --no-stability; done
    learn "mug_$kind" "$OUT/frames" "$OUT/maps_$kind" "$@"
    for preset in mug mug-release; do
        results="$OUT/mug_${kind}_one_shot_$preset"
        "$BIN/densevos-eval" propagate --preset "$preset" --encoder "$OUT/mug_$kind/encoder.safetensors" \
            "${DATASET[@]}" --out "$results" --resume
        score "$results"
    done
done
if [ -n "$TRANSDUCTIVE" ]; then
    extract "$OUT/judged.txt" "$OUT/frames_judged"
    printf '%s\n' "$OUT"/frames/* "$OUT"/frames_judged/* >"$OUT/transductive.txt"
    for kind in $KNOWLEDGE; do
        [ -d "$OUT/maps_transductive_$kind" ] || cp -r "$OUT/maps_$kind" "$OUT/maps_transductive_$kind"
        "$BIN/densevos" data foreground "$OUT/transductive.txt" --method "$kind" --out "$OUT/maps_transductive_$kind"
        learn "mug_transductive_$kind" "$OUT/transductive.txt" "$OUT/maps_transductive_$kind" "$@"
    done
fi
for granularity in $LEAVE_OUT; do
    learn "mug_without_$granularity" "$OUT/frames" "$OUT/maps_${KNOWLEDGE%% *}" "--objective.$granularity-weight" 0 "$@"
done
"$BIN/python" "$ROOT/benchmarks/mug_dev.py" "$OUT" ${RESULT:+"$RESULT"}
