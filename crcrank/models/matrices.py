"""Known compositions as the ones of a matrix, which models approximate by a product of two small ones.

The tensor of :mod:`crcrank.models.tensor` can be laid out as a matrix in several ways, and recommenders see different likenesses
in each (Seko, Hayashi, Kashima and Tanaka, Phys. Rev. Materials 2, 013805 (2018), doi:10.1103/PhysRevMaterials.2.013805):

============  ==========================================  ==================================================================
name          a row is                                    a column is
============  ==========================================  ==================================================================
ion_rest      one cation                                  everything else: anion, stoichiometry, the other cations
pair_rest     the set of cations                          the anion, and the coefficients in the order of the row's cations
system_ratio  a chemical system: the set of all elements  a stoichiometry: charges and coefficients
============  ==========================================  ==================================================================

A candidate scores the value of its cell; in ``ion_rest`` it has one for each of its cations, and scores their mean. What no
known composition has as a row or as a column scores zero, so that few candidates have a score of their own. In ``system_ratio``
candidates score the same that differ only in which of the elements has which place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crcrank.config import NMFSettings, SVDSettings
from crcrank.errors import ModelFitError
from crcrank.models.contract import Arrays, TrainingData, fact, parameter
from crcrank.models.tensor import check_rank
from crcrank.models.terms import Term, anatomy
from crcrank.progress import ProgressSink
from crcrank.space.listed import ListedScores
from crcrank.space.space import Candidates, Space

if TYPE_CHECKING:
    from scipy import sparse

# Candidates with a score of their own that a ranking keeps in memory, about a gigabyte.
LARGEST_LIST = 10_000_000
_CHUNK = 1 << 16


class Cells(NamedTuple):
    """Cells of a matrix and the candidates that they stand for.

    Attributes
    ----------
    rows, columns
        int64 (n,).
    candidates
        Candidate of each cell.
    """

    rows: np.ndarray
    columns: np.ndarray
    candidates: Candidates


@dataclass(frozen=True)
class Matricisation:
    """A way to lay out compositions as a matrix.

    Attributes
    ----------
    labels
        Return what names the row and the column of each cell of some candidates, int64 (n cells, width of a label) each.
    cells
        Yield all cells of labelled rows and columns that stand for candidates; each candidate as often as it has such cells.
    """

    labels: Callable[[Space, str, Candidates], tuple[np.ndarray, np.ndarray]]
    cells: Callable[[Space, str, np.ndarray, np.ndarray], Iterator[Cells]]


def _ion_rest_labels(space: Space, name: str, candidates: Candidates) -> tuple[np.ndarray, np.ndarray]:
    """Label each slot's cation, and the block, the first slot of the run, and the other cations."""
    first = _run_starts(space, name)[candidates.blocks]
    n_slots = candidates.cations.shape[1]
    columns = [np.column_stack([candidates.blocks, first[:, slot], np.delete(candidates.cations, slot, axis=1)]) for slot in range(n_slots)]
    return candidates.cations.T.reshape(-1, 1), np.concatenate(columns)


def _run_starts(space: Space, name: str) -> np.ndarray:
    """Return the first slot of the run that each slot of each block belongs to, int64 (n_blocks, n_slots)."""
    runs = space.block_arrays(name).run
    return np.maximum.accumulate(np.where(runs, 0, np.arange(runs.shape[1])), axis=1)


def _ion_rest_cells(space: Space, name: str, rows: np.ndarray, columns: np.ndarray) -> Iterator[Cells]:
    blocks = space.block_arrays(name)
    for row, cation in enumerate(rows[:, 0].tolist()):
        slots, start, size = columns[:, 1], blocks.start[columns[:, 0]], blocks.size[columns[:, 0]]
        local = cation - np.take_along_axis(start, slots[:, None], axis=1)[:, 0]
        fits = np.flatnonzero((local >= 0) & (local < np.take_along_axis(size, slots[:, None], axis=1)[:, 0]))
        for slot in range(blocks.size.shape[1]):
            own = fits[slots[fits] == slot]
            cations = np.insert(columns[own, 2:], slot, cation, axis=1)
            yield _of_different_elements(space, name, Cells(np.full(len(own), row), own, Candidates(columns[own, 0], cations)))


