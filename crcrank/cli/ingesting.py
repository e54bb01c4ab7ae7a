"""What the ingest command prints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from crcrank.cli.common import Common

if TYPE_CHECKING:
    from crcrank.stages.ingest import IngestSummary


def show_ingest(common: Common, summary: IngestSummary) -> None:
    """Print what each rule did, and the summary."""
    from crcrank.cli.render import show_rules

    if not common.json and not common.quiet:
        show_rules(summary.rules, sys.stdout)
    common.show(summary)
