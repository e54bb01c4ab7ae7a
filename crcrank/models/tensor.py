"""Known compositions as the ones of a tensor with a mode per cation, one for the anion (or the set of anions) and one for the ratio.

All other cells are zeros, as in Seko, Hayashi, Kashima and Tanaka, Phys. Rev. Materials 2, 013805 (2018),
doi:10.1103/PhysRevMaterials.2.013805. A class has a tensor of its own, and its models are low-rank approximations of it, so
that a score is the value which the approximation has in the candidate's cell: near 1 where known compositions of alike ions
and ratios abound, near 0 elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from crcrank.errors import ModelFitError
from crcrank.kernels.forms import form_of
from crcrank.kernels.multilinear import DiagonalProgram, MultilinearProgram
from crcrank.models.contract import Arrays, fact, parameter
from crcrank.models.terms import Term, anatomy, stoichiometry_text
from crcrank.space.lookup import places_in
from crcrank.space.space import Candidates, ClassSpace, Space

TensorProgram = MultilinearProgram | DiagonalProgram


class Ones(NamedTuple):
    """Cells of a tensor that are one.

    Attributes
    ----------
    cations
        Cation of each mode, int64 (n, n_cations).
    anion, ratio
        int64 (n,).
    """

    cations: np.ndarray
    anion: np.ndarray
    ratio: np.ndarray


def unordered_ones(space: Space, name: str, known: Candidates) -> Ones:
    """Return known candidates with their cations in ascending order and the stoichiometry as the ratio, each cell once.

    Candidates share a cell that differ in which of two cations of one charge has which coefficient.
    """
    item = space.classes[name]
    columns = [np.sort(known.cations, axis=1), item.block_anion_set[known.blocks], item.block_stoichiometry[known.blocks]]
    cells = np.unique(np.column_stack(columns), axis=0)
    return Ones(cells[:, :-2], cells[:, -2], cells[:, -1])


def ordered_ones(space: Space, name: str, known: Candidates) -> tuple[Ones, np.ndarray]:
    """Return known candidates with their cations in every order.

    The ratio holds the coefficients in the order of the cations, so that a mode's place has a meaning; charges are left out.
    Reordering all cations and coefficients alike leaves the tensor as it is.

    Returns
    -------
    tuple
        The cells, and the row of each stoichiometry in the ratio mode, -1 for those that no known candidate has, int64.
    """
    item = space.classes[name]
    orders = [list(order) for order in permutations(range(known.cations.shape[1]))]
    stoichiometry, anion = item.block_stoichiometry[known.blocks], item.block_anion_set[known.blocks]
    keys = np.concatenate([_ratio_keys(item, order)[stoichiometry] for order in orders])
    seen, ratio = np.unique(keys, return_inverse=True)
    ones = Ones(np.concatenate([known.cations[:, order] for order in orders]), np.tile(anion, len(orders)), ratio)
    return ones, places_in(seen, _ratio_keys(item, orders[0]))


def _ratio_keys(item: ClassSpace, order: list[int]) -> np.ndarray:
    """Return a number for the coefficients of each stoichiometry, those of the cations in this order, int64 (n_stoichiometries,)."""
    columns = np.column_stack([item.stoichiometries.anion_coefficients, item.stoichiometries.coefficients[:, order]])
    keys = np.zeros(len(columns), np.int64)
    for column in columns.T:
        keys = keys * (item.composition_class.max_coefficient + 1) + column
    return keys


def check_rank(name: str, key: str, rank: int, limit: int, what: str) -> None:
    """Raise ModelFitError if a setting of class ``name`` is more than its known compositions allow."""
    if rank > limit:
        raise ModelFitError(
            f"train.{key}: {rank} factors for class {name!r}, whose known compositions have {limit} {what}: wanted at most that"
        )


@dataclass(frozen=True)
class FittedTensor:
    """An approximated tensor of each class, as its scoring program."""

    space: Space
    programs: Mapping[str, TensorProgram]

    @property
    def is_probabilistic(self) -> bool:
        """Whether a score says how probable it is to be known."""
        return False

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes it was trained on and can score."""
        return tuple(self.programs)

    def program(self, name: str) -> TensorProgram:
        """Return the float64 scoring program of class ``name``."""
        return self.programs[name]

    def scores(self, name: str, candidates: Candidates) -> np.ndarray:
        """Return the scores of candidates of class ``name``, float64 (n,)."""
        program = self.program(name)
        order = np.argsort(candidates.blocks, kind="stable")
        sorted_scores = np.empty(len(candidates))
        form_of(program).fill_scores(
            program, self.space.block_arrays(name), candidates.blocks[order], candidates.cations[order], sorted_scores
        )
        scores = np.empty(len(candidates))
        scores[order] = sorted_scores
        return scores

    def terms(self, name: str, candidates: Candidates) -> list[Term]:
        """Return the products of a single candidate's vectors: one for each factor of a CP, for each factor of the ratios of a Tucker."""
        parts, program = anatomy(self.space, name, candidates), self.program(name)
        cations = parts.ions[: parts.n_cations].tolist()
        own = program.ratio[parts.stoichiometry]
        if isinstance(program, DiagonalProgram):
            values = program.cation[cations].prod(axis=0) * program.anion[parts.anion_set] * own
        else:
            core = program.core[parts.anion_set]
            for cation in cations:
                core = np.tensordot(program.cation[cation], core.reshape(program.cation.shape[1], -1), 1)
            values = core * own
        typical = [stoichiometry_text(self.space, name, row) for row in np.abs(program.ratio).argmax(axis=0)]
        return [Term("factor", f"{i}, strongest in {text}", float(v)) for i, (text, v) in enumerate(zip(typical, values, strict=True), 1)]

    def arrays(self) -> Arrays:
        """Return all its numbers by name."""
        return {f"{part}.{name}": array for name, program in self.programs.items() for part, array in program._asdict().items()}

    def facts(self) -> dict[str, Any]:
        """Return what else is needed to restore it, JSON-serialisable: the number of factors in each array of each class."""
        is_diagonal = all(isinstance(program, DiagonalProgram) for program in self.programs.values())
        return {
            "is_diagonal": is_diagonal,
            "n_factors": {name: [array.shape[-1] for array in program] for name, program in self.programs.items()},
        }

    @classmethod
    def restore(cls, arrays: Arrays, facts: Mapping[str, Any], space: Space) -> FittedTensor:
        """Return the model that :meth:`arrays` and :meth:`facts` came from."""
        program_type = DiagonalProgram if fact(facts, "is_diagonal") else MultilinearProgram
        programs: dict[str, TensorProgram] = {}
        for name, n_factors in fact(facts, "n_factors").items():
            parts = zip(program_type._fields, _shapes(space, name, program_type, n_factors), strict=True)
            programs[name] = program_type(*(parameter(arrays, f"{part}.{name}", shape) for part, shape in parts))
        return cls(space, programs)


def _shapes(space: Space, name: str, program_type: type[TensorProgram], n_factors: list[int]) -> list[tuple[int, ...]]:
    item = space.classes[name]
    sizes: list[tuple[int, ...]] = [(len(space.ions.cations),), (len(space.anion_sets),), (len(item.stoichiometries.keys),)]
    if program_type is MultilinearProgram:
        sizes[1] = (*sizes[1], n_factors[0] ** item.composition_class.n_cations)
    return [(*size, n) for size, n in zip(sizes, n_factors, strict=True)]
