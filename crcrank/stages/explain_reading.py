"""Say how one formula is read, which rules apply, what charges it can have, and where it lies in the candidate space."""

from __future__ import annotations

from dataclasses import dataclass

from crcrank.chem.bonding import kind_of
from crcrank.chem.charges import Assignment, ChargeBalancer
from crcrank.chem.formula import Composition, FormulaError, read_formula
from crcrank.chem.rules import judge
from crcrank.config import Settings
from crcrank.space.placement import Placer
from crcrank.space.space import Space
from crcrank.stages.common import load_space

_N_SHOWN = 10


@dataclass(frozen=True)
class ExplainedAssignment:
    """A neutral assignment of ions.

    Parameters
    ----------
    ions
        As a person writes them.
    weight
        Share of all assignments of the composition, by the frequency of the oxidation states in the ICSD.
    stoichiometry
        Coefficients and charges, without the elements.
    composition_class, candidate_id
        Its place in the space, None if it has none.
    why_not
        Why it has no place.
    """

    ions: str
    weight: float
    stoichiometry: str
    composition_class: str | None
    candidate_id: int | None
    why_not: str | None

    def __str__(self) -> str:
        where = f"no place: {self.why_not}" if self.why_not else f"{self.composition_class}, candidate_id {self.candidate_id:,}"
        return f"{self.weight:.3f}  {self.ions}  [{self.stoichiometry}]  {where}"


@dataclass(frozen=True)
class ReadingExplained:
    """What becomes of a formula.

    Parameters
    ----------
    text
        What was given.
    formula, pretty_formula, chemical_system
        What it was read as, None if it cannot be read.
    rules
        What the rules found.
    ingest
        ``kept``, or why ``ingest`` leaves it out.
    assignments
        The likeliest first, ten at most.
    space
        ``inside``, or why the composition has no place in the space.
    """

    text: str
    formula: str | None
    pretty_formula: str | None
    chemical_system: str | None
    rules: tuple[str, ...]
    ingest: str
    assignments: tuple[ExplainedAssignment, ...]
    space: str | None


def run_explain_reading(text: str, *, settings: Settings) -> ReadingExplained:
    """Explain a formula by the rules and in the space of the settings; a formula that the rules leave out is placed too."""
    verdict = judge(text, settings.ingest.rules)
    ingest = "kept" if verdict.reason is None else f"left out: {verdict.reason}"
    composition = verdict.composition or _readable(text, settings.ingest.rules.round_within)
    if composition is None:
        return ReadingExplained(text, None, None, None, verdict.flags, ingest, (), None)
    space, table = load_space(settings)
    elements, amounts = composition.elements, composition.amounts
    places, outside = _places(space, Placer(space, table), composition)
    found = ChargeBalancer(table).assignments(elements, amounts)
    total = sum(item.frequency for item in found)
    rows = tuple(_explained(item, item.frequency / total, places, outside) for item in found[:_N_SHOWN])
    names = (composition.formula, composition.pretty_formula, composition.chemical_system)
    return ReadingExplained(text, *names, verdict.flags, ingest, rows, f"outside: {outside}" if outside else "inside")


def _readable(text: str, round_within: float) -> Composition | None:
    try:
        return read_formula(text, round_within=round_within).composition
    except FormulaError:
        return None


_Places = dict[frozenset[tuple[str, int]], tuple[str, int]]


def _places(space: Space, placer: Placer, composition: Composition) -> tuple[_Places, str | None]:
    """Return class and candidate_id by the labels and coefficients of the ions, and why there is no place at all."""
    placements, outside = placer.place([(composition.elements, composition.amounts)])
    places: _Places = {}
    for name, item in placements.items():
        labels, coefficients = space.ions_of(name, space.decode(name, item.candidate_id))
        for row, amounts, candidate_id in zip(labels, coefficients.tolist(), item.candidate_id.tolist(), strict=True):
            places[frozenset(zip(row, amounts, strict=True))] = (name, candidate_id)
    return places, outside.get(0)


def _explained(assignment: Assignment, weight: float, places: _Places, outside: str | None) -> ExplainedAssignment:
    name, candidate_id = places.get(frozenset((ion.label, n) for ion, n in assignment.ions), (None, None))
    why_not = None if name else kind_of(assignment) or outside or "no class of this space holds these ions"
    stoichiometry = " ".join(f"{n}({ion.label.removeprefix(ion.element)})" for ion, n in assignment.ions)
    return ExplainedAssignment(assignment.text, weight, stoichiometry, name, candidate_id, why_not)
