"""What every reader takes and yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class RawRecord(NamedTuple):
    """One formula as the user's file has it.

    Parameters
    ----------
    line
        Line (of a text) or row (of Parquet), counted from 1.
    text
        The formula, unjudged; empty if the row has none.
    source_id
        The entry's name in its database.
    year
        The year of publication.
    """

    line: int
    text: str
    source_id: str | None = None
    year: int | None = None


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Columns that the user names; those left out are found by their usual names."""

    formula_column: str | None = None
    id_column: str | None = None
    year_column: str | None = None
