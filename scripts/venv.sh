# Sourced by the other scripts: `use_venv [EXTRA]` makes or reuses .venv and puts it first on PATH.
# shellcheck shell=bash

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local name
    for name in python3.13 python3.12 python3.11 python3; do
        if command -v "$name" >/dev/null && is_new_enough "$name"; then
            echo "$name"
            return
        fi
    done
    echo "error: no Python 3.11 or newer found (tried python3.13, python3.12, python3.11, python3); install one and try again" >&2
    return 1
}

make_venv() {
    local python
    python=$(find_python) || return 1
    echo "making .venv with $("$python" --version)" >&2
    "$python" -m venv .venv
}

# install_project [EXTRA]: into .venv, unless it holds this pyproject.toml's packages already.
install_project() {
    local extra=${1:-}
    if cmp -s pyproject.toml ".venv/installed-$extra" || cmp -s pyproject.toml .venv/installed-test; then
        return
    fi
    echo "installing crcrank${extra:+ and its $extra tools} into .venv; the first time this takes a minute or more" >&2
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --editable ".${extra:+[$extra]}" || return 1
    cp pyproject.toml ".venv/installed-$extra"
}

use_venv() {
    if [ ! -e .venv ]; then
        make_venv || return 1
    fi
    if ! is_new_enough .venv/bin/python; then
        echo "error: .venv does not hold a working Python 3.11 or newer; remove it and try again" >&2
        return 1
    fi
    install_project "$@" || return 1
    PATH="$PWD/.venv/bin:$PATH"
    export PATH
}
