"""The JIT options of every kernel, when Numba is loaded, and a compile cache that can never be stale.

Numba takes longer to load than most commands need in all, so that it waits for the first call of a kernel.

Numba's own cache misses edits in a callee that lives in another file, so the cache folder is named by a digest of
all kernel sources and of the versions and switches that shape the machine code. Folders that no command has used for
a month are removed.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

_log = logging.getLogger(__name__)
_KEPT_SECONDS = 30 * 24 * 3600
_FOLDER_NAME = re.compile(r"[0-9a-f]{20}(\.\d+)?")  # with a number: being removed

# The search hands records of dozens of arrays around. Reference counts on all of them would take longer than the work on a tile;
# without them a kernel can make no arrays and return none, and arrays come into it from plain Python only.
# What a kernel does not say of itself, it takes from the kernel that it happens to be compiled for first; so each says all of it.
COUNTED: dict[str, Any] = {"_nrt": True, "forceinline": False, "fastmath": False}
_LEAN = COUNTED | {"_nrt": False}
INLINED = _LEAN | {"forceinline": True}

# Infinities stand for excluded ions, so "nnan" and "ninf" stay off.
_REORDERED: dict[str, Any] = {"fastmath": {"contract", "reassoc", "nsz", "arcp"}}

_LAST_NUMBA = (0, 68)  # of which is known what loading a kernel needs

_lock = threading.RLock()
_overloads: list[tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]] = []


class _Kernel:
    """A function that Numba is told of when it is first called, by Python or by a kernel that is compiled."""

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        self._function, self._options = function, options
        self._dispatcher: Any = None
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        return (self._dispatcher or self._jit())(*arguments)

    @property
    def _numba_type_(self) -> Any:
        """What Numba takes a kernel for that another one calls."""
        return (self._dispatcher or self._jit())._numba_type_

    def _jit(self) -> Any:
        with _lock:
            if self._dispatcher is None:
                numba, is_cached = _numba()
                self._dispatcher = numba.njit(nogil=True, cache=is_cached, error_model="numpy", **self._options)(self._function)
                if is_cached and _loads_alone(numba):
                    self._dispatcher._cache = _cache_without_compiler()(self._function)  # noqa: SLF001  (no public way)
        return self._dispatcher


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel without the GIL, cached on disk.

    Floating point is strict: a sum has the order in which it is written down, and the same bits in every compilation. All that a model is
    fitted with, and all scores that are listed, are made of such sums.
    """
    return _Kernel(function, **COUNTED)


def sum_kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel as :func:`kernel` does, whose float sums may be reordered and fused (vectorised).

    How its sums round depends on where arrays happen to lie in memory, on which kernels are compiled before it, and on whether it comes
    from the cache: linked into two kernels it is compiled twice, and both call the one that is loaded first. So it is for sums only that
    are compared within a margin (the tables of the search).
    """
    return _Kernel(function, **COUNTED | _REORDERED)


def lean(function: Callable[..., Any]) -> Any:
    """Compile a kernel as :func:`kernel` does, but without reference counts."""
    return _Kernel(function, **_LEAN)


def lean_sum(function: Callable[..., Any]) -> Any:
    """Compile a kernel as :func:`sum_kernel` does, but without reference counts."""
    return _Kernel(function, **_LEAN | _REORDERED)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a kernel as :func:`lean` does, into its callers."""
    return _Kernel(function, **INLINED)


def inlined_sum(function: Callable[..., Any]) -> Any:
    """Compile a kernel as :func:`lean_sum` does, into its callers."""
    return _Kernel(function, **INLINED | _REORDERED)


