"""The compile cache: which folders stay, and that commands without kernels load no Numba."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from crcrank.kernels.jit import kernel, remove_unused_folders, sum_kernel

_ROOT = Path(__file__).parent.parent
_MONTHS = 100 * 24 * 3600


def _made(folder, age):
    (folder / "kernels").mkdir(parents=True)
    (folder / "kernels" / "search.nbi").write_text("machine code")
    os.utime(folder, (time.time() - age,) * 2)
    return folder


def test_only_folders_of_kernels_that_nobody_used_for_long_are_removed(tmp_path):
    in_use = _made(tmp_path / ("a" * 20), _MONTHS)
    recent = _made(tmp_path / ("b" * 20), 3600)
    foreign = _made(tmp_path / "pictures", _MONTHS)
    old = _made(tmp_path / ("c" * 20), _MONTHS)
    left_by_a_killed_process = _made(tmp_path / ("d" * 20 + ".123"), _MONTHS)
    remove_unused_folders(tmp_path, in_use)
    assert sorted(tmp_path.iterdir()) == sorted([in_use, recent, foreign])
    assert not old.exists()
    assert not left_by_a_killed_process.exists()


def test_a_folder_that_another_process_removes_at_the_same_time_is_no_error(tmp_path, monkeypatch):
    _made(tmp_path / ("c" * 20), _MONTHS)

    def gone(*_):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "rename", gone)
    remove_unused_folders(tmp_path, tmp_path / ("a" * 20))


_KERNELS = """
from crcrank.kernels.jit import kernel, overload, sum_kernel

@sum_kernel
def half(x):
    return x / 2

def halved(x):
    return half(x)

@overload(halved)
def choose(x):
    chosen = half
    return lambda x: chosen(x)

@kernel
def quarter(x):
    return half(halved(x))

@kernel
def third(values):
    return [half(x) / 1.5 for x in values]
"""
_SCRIPT = """
import sys, threading
from quarters import quarter, third
print("numba" in sys.modules)
out = [0.0] * 4
threads = [threading.Thread(target=lambda i=i: out.__setitem__(i, quarter(4.0 * i))) for i in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(out)
print("numba.np.linalg" in sys.modules)
if "third" in sys.argv:
    print(third((4.5, 6.0)), "numba.np.linalg" in sys.modules)
"""


def _printed(folder, *arguments, **variables):
    (folder / "quarters.py").write_text(_KERNELS)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    environment |= {"PYTHONPATH": f"{_ROOT}:{folder}"} | variables
    run = subprocess.run([sys.executable, "-c", _SCRIPT, *arguments], check=False, env=environment, text=True, capture_output=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines(), run.stderr


def test_the_first_call_of_a_kernel_loads_numba_in_any_thread(tmp_path):
    assert _printed(tmp_path, NUMBA_DISABLE_JIT="1")[0][:2] == ["False", "[0.0, 1.0, 2.0, 3.0]"]


@pytest.mark.parametrize("is_file", [False, True])
def test_compiled_kernels_are_kept_where_they_can_be(tmp_path, is_file):
    cache = tmp_path / "cache"
    if is_file:
        cache.write_text("no folder can be made in it")
    printed, errors = _printed(tmp_path, XDG_CACHE_HOME=str(cache))
    assert printed == ["False", "[0.0, 1.0, 2.0, 3.0]", "True"]
    assert ("cannot be written (Not a directory): kernels are compiled anew in every run" in errors) == is_file
    assert is_file or list(cache.glob("crcrank/*/**/*.nbi"))


def test_a_kernel_from_the_cache_loads_no_compiler_and_what_must_be_compiled_loads_it(tmp_path):
    cache = str(tmp_path / "cache")
    assert _printed(tmp_path, XDG_CACHE_HOME=cache)[0] == ["False", "[0.0, 1.0, 2.0, 3.0]", "True"]
    again = ["False", "[0.0, 1.0, 2.0, 3.0]", "False"]
    assert _printed(tmp_path, XDG_CACHE_HOME=cache)[0] == again
    assert _printed(tmp_path, "third", XDG_CACHE_HOME=cache)[0] == [*again, "[1.5, 2.0] True"]


@kernel
def _total(values):
    total = np.float32(0)
    for i in range(values.size):
        total += values[i]
    return total


@sum_kernel
def _doubled(values):
    return 2 * _total(values)


def test_a_kernel_stays_strict_when_a_kernel_that_is_not_has_it_compiled():
    values = np.random.default_rng(1).standard_normal(1000).astype(np.float32)
    expected = np.cumsum(values)[-1]
    assert expected != np.float32(values.astype(np.float64).sum())
    assert _doubled(values) == 2 * expected
    assert _total(values) == expected
