# shellcheck shell=bash
# Sourced by the other scripts: makes .venv in the checkout and installs densevos when pyproject.toml has changed.
# Afterwards $BIN is the folder of the installed commands and $ROOT the checkout.
# PYTHON chooses the interpreter (3.11 or newer); EXTRAS adds optional dependencies, such as [dev].
# DENSEVOS_BIN names the folder of an installation that you made yourself (conda, a container): nothing is installed then.

ROOT="$(CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
BIN="${DENSEVOS_BIN:-$ROOT/.venv/bin}"

environment_die() {
    echo "error: $*" >&2
    exit 2
}

environment_python() {
    local candidate
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    environment_die "no Python 3.11 or newer found (tried ${PYTHON:-python3.13 python3.12 python3.11 python3 python}); set PYTHON"
}

environment_install() {
    local extras="${EXTRAS:-}" stamp="$ROOT/.venv/installed$1" wanted python
    wanted="$(cksum <"$ROOT/pyproject.toml") $ROOT"
    [ -x "$BIN/python" ] || rm -rf "$ROOT/.venv" # its interpreter is gone
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return
    if ! "$BIN/python" -m pip --version >/dev/null 2>&1; then # none, or one that was interrupted
        python="$(environment_python)" || exit 2
        echo "making $ROOT/.venv with $python" >&2
        "$python" -m venv "$ROOT/.venv" || environment_die "$python cannot make a virtual environment; install its venv module"
    fi
    echo "installing densevos$extras (torch and torchvision come along: some minutes the first time)" >&2
    "$BIN/python" -m pip install --quiet --disable-pip-version-check --editable "$ROOT$extras" >&2 \
        || environment_die "installation failed; see the messages of pip above"
    echo "$wanted" >"$stamp"
}

if [ -z "${DENSEVOS_BIN:-}" ]; then
    exec 9<"$ROOT" # two scripts at once install one after the other, where flock is to be had
    ! command -v flock >/dev/null || flock 9
    environment_install "$(tr -cs a-z0-9 - <<<"${EXTRAS:-}")"
    exec 9<&-
fi
