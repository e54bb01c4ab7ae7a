"""The entry point: every outcome becomes an exit status and, where it is an error, one line on stderr."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from crcrank.errors import CrcrankError

_INTERRUPTED = 130
_TERMINATED = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    Parameters
    ----------
    arguments
        What follows ``crcrank``; those of the process if left out.
    """
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGTERM, _terminate)
    try:
        return _run(arguments)
    except CrcrankError as error:
        return _fail(str(error), error.exit_status)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing half-written", _INTERRUPTED)
    except BrokenPipeError:
        _silence_stdout()
        return 0
    except MemoryError:
        return _fail("out of memory; fewer --threads, a smaller -k or fewer classes need less", 1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return _fail(f"{error.filename or 'output'}: no space left on the device; nothing half-written", 2)


def _run(arguments: Sequence[str] | None) -> int:
    from crcrank.cli.app import app

    try:
        app(arguments, prog_name="crcrank")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


def _fail(message: str, status: int) -> int:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"crcrank: error: {' '.join(message.split())}\n")
    return status


def _silence_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter's last flush does not fail on the closed pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  (the signature of a signal handler)
    raise SystemExit(_TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
