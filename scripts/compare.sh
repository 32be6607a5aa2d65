#!/usr/bin/env bash
# Judge several encoders on one benchmark and compare them with the first. Several benchmarks or presets at once:
# densevos-eval matrix.
#
#   ENCODERS="random=random:resnet18 mine=runs/mine/encoder.safetensors" DATASET=davis17 DATA=/data/DAVIS \
#       bash scripts/compare.sh [options of densevos-eval propagate]
#
# ENCODERS  NAME=ENCODER, separated by spaces; the first is what the others are compared with
# DATASET   benchmark, default davis16        DATA  its root        SPLIT  list of sequences, default val
# OUT       folder for OUT/NAME with masks and scores, and OUT/compare.md; default runs/compare
# BENCHMARK more options of densevos-eval propagate and score alike, such as --sequences blackswan
# COMPARE   options of densevos-eval compare, such as --published
#
# What was stopped goes on where it was; with other settings or encoders pass --overwrite, or choose another OUT.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
: "${ENCODERS:?set ENCODERS to NAME=ENCODER NAME=ENCODER ...}" "${DATA:?set DATA to the root of the benchmark}"
# shellcheck disable=SC2206 # several options
benchmark=(--dataset "${DATASET:-davis16}" --root "$DATA" --split "${SPLIT:-val}" ${BENCHMARK:-})
OUT="${OUT:-$ROOT/runs/compare}"

again=(--resume)
for option in "$@"; do
    if [ "$option" = --overwrite ]; then again=(); fi
done

results=()
for entry in $ENCODERS; do
    name="${entry%%=*}"
    [ "$name" != "$entry" ] || environment_die "ENCODERS: $entry has no name; write NAME=$entry"
    "$BIN/densevos-eval" propagate --encoder "${entry#*=}" "${benchmark[@]}" --out "$OUT/$name" ${again[@]+"${again[@]}"} "$@"
    "$BIN/densevos-eval" score "${benchmark[@]}" --results "$OUT/$name"
    results+=("$OUT/$name")
done
# shellcheck disable=SC2086 # several options
"$BIN/densevos-eval" compare "${results[@]}" ${COMPARE:-} --out "$OUT/compare.md"
cat "$OUT/compare.md"
