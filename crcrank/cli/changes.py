"""What the diff command prints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from crcrank.cli.common import Common

if TYPE_CHECKING:
    from crcrank.stages.diff import DiffSummary


def print_diff(common: Common, summary: DiffSummary, out: str | None, format: str | None) -> None:  # noqa: A002
    """Print the rows on stdout for ``-``, tables of the first where no file was asked for, and the summary."""
    from crcrank.cli.render import show_changes, show_first_changes
    from crcrank.stages.rows import stream_rows

    stream = sys.stderr if out == "-" else sys.stdout
    if out == "-":
        stream_rows(summary.table, format or "csv", sys.stdout)
    if not common.json and not common.quiet:
        show_changes(summary.classes, stream)
        if out is None:
            show_first_changes(summary.best, stream)
    common.show(summary, to_stderr=out == "-")