def _of_different_elements(space: Space, name: str, cells: Cells) -> Cells:
    candidates = cells.candidates
    anions = space.ions.anion_element[space.classes[name].block_anion_set[candidates.blocks]]
    elements = np.sort(np.column_stack([space.ions.cation_element[candidates.cations], anions]), axis=1)
    kept = np.flatnonzero((np.diff(elements, axis=1) > 0).all(axis=1))
    return Cells(cells.rows[kept], cells.columns[kept], candidates.take(kept))


def _pair_rest_labels(space: Space, name: str, candidates: Candidates) -> tuple[np.ndarray, np.ndarray]:
    """Label the cations in ascending order, and the anion, its coefficient and theirs."""
    item = space.classes[name]
    stoichiometry = item.block_stoichiometry[candidates.blocks]
    order = np.argsort(candidates.cations, axis=1)
    coefficients = np.take_along_axis(item.stoichiometries.coefficients[stoichiometry], order, axis=1)
    anions, n_anions = item.block_anion_set[candidates.blocks], item.stoichiometries.anion_coefficients[stoichiometry, 0]
    return np.take_along_axis(candidates.cations, order, axis=1), np.column_stack([anions, n_anions, coefficients])


def _pair_rest_cells(space: Space, name: str, rows: np.ndarray, columns: np.ndarray) -> Iterator[Cells]:
    ions = space.ions
    groups = np.searchsorted(ions.group_start, rows, side="right") - 1
    charges = ions.group_charge[groups]
    for column, (anion, n_anions, *coefficients) in enumerate(columns.tolist()):
        own = np.flatnonzero(charges @ np.array(coefficients) == ions.anion_charge[anion] * n_anions)
        slots = np.lexsort((rows[own], np.broadcast_to(coefficients, (len(own), len(coefficients))), groups[own]), axis=1)
        slot_coefficients = np.array(coefficients)[slots]
        slot_groups, anions = np.take_along_axis(groups[own], slots, axis=1), np.full(len(own), anion)
        blocks = space.find_blocks(name, slot_groups, slot_coefficients, anions[:, None], np.full((len(own), 1), n_anions))
        cations = np.take_along_axis(rows[own], slots, axis=1)
        found = np.flatnonzero(blocks >= 0)
        cells = Cells(own[found], np.full(len(found), column), Candidates(blocks[found], cations[found]))
        yield _of_different_elements(space, name, cells)


def _system_ratio_labels(space: Space, name: str, candidates: Candidates) -> tuple[np.ndarray, np.ndarray]:
    """Label the elements in ascending order, and the stoichiometry."""
    elements = space.composition_arrays(name, candidates)[0]
    return elements, space.classes[name].block_stoichiometry[candidates.blocks][:, None]


def _system_ratio_cells(space: Space, name: str, rows: np.ndarray, columns: np.ndarray) -> Iterator[Cells]:
    stoichiometries, n_slots = space.classes[name].stoichiometries, rows.shape[1] - 1
    for anion, element in enumerate(space.ions.anion_element.tolist()):
        systems = np.flatnonzero((rows == element).any(axis=1))
        others = rows[systems][rows[systems] != element].reshape(len(systems), n_slots)
        for column, stoichiometry in enumerate(columns[:, 0].tolist()):
            if stoichiometries.anion_charges[stoichiometry, 0] != space.ions.anion_charge[anion]:
                continue
            groups, coefficients = stoichiometries.groups[stoichiometry], stoichiometries.coefficients[stoichiometry]
            n_anions = stoichiometries.anion_coefficients[stoichiometry]
            block = int(space.find_blocks(name, groups[None], coefficients[None], np.array([[anion]]), n_anions[None])[0])
            for order in permutations(range(n_slots)) if block >= 0 else ():
                own, cations = _placed(space, others[:, order], groups, stoichiometries.runs[stoichiometry])
                yield Cells(systems[own], np.full(len(own), column), Candidates(np.full(len(own), block), cations))


