#!/usr/bin/env bash
# Run the tests on all cores: bash scripts/test.sh [options of pytest, which then decide about cores too]
set -euo pipefail
EXTRAS="[dev]"
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"
# Of the dense CRF there is only source code: without a C++ compiler its tests are skipped.
"$BIN/python" -c "import pydensecrf" 2>/dev/null \
    || "$BIN/python" -m pip install --quiet --disable-pip-version-check pydensecrf2 >/dev/null 2>&1 \
    || echo "note: pydensecrf2 cannot be built here; tests of the CRF are skipped" >&2
# One process more than there are cores: many tests wait for others that they start.
[ "$#" -gt 0 ] || set -- -q -n "$(($(getconf _NPROCESSORS_ONLN) + 1))" --dist loadfile
exec "$BIN/python" -m pytest "$@"
