#!/usr/bin/env bash
# Every figure that wants a GPU, in less than nine minutes: bash benchmarks/gpu.sh [--dry-run] [--tiny]
#
# --dry-run  print the commands and run nothing
# --tiny     tiny sizes, to try this script out; with DEVICE=cpu anywhere
# OUT        folder for the JSON and the output of every figure and gpu.json, default runs/gpu
# RESULT     file to write gpu.json to as well: benchmarks/results/gpu.json for figures that are to be kept; then
#            `python benchmarks page gpu` writes their page
# FIGURES    names of those that are wanted, default all
# DEVICE     default cuda
# LIMIT      seconds for all figures together, default 520; those for which no time is left are left out
# FRAMES     frames of a video from disk to disk, default 200
# BATCH      clips of a training step, default 16
# PYTHON     default .venv/bin/python of the checkout, where there is one
#
# A figure that fails is reported, all others are still measured, and the exit status is then 1.
set -euo pipefail
ROOT="$(CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
PYTHON="${PYTHON:-$([ -x "$ROOT/.venv/bin/python" ] && echo "$ROOT/.venv/bin/python" || echo python3)}"
OUT="${OUT:-$ROOT/runs/gpu}" DEVICE="${DEVICE:-cuda}" LIMIT="${LIMIT:-520}"
FRAMES="${FRAMES:-200}" BATCH="${BATCH:-16}"
dry="" tiny="" failed=""
for option in "$@"; do
    case "$option" in
        --dry-run) dry=1 ;;
        --tiny) tiny=1 ;;
        *)
            echo "error: $option: is no option; give --dry-run, --tiny or nothing" >&2
            exit 2
            ;;
    esac
done

propagation=(--frames 10) video=(--frames "$FRAMES") clips=(--clips 20) rounds=(--rounds 5)
step=(--batch "$BATCH" --rounds 5 --clips 4 16 64)
if [ -n "$tiny" ]; then
    propagation=(--frames 1 --height 9 --width 13 --channels 16 --threads 1)
    video=(--frames 4 --height 50 --width 70 --threads 1)
    step=(--batch 2 --frames 2 --size 32 --rounds 1 --clips 1 --threads 1)
    clips=(--clips 1 --videos 1 --seconds 2) rounds=(--tiny --size 64 --video-size 64 --rounds 1 --threads 1)
fi

# figure NAME SCRIPT [OPTION ...]: run a script of this folder, within the time that is left.
figure() {
    local name="$1" script="$ROOT/benchmarks/$2" left=$((LIMIT - SECONDS))
    local command=("$PYTHON" "$script" "${@:3}" --out "$OUT/$name.json")
    [[ " ${FIGURES:-$name} " == *" $name "* ]] || return 0
    if [ ! -f "$script" ]; then
        echo "$name: left out; there is no benchmarks/$2" >&2
        return
    fi
    # What knows no device computes on the CPU only, unless it is a figure of the CPU anyway.
    if [[ " $* " == *" --device "* ]] && ! grep -q -- '"--device"' "$script"; then
        echo "$name: left out; benchmarks/$2 takes no --device" >&2
        return
    fi
    echo "${command[*]}"
    [ -z "$dry" ] || return 0
    if [ "$left" -lt 5 ]; then
        echo "$name: left out; no time is left of $LIMIT s" >&2
        failed=1
        return
    fi
    rm -f "$OUT/$name.json"
    printf '%s' "python benchmarks/${*:2}" >"$OUT/$name.command"
    local status=0
    timeout "$left" "${command[@]}" >"$OUT/$name.log" 2>&1 || status=$?
    if [ "$status" = 124 ]; then
        echo "$name: stopped; it takes longer than the $left s that were left of $LIMIT s" >&2
    elif [ "$status" != 0 ]; then
        echo "$name: failed: $(tail -n 1 "$OUT/$name.log"); see $OUT/$name.log" >&2
    fi
    [ "$status" = 0 ] || failed=1
}

[ -n "$dry" ] || mkdir -p "$OUT"
figure label_propagation label_propagation.py --device "$DEVICE" --search windows "${propagation[@]}"
figure label_propagation_bf16 label_propagation.py --device "$DEVICE" --search windows-bf16 "${propagation[@]}"
figure label_propagation_dinov3 label_propagation.py --case dinov3 --device "$DEVICE" --search windows "${propagation[@]}"
figure label_propagation_dinov3_bf16 label_propagation.py --case dinov3 --device "$DEVICE" --search windows-bf16 \
    "${propagation[@]}"
figure end_to_end end_to_end.py --device "$DEVICE" --precision fp32 tf32 bf16 "${video[@]}"
figure training_step training_step.py --device "$DEVICE" "${step[@]}"
figure adversarial_step adversarial_step.py --device "$DEVICE" --precision bf16 "${rounds[@]}"
figure data_loading data_loading.py "${clips[@]}"
[ -z "$dry" ] || exit 0
"$PYTHON" "$ROOT/benchmarks/gpu_figures.py" "$OUT" ${RESULT:+--out "$RESULT"}
[ -z "$failed" ]
