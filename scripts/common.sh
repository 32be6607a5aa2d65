# shellcheck shell=bash
# Sourced by scripts that know --dry-run: takes that option out of "$@" and makes or finds the environment.
# $ROOT and $BIN are those of environment.sh. With --dry-run nothing is installed or run.

DRY_RUN="" options=()
for option in "$@"; do
    if [ "$option" = --dry-run ]; then DRY_RUN=1; else options+=("$option"); fi
done
set -- ${options[@]+"${options[@]}"}

if [ -n "$DRY_RUN" ]; then
    ROOT="$(CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
    BIN="${DENSEVOS_BIN:-$ROOT/.venv/bin}"
else
    source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
fi

# Run a command, or print it, quoted so that it can be pasted.
run() {
    if [ -z "$DRY_RUN" ]; then
        "$@"
    else
        printf '%q' "$1"
        shift
        printf ' %q' "$@"
        echo
    fi
}

# The last command of a script, which takes the place of the shell: signals reach it directly.
run_last() {
    [ -n "$DRY_RUN" ] || exec "$@"
    run "$@"
}

# Number of GPUs of this machine, at least 1; also 1 where nothing is installed yet, as before a --dry-run.
count_gpus() {
    if [ -x "$BIN/python" ]; then
        "$BIN/python" -c 'import torch; print(max(torch.cuda.device_count(), 1))'
    else
        echo 1
    fi
}

# Print the comment at the head of the script that was started, as its help.
print_help() {
    sed -n '2,/^set /s/^# \{0,1\}//p' "$0" | sed '/^set /d' >&2
}

# prepare LAYOUT FOLDER [options of densevos data index]: write FOLDER/videos.npz, decode a sample, print numbers.
prepare() {
    local layout="$1" folder="$2" index
    shift 2
    index="${INDEX:-$folder/videos.npz}"
    if [ -z "$DRY_RUN" ] && [ ! -d "$folder" ]; then
        print_help
        environment_die "$folder: is no folder; download the videos as it says above"
    fi
    run "$BIN/densevos" data index "$folder" --dataset "$layout" --out "$index" "$@"
    run "$BIN/densevos" data check "$index" --sample "${SAMPLE:-200}" --out "$index"
    run_last "$BIN/densevos" data stats "$index"
}

# submit BENCHMARK FOLDER [options of densevos-eval propagate]: masks in $OUT, then the folder and the zip for the server.
submit() {
    local dataset="$1" folder="$2" again=(--resume) benchmark option packed
    shift 2
    for option in "$@"; do
        if [ "$option" = --overwrite ]; then again=(); fi
    done
    # shellcheck disable=SC2206 # several options
    benchmark=(--dataset "$dataset" --root "$folder" ${BENCHMARK:-})
    run "$BIN/densevos-eval" propagate --encoder "$ENCODER" "${benchmark[@]}" --out "$OUT/masks" \
        ${again[@]+"${again[@]}"} "$@"
    for packed in "$OUT/$dataset" "$OUT/$dataset.zip"; do
        run "$BIN/densevos-eval" submit "${benchmark[@]}" --results "$OUT/masks" --out "$packed" --overwrite
    done
}
