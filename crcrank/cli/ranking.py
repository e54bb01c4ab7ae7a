"""The rank command's options as settings, and its rows where the user wants them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crcrank.cli.common import Common
from crcrank.errors import ConfigError

if TYPE_CHECKING:
    from crcrank.config import Settings
    from crcrank.stages.rank import RankSummary
    from crcrank.stages.run import RunSummary
    from crcrank.stages.validate import ValidateSummary


def with_filters(settings: Settings, options: Mapping[str, Any], system: str | None) -> Settings:
    """Return the settings with the options that were given in place of the configuration's."""
    given = {key: _symbols(value) if isinstance(value, list) else value for key, value in options.items() if value is not None}
    if system is not None:
        if {"require", "allow"} & given.keys():
            raise ConfigError("--system says which elements are required and allowed: leave out --require and --allow")
        elements = tuple(part.strip() for part in system.split("-"))
        given |= {"require": elements, "allow": elements}
    return settings.model_copy(update={"rank": settings.rank.model_copy(update=given)})


def _symbols(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(symbol.strip() for text in texts for symbol in text.split(","))


def print_ranking(common: Common, summary: RankSummary, out: str | None, format: str | None) -> None:  # noqa: A002
    """Print the rows on stdout for ``-``, a table of the best where no file was asked for, and the summary."""
    from crcrank.cli.render import show_best, show_ranks, show_searches
    from crcrank.stages.rows import stream_rows

    to_stderr = (out is None and not common.json) or out == "-"
    if out == "-":
        stream_rows(summary.table, format or "csv", sys.stdout)
    elif out is None and not common.json:
        show_best(summary.best, sys.stdout)
    if not common.json and not common.quiet:
        show_searches(summary.classes, sys.stderr if to_stderr else sys.stdout)
        if summary.ranks:
            show_ranks(summary.ranks, sys.stdout if out != "-" else sys.stderr)
    common.show(summary, to_stderr=to_stderr)


def stdout_or_path(out: str | None, format: str | None) -> Path | None:  # noqa: A002
    """Return the path to write, None for the terminal.

    Raises
    ------
    ConfigError
        If Parquet is wanted on stdout, or a format without a file.
    """
    if out == "-" and format == "parquet":
        raise ConfigError("-o - writes csv or jsonl; name a file for parquet")
    if out is None and format is not None:
        raise ConfigError("--format needs -o: a file, or - for stdout")
    return None if out in {None, "-"} else Path(str(out))


def show_results(common: Common, summary: RunSummary | ValidateSummary) -> None:
    """Print the best formulas (of a run), the hit table and the summary."""
    from crcrank.cli.render import show_best, show_depths, show_hits, show_worst

    if not common.json and not common.quiet:
        show_best(getattr(summary, "best", {}), sys.stdout)
        show_hits(summary.hits, sys.stdout)
        if summary.depths:
            show_depths(summary.depths, sys.stdout)
        if worst := getattr(summary, "worst", []):
            show_worst(worst, sys.stdout)
    common.show(summary)
