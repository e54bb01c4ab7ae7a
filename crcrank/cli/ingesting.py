"""What the ingest command prints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from crcrank.cli.common import Common
from crcrank.errors import ConfigError

if TYPE_CHECKING:
    from crcrank.stages.ingest import IngestSummary


def show_ingest(common: Common, summary: IngestSummary) -> None:
    """Print what each rule did, and the summary."""
    from crcrank.cli.render import show_rules

    if not common.json and not common.quiet:
        show_rules(summary.rules, sys.stdout)
    common.show(summary)


def show_explanation(common: Common, text: str) -> None:
    """Print what becomes of one formula."""
    from crcrank.stages.explain_reading import run_explain_reading

    common.show(run_explain_reading(text, settings=common.settings()))


def check_sources(sources: list[str] | None) -> list[str]:
    """Return the sources.

    Raises
    ------
    ConfigError
        If there are none.
    """
    if not sources:
        raise ConfigError("SOURCE: names no file; wanted a list of formulas, - for stdin, or --explain FORMULA")
    return sources
