"""What every reader takes and yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class RawRecord(NamedTuple):
    """One formula as the user's file has it.

    Parameters
    ----------
    line
        Line (of a text), row (of Parquet) or document (of a JSON array), counted from 1; 0 is a whole file.
    text
        The formula, unjudged; empty if the row has none.
    source_id
        The entry's name in its database.
    year
        The year of publication.
    is_theoretical
        Whether the entry was only calculated, where the format tells.
    is_disordered
        Whether atoms share sites, where the format tells other than by the formula.
    problem
        Why the entry cannot be used, where the reader knows: a short reason under which entries can be counted.
    source
        The file within a folder or archive; None is the source itself.
    other_ids
        More names of the entry, where the format has several.
    """

    line: int
    text: str
    source_id: str | None = None
    year: int | None = None
    is_theoretical: bool | None = None
    is_disordered: bool | None = None
    problem: str | None = None
    source: str | None = None
    other_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What the user says about a file.

    Parameters
    ----------
    formula_column, id_column, year_column
        Columns (or keys) that the user names; those left out are found by their usual names.
    anion
        Element and charge that complete lists of cations, such as ``O2-``.
    filter
        What to ask a live source for, in its own language.
    """

    formula_column: str | None = None
    id_column: str | None = None
    year_column: str | None = None
    anion: str | None = None
    filter: str | None = None

    @property
    def has_columns(self) -> bool:
        """Whether the user names a column."""
        return any((self.formula_column, self.id_column, self.year_column))


@dataclass(frozen=True, slots=True)
class About:
    """A format in words: its shape, where formulas, ids and years come from, and what is rejected beyond unreadable formulas."""

    shape: str
    formula: str
    source_id: str
    year: str
    rejects: str
