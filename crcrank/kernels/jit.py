"""The JIT options of every kernel, and a compile cache that can never be stale.

Numba's own cache misses edits in a callee that lives in another file, so the cache folder is named by a digest of
all kernel sources and of the versions and switches that shape the machine code.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np


def _cache_folder() -> Path:
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    digest.update(f"{sys.version} {numba.__version__} {np.__version__} {numba.config.BOUNDSCHECK}".encode())
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "crcrank" / digest.hexdigest()[:20]


if not numba.config.CACHE_DIR:
    numba.config.CACHE_DIR = str(_cache_folder())

# Infinities stand for excluded ions, so "nnan" and "ninf" stay off; sums inside one candidate may be reordered.
_SUM_FLAGS = {"contract", "reassoc", "nsz", "arcp"}


def is_compiled() -> bool:
    """Return whether kernels of these sources and versions were compiled on this machine before."""
    return any(Path(numba.config.CACHE_DIR).glob("**/*.nbi"))


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel with strict floating point, without the GIL, cached on disk."""
    return numba.njit(nogil=True, cache=True, error_model="numpy")(function)


def sum_kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel whose float sums may be reordered and fused (vectorised), without the GIL, cached on disk."""
    return numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=_SUM_FLAGS)(function)
