#!/usr/bin/env bash
# Learn from synthetic clips and beat random initialisation at propagating masks: bash scripts/demo.sh [options of densevos demo]
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
exec "$BIN/densevos" demo "$@"