def _placed(space: Space, elements: np.ndarray, groups: np.ndarray, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows of elements have ions of these charge groups, ascending in runs, and their cations."""
    local = space.ions.tables.ion_of[elements, groups]
    ascends = ~runs[1:] | (np.diff(local, axis=1) > 0)
    own = np.flatnonzero((local >= 0).all(axis=1) & ascends.all(axis=1))
    return own, local[own] + space.ions.group_start[groups]


MATRICISATIONS: dict[str, Matricisation] = {
    "ion_rest": Matricisation(_ion_rest_labels, _ion_rest_cells),
    "pair_rest": Matricisation(_pair_rest_labels, _pair_rest_cells),
    "system_ratio": Matricisation(_system_ratio_labels, _system_ratio_cells),
}


class KnownMatrix(NamedTuple):
    """A matrix whose ones are known compositions.

    Attributes
    ----------
    rows, columns
        Labels of the rows and columns that hold a one, int64 (n_rows, width), (n_columns, width).
    ones
        The matrix, float64 (n_rows, n_columns).
    """

    rows: np.ndarray
    columns: np.ndarray
    ones: sparse.csr_array


def known_matrix(space: Space, name: str, known: Candidates, matrix: str) -> KnownMatrix:
    """Return known candidates of class ``name`` in a named layout.

    Raises
    ------
    ModelFitError
        If the class is widened: the layouts take one anion, elements that differ and charges that balance for granted.
    """
    from scipy import sparse

    limits = space.classes[name].composition_class
    if limits.mixed_valence or not limits.neutral or limits.n_anions > 1:
        raise ModelFitError(
            f"train: class {name} has mixed valence, two anions or charges that need not balance; choose another model than svd or nmf"
        )
    rows, columns = MATRICISATIONS[matrix].labels(space, name, known)
    row_labels, row = np.unique(rows, axis=0, return_inverse=True)
    column_labels, column = np.unique(columns, axis=0, return_inverse=True)
    ones = sparse.csr_array((np.ones(len(rows)), (row.ravel(), column.ravel())), shape=(len(row_labels), len(column_labels)))
    ones.data[:] = 1  # cells that several known compositions share
    return KnownMatrix(row_labels, column_labels, ones)


class FactoredMatrix(NamedTuple):
    """An approximated matrix: labels of rows and columns, and their factors (n_rows, n_factors), (n_columns, n_factors)."""

    rows: np.ndarray
    columns: np.ndarray
    left: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class FittedMatrices:
    """An approximated matrix of each class.

    Attributes
    ----------
    space
        The space.
    matrix
        Name of the layout, of :data:`MATRICISATIONS`.
    factored
        The matrix of each class.
    """

    space: Space
    matrix: str
    factored: Mapping[str, FactoredMatrix]

    @property
    def is_probabilistic(self) -> bool:
        """Whether a score says how probable it is to be known."""
        return False

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes it was trained on and can score."""
        return tuple(self.factored)

    def program(self, name: str) -> ListedScores:
        """Return the scores of all candidates of class ``name`` that have a cell.

        Raises
        ------
        ModelFitError
            If there are too many.
        """
        rows, columns, left, right = self.factored[name]
        cells, n_listed = [], 0
        for item in MATRICISATIONS[self.matrix].cells(self.space, name, rows, columns):
            n_listed += len(item.rows)
            if n_listed > LARGEST_LIST:
                raise ModelFitError(
                    f"matrix {self.matrix}: more than {LARGEST_LIST:,} {name} candidates have a score of their own; choose another"
                )
            if len(item.rows):
                cells.append((item.candidates, np.einsum("nf,nf->n", left[item.rows], right[item.columns])))
        candidates = Candidates(*(np.concatenate(parts) for parts in zip(*((c.blocks, c.cations) for c, _ in cells), strict=True)))
        n_cells = candidates.cations.shape[1] if self.matrix == "ion_rest" else 1
        return ListedScores.sums(self.space, name, candidates, np.concatenate([scores for _, scores in cells]) / n_cells)

    def scores(self, name: str, candidates: Candidates) -> np.ndarray:
        """Return the scores of candidates of class ``name``, float64 (n,)."""
        return self.program(name).scores_of(self.space, name, candidates)

    def terms(self, name: str, candidates: Candidates) -> list[Term]:
        """Return the products of the factors of a single candidate's cells, of which ``ion_rest`` has one for each cation."""
        parts, item = anatomy(self.space, name, candidates), self.factored[name]
        labels = MATRICISATIONS[self.matrix].labels(self.space, name, candidates)
        cells = [[_row_of(row, known) for row, known in zip(cell, item[:2], strict=True)] for cell in zip(*labels, strict=True)]
        terms = []
        for label, (row, column) in zip(parts.labels, cells, strict=False):
            what = f"{label} among the rest" if len(cells) > 1 else self.matrix
            if row is None or column is None:
                terms.append(Term("cell", f"{what}: no known compound has this row and one this column", 0.0))
                continue
            values = item.left[row] * item.right[column] / len(cells)
            terms += [Term("cell", f"{what}, factor {i}", float(value)) for i, value in enumerate(values, 1)]
        return terms

    def arrays(self) -> Arrays:
        """Return all its numbers by name."""
        return {
            f"{part}.{name}": array.astype(np.float64) for name, item in self.factored.items() for part, array in item._asdict().items()
        }

    def facts(self) -> dict[str, Any]:
        """Return what else is needed to restore it, JSON-serialisable."""
        return {"matrix": self.matrix, "shapes": {name: [list(array.shape) for array in item] for name, item in self.factored.items()}}

    @classmethod
    def restore(cls, arrays: Arrays, facts: Mapping[str, Any], space: Space) -> FittedMatrices:
        """Return the model that :meth:`arrays` and :meth:`facts` came from."""
        factored = {}
        for name, shapes in fact(facts, "shapes").items():
            parts = zip(FactoredMatrix._fields, shapes, strict=True)
            rows, columns, left, right = (parameter(arrays, f"{part}.{name}", tuple(shape)) for part, shape in parts)
            factored[name] = FactoredMatrix(rows.astype(np.int64), columns.astype(np.int64), left, right)
        return cls(space, fact(facts, "matrix"), factored)


def _row_of(label: np.ndarray, labels: np.ndarray) -> int | None:
    """Return which of some labels (n, width) one is, None if it is none of them."""
    found = np.flatnonzero((labels == label).all(axis=1))
    return int(found[0]) if len(found) else None


def factor_classes(
    data: TrainingData,
    kind: str,
    settings: SVDSettings | NMFSettings,
    factor: Callable[[KnownMatrix, int], FactoredMatrix],
    progress: ProgressSink,
) -> FittedMatrices:
    """Return the matrix of all known compositions of each class, factored by ``factor(matrix, n_factors)``.

    Raises
    ------
    ModelFitError
        If there are more factors than rows or columns.
    """
    progress.start("train", len(data.classes), "classes")
    factored = {}
    for name in data.classes:
        known = data.known(name)
        matrix = known_matrix(data.space, name, known, settings.matrix)
        n_factors = settings.n_factors[known.cations.shape[1] - 1]
        check_rank(name, f"{kind}.n_factors", n_factors, min(matrix.ones.shape), f"rows or columns ({settings.matrix})")
        factored[name] = factor(matrix, n_factors)
        progress.advance(1, name)
    return FittedMatrices(data.space, settings.matrix, factored)
