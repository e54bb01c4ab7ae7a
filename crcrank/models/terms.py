"""What a score is made of: terms that add up to it, in the words of chemistry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from crcrank.chem.formula import pretty_formula
from crcrank.space.space import Candidates, Space


class Term(NamedTuple):
    """A part of a score.

    Attributes
    ----------
    group
        Its kind: bias, ion, pair, stoichiometry, prior, ...
    what
        What it is a term of.
    value
        What it adds.
    """

    group: str
    what: str
    value: float


def total(terms: Iterable[Term]) -> float:
    """Return the sum of the terms."""
    return sum(term.value for term in terms)


def scaled(terms: Iterable[Term], factor: float) -> list[Term]:
    """Return terms that are ``factor`` times as large."""
    return [term._replace(value=term.value * factor) for term in terms]


def mean_terms(parts: Sequence[Sequence[Term]]) -> list[Term]:
    """Return the mean of several sums of the same terms."""
    return [same[0]._replace(value=sum(term.value for term in same) / len(parts)) for same in zip(*parts, strict=True)]


class Anatomy(NamedTuple):
    """One candidate, taken apart.

    Attributes
    ----------
    ions
        Index of each cation, then of each anion, int64 (n_positions,).
    labels
        Their labels.
    coefficients
        int64 (n_positions,).
    n_cations, anion_set
        How many are cations; index of the set of anions in the space.
    stoichiometry
        Index of the stoichiometry within its class.
    stoichiometry_text
        The same in words: coefficients and charges.
    """

    ions: np.ndarray
    labels: tuple[str, ...]
    coefficients: np.ndarray
    n_cations: int
    anion_set: int
    stoichiometry: int
    stoichiometry_text: str


def anatomy(space: Space, name: str, candidates: Candidates) -> Anatomy:
    """Take the first of some candidates of class ``name`` apart."""
    item = space.classes[name]
    block = candidates.blocks[0]
    row = item.block_stoichiometry[block]
    ions = np.append(candidates.cations[0], len(space.ions.cations) + item.block_anions[block])
    coefficients = np.append(item.stoichiometries.coefficients[row], item.stoichiometries.anion_coefficients[row])
    labels = tuple(space.ions.labels[i] for i in ions)
    places = (candidates.cations.shape[1], int(item.block_anion_set[block]), int(row))
    return Anatomy(ions, labels, coefficients, *places, stoichiometry_text(space, name, int(row)))


def stoichiometry_text(space: Space, name: str, row: int) -> str:
    """Return coefficients and charges of a stoichiometry of class ``name``."""
    item = space.classes[name].stoichiometries
    cations = [f"{n}({space.ions.group_charge[group]}+)" for n, group in zip(item.coefficients[row], item.groups[row], strict=True)]
    anions = [f"{n}({charge}-)" for n, charge in zip(item.anion_coefficients[row], item.anion_charges[row], strict=True)]
    return " ".join([*cations, *anions])


def formulas(space: Space, name: str, candidates: Candidates) -> list[str]:
    """Return the ``pretty_formula`` of each candidate of class ``name``."""
    elements, amounts = space.composition_arrays(name, candidates)
    rows = zip(elements.tolist(), amounts.tolist(), strict=True)
    return [pretty_formula(*zip(*((space.ions.elements[e], n) for e, n in zip(*row, strict=True) if n), strict=True)) for row in rows]
