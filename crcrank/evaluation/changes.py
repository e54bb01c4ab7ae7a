"""What changed from one ranking to the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

KINDS = ("became_known", "stayed", "moved", "entered", "left")


@dataclass(frozen=True)
class Change:
    """A formula among the first ``k`` of one of two rankings.

    Parameters
    ----------
    formula, kind
        The formula, and one of :data:`KINDS`. What was recommended and is known now became known, wherever the new ranking has it; what
        is not among the first ``k`` of the new one left it, of the old one entered.
    before, after
        Its ranks, from 1, also beyond ``k``; None where a ranking does not list it.
    """

    formula: str
    kind: str
    before: int | None
    after: int | None


@dataclass(frozen=True)
class ChangeCounts:
    """Numbers of formulas among the first ``k`` of either of two rankings, by what became of them."""

    k: int
    became_known: int
    stayed: int
    moved: int
    entered: int
    left: int

    @classmethod
    def of(cls, k: int, changes: Sequence[Change]) -> ChangeCounts:
        """Return how often each kind occurs."""
        counts = Counter(change.kind for change in changes)
        return cls(k, **{kind: counts[kind] for kind in KINDS})


def ranking_changes(before: Sequence[str], after: Sequence[str], k: int, known: Collection[str] = ()) -> list[Change]:
    """Compare the first ``k`` formulas of two rankings of a class, best first, each formula once.

    Returns
    -------
    list
        Those of the new ranking in its order, then the others in the order of the old one.
    """
    ranks_before, ranks_after = ({formula: rank for rank, formula in enumerate(ranking, 1)} for ranking in (before, after))
    known = frozenset(known)
    return [
        Change(formula, _kind(formula, ranks_before, ranks_after, k, known), ranks_before.get(formula), ranks_after.get(formula))
        for formula in dict.fromkeys((*after[:k], *before[:k]))
    ]


def _kind(formula: str, before: Mapping[str, int], after: Mapping[str, int], k: int, known: frozenset[str]) -> str:
    was_listed, is_listed = (k >= ranks.get(formula, k + 1) for ranks in (before, after))
    if not was_listed:
        return "entered"
    if formula in known:
        return "became_known"
    if not is_listed:
        return "left"
    return "stayed" if before[formula] == after[formula] else "moved"
