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