def overload(function: Callable[..., Any], **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let kernels call a function by what the decorated one returns for the types of the arguments; see ``numba.extending.overload``.

    ``options`` are those that it is compiled with.
    """

    def register(choose: Callable[..., Any]) -> Callable[..., Any]:
        with _lock:
            _overloads.append((function, choose, options))
            if _numba.cache_info().currsize:
                _register_overloads()
        return choose

    return register


@functools.cache
def _numba() -> tuple[Any, bool]:
    """Load Numba and return it, with whether there is a cache that can be written."""
    import numba

    _register_overloads()
    return numba, bool(numba.config.CACHE_DIR) or _use_cache(numba)


def _register_overloads() -> None:
    from numba import extending

    while _overloads:
        function, choose, options = _overloads.pop(0)
        extending.overload(function, jit_options=options)(choose)


def _use_cache(numba: Any) -> bool:
    """Point Numba to the cache folder of these sources; return whether it can be written."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crcrank"
    folder = root / _digest(numba)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
    except OSError as error:
        _log.warning("%s: cannot be written (%s): kernels are compiled anew in every run", folder, error.strerror)
        return False
    if not any(folder.glob("**/*.nbi")):
        _log.info("compiling the kernels for this machine, once: under a minute in all")
    numba.config.CACHE_DIR = str(folder)
    remove_unused_folders(root, folder)
    return True


def _loads_alone(numba: Any) -> bool:
    """Return whether this version loads machine code as those do that this is known of, and compiles at all."""
    return tuple(map(int, numba.__version__.split(".")[:2])) <= _LAST_NUMBA and not numba.config.DISABLE_JIT


@functools.cache
def _cache_without_compiler() -> Any:
    """Return Numba's cache of a function, but one that loads the function alone.

    Numba's own loads the implementations of all that could be compiled first, SciPy among them, which takes longer than all the rest of
    it. Machine code needs the memory manager, which is compiled anew each time, only where it calls it. The source of a kernel in LLVM's
    language, which takes longest of the rest, is read when a kernel is compiled that calls it; in its place are the names that are looked
    up. And what has to be compiled after all loads the others itself.
    """
    from llvmlite import binding  # type: ignore[import-untyped]
    from numba.core.caching import FunctionCache
    from numba.core.runtime import rtsys

    def named(description: Any) -> bytes:
        functions = (description.llvm_func_name, description.llvm_cpython_wrapper_name, description.llvm_cfunc_wrapper_name)
        lines = [f'define void @"{name}"() {{ ret void }}' for name in functions]
        module: bytes = binding.parse_assembly("\n".join([*lines, f'@"{description.env_name}" = global ptr null'])).as_bitcode()
        return module

    class Cache(FunctionCache):  # type: ignore[misc]
        def load_overload(self, signature: Any, target_context: Any) -> Any:
            with self._guard_against_spurious_io_errors():
                data = self._cache_file.load(self._index_key(signature, target_context.codegen()))
                if data is None:
                    return None
                (name, kind, (machine_code, source)), description, *rest = data
                if b"NRT_" in machine_code:
                    rtsys.initialize(target_context)
                loaded = self._impl.rebuild(target_context, ((name, kind, (machine_code, named(description))), description, *rest))
                loaded.library._get_module_for_linking = functools.cache(lambda: binding.parse_bitcode(source))  # noqa: SLF001  (no public way)
                return loaded

    return Cache


def _digest(numba: Any) -> str:
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    digest.update(f"{sys.version} {numba.__version__} {np.__version__} {numba.config.BOUNDSCHECK}".encode())
    return digest.hexdigest()[:20]


def remove_unused_folders(root: Path, in_use: Path) -> None:
    """Remove the cache folders in ``root`` that no process has begun to use for a month; other files stay."""
    oldest = time.time() - _KEPT_SECONDS
    for folder in root.iterdir():
        if folder != in_use and _FOLDER_NAME.fullmatch(folder.name):
            with suppress(OSError):  # another process removes it too
                if folder.stat().st_mtime < oldest:
                    going = root / f"{folder.name[:20]}.{os.getpid()}"
                    folder.rename(going)  # at once: nobody finds half a cache
                    shutil.rmtree(going)
