"""The entry point."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from types import FrameType
from typing import Any

from crcrank.cli.outcome import exit_status
from crcrank.errors import ConfigError

_TERMINATED = 143
_COLLECTED_AFTER = (50_000, 20, 100)
_UNLESS_SET = {
    # What runs on several threads divides its work itself; threads of BLAS besides would only wait for work, on the same cores.
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    # To look for extensions of the settings' library, it reads what every installed package says of itself; here are none.
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    Parameters
    ----------
    arguments
        What follows ``crcrank``; those of the process if left out.
    """
    for name, value in _UNLESS_SET.items():
        os.environ.setdefault(name, value)
    # Rows are made by the ten thousand and hold no cycles; to look for some after every 700 takes longer than to make them.
    gc.set_threshold(*_COLLECTED_AFTER)
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGTERM, _terminate)
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")  # a terminal that is not in UTF-8
    return exit_status(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    import typer

    from crcrank.cli.app import app

    usage_error: type[Exception] = typer.BadParameter.mro()[1]  # Typer exports no name for it
    try:
        return app(arguments, prog_name="crcrank", standalone_mode=False) or 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except usage_error as error:
        return _explain(error)


def _explain(error: Any) -> int:
    """Say in one line what is wrong with the command line; all of the help where it is empty."""
    message: str = error.format_message()
    if "\n" in message:
        sys.stderr.write(f"{message}\n")
        return ConfigError.exit_status
    command = error.ctx.command_path if error.ctx else "crcrank"
    raise ConfigError(f"{message[0].lower()}{message[1:].rstrip('.')}; see {command} --help") from error


def _terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  (the signature of a signal handler)
    sys.stderr.write("crcrank: error: terminated; nothing half-written\n")
    raise SystemExit(_TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
