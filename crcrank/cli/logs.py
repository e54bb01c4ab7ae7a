"""Log lines on stderr."""

from __future__ import annotations

import logging
import sys


class _StderrHandler(logging.Handler):
    """Writes to what is stderr at the time, so that progress bars make room for it."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


class _Formatter(logging.Formatter):
    """Writes whole numbers (``%d``) with thousands separators."""

    def format(self, record: logging.LogRecord) -> str:
        if not isinstance(record.args, tuple) or not record.args:
            return super().format(record)
        shown = [f"{value:,}" if isinstance(value, int) else value for value in record.args]
        return str(record.msg).replace("%d", "%s") % tuple(shown)


def start_logging(*, quiet: bool, verbose: bool) -> None:
    """Send the package's log lines to stderr: errors only, or more about what is done."""
    logger = logging.getLogger("crcrank")
    handler = _StderrHandler()
    handler.setFormatter(_Formatter())
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)
