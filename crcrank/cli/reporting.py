"""What the report command prints."""

from __future__ import annotations

from pathlib import Path

from crcrank.cli.common import Common


def show_report(common: Common, folder: Path, out: Path, study: Path | None) -> None:
    """Write the page of a run and print its summary."""
    from crcrank.stages.report import run_report

    common.show(run_report(folder, out, study=study, classes=common.classes, overwrite=common.force))
