#!/usr/bin/env bash
# Run the tests on all cores: bash scripts/test.sh [options of pytest, which then decide about cores too]
set -euo pipefail
EXTRAS="[dev]"
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"
# One process more than there are cores: many tests wait for others that they start.
[ "$#" -gt 0 ] || set -- -q -n "$(($(getconf _NPROCESSORS_ONLN) + 1))" --dist loadfile
exec "$BIN/python" -m pytest "$@"
