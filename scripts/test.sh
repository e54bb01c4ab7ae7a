#!/usr/bin/env bash
# Run every check: lint, format, types, import contracts, kernels as plain Python and with bounds checks, all tests.
# With arguments, which go to pytest, the kernels' extra rounds are left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/venv.sh
use_venv test

ruff check
ruff format --check
mypy
lint-imports --no-logo
if [ $# -eq 0 ]; then
    kernel_tests=(tests/test_space.py tests/test_search.py tests/test_likelihood.py tests/test_fm.py)
    NUMBA_DISABLE_JIT=1 pytest -q "${kernel_tests[@]}"
    NUMBA_BOUNDSCHECK=1 pytest -q "${kernel_tests[@]}"
fi
exec pytest "$@"
