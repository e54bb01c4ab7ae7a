#!/usr/bin/env bash
# Run every check: lint, format, types, import contracts, tests. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/venv.sh
use_venv

ruff check
ruff format --check
mypy
lint-imports --no-logo
exec pytest "$@"
