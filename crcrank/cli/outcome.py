"""Every outcome as an exit status and, where it is an error of the user or the machine, one line on stderr."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable

from crcrank.errors import ConfigError, CrcrankError

_INTERRUPTED = 130


def exit_status(action: Callable[[], int | None]) -> int:
    """Run ``action`` and return the exit status; a bug keeps its traceback."""
    try:
        status = action() or 0
        sys.stdout.flush()
    except CrcrankError as error:
        return _fail(str(error), error.exit_status)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing half-written", _INTERRUPTED)
    except BrokenPipeError:  # the reader has what it wanted
        _drop_stdout()
        return 0
    except MemoryError:
        return _fail("out of memory; fewer --threads, a smaller -k or fewer classes need less", ConfigError.exit_status)
    except OSError as error:
        _drop_stdout()
        what = "no space left on the device; nothing half-written" if error.errno == errno.ENOSPC else error.strerror or str(error)
        return _fail(f"{error.filename or 'output'}: {what}", ConfigError.exit_status)
    return status


def _fail(message: str, status: int) -> int:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"crcrank: error: {' '.join(message.split())}\n")
    return status


def _drop_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter's last flush does not fail too."""
    with contextlib.suppress(OSError):  # stdout is no file where it is captured
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())
        os.close(sink)
