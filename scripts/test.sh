#!/usr/bin/env bash
# Run the tests: bash scripts/test.sh [options of pytest]
set -euo pipefail
EXTRAS="[dev]"
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"
exec "$BIN/python" -m pytest "$@"
