#!/usr/bin/env bash
# Judge several encoders on one benchmark and compare them with the first.
#
#   ENCODERS="random=random:resnet18 mine=runs/mine/encoder.safetensors" DATASET=davis17 DATA=/data/DAVIS \
#       bash scripts/compare.sh [options of densevos-eval propagate]
#
# ENCODERS  NAME=ENCODER, separated by spaces; the first is what the others are compared with
# DATASET   benchmark, default davis16        DATA  its root        SPLIT  list of sequences, default val
# OUT       folder for OUT/NAME with masks and scores, and OUT/compare.md; default runs/compare
# COMPARE   options of densevos-eval compare, such as --published
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
: "${ENCODERS:?set ENCODERS to NAME=ENCODER NAME=ENCODER ...}" "${DATA:?set DATA to the root of the benchmark}"
benchmark=(--dataset "${DATASET:-davis16}" --root "$DATA" --split "${SPLIT:-val}")
OUT="${OUT:-$ROOT/runs/compare}"

results=()
for entry in $ENCODERS; do
    name="${entry%%=*}"
    [ "$name" != "$entry" ] || environment_die "ENCODERS: $entry has no name; write NAME=$entry"
    "$BIN/densevos-eval" propagate --encoder "${entry#*=}" "${benchmark[@]}" --out "$OUT/$name" --overwrite "$@"
    "$BIN/densevos-eval" score "${benchmark[@]}" --results "$OUT/$name"
    results+=("$OUT/$name")
done
# shellcheck disable=SC2086 # several options
"$BIN/densevos-eval" compare "${results[@]}" ${COMPARE:-} --out "$OUT/compare.md"
cat "$OUT/compare.md"
