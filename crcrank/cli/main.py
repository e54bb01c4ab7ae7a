"""The entry point."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from crcrank.cli.outcome import exit_status

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
    return exit_status(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    from crcrank.cli.app import app

    try:
        app(arguments, prog_name="crcrank")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


def _terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  (the signature of a signal handler)
    sys.stderr.write("crcrank: error: terminated; nothing half-written\n")
    raise SystemExit(_TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
