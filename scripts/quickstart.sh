#!/usr/bin/env bash
# From a fresh checkout to a validated ranking: bash scripts/quickstart.sh [--out-dir DIR]
set -euo pipefail

usage="usage: bash scripts/quickstart.sh [--out-dir DIR]"
out_dir=""
case "${1:-} $#" in
    " 0") ;;
    "--out-dir 2") out_dir=$2 ;;
    "--out-dir="*" 1") out_dir=${1#--out-dir=} ;;
    "-h 1" | "--help 1")
        echo "$usage"
        exit 0
        ;;
    *)
        echo "$usage" >&2
        exit 2
        ;;
esac
# A folder that the user names is meant relative to where the user stands, the default one to the checkout.
case "$out_dir" in
    "" | /*) ;;
    *) out_dir=$PWD/$out_dir ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
out_dir=${out_dir:-$PWD/quickstart-run}
source scripts/venv.sh
use_venv

crcrank run configs/quickstart.toml --out-dir "$out_dir"
echo "results are in $out_dir:"
ls -1 "$out_dir"
