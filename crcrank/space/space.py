"""The candidate space as blocks: one stoichiometry with its anion or anions, and a free choice of cations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from typing import NamedTuple

import numpy as np

from crcrank.artifacts.store import digest_of
from crcrank.chem.ions import Ion, IonTable
from crcrank.errors import ConfigError
from crcrank.kernels.pairwise import MAX_ANIONS, BlockArrays
from crcrank.kernels.tuples import GroupTables, fill_ranks, fill_tuples
from crcrank.space.counting import count_tuples, largest_number_of_blocks
from crcrank.space.lookup import places_in
from crcrank.space.stoichiometry import Stoichiometries, enumerate_stoichiometries, stoichiometry_keys

Compositions = Sequence[tuple[Sequence[str], Sequence[int]]]
"""Elements and amounts of each composition."""

_MAX_BLOCKS = 5e6  # about a gigabyte


@dataclass(frozen=True)
class CompositionClass:
    """A composition class: an anion with ``n_cations`` different cations, coefficients up to ``max_coefficient``.

    Attributes
    ----------
    mixed_valence
        Whether cations may be one element in several oxidation states; an element that the table has as an anion too is in one.
    neutral
        Whether the charges add up to zero.
    n_anions
        Number of anions, of different elements.
    """

    name: str
    n_cations: int
    max_coefficient: int
    mixed_valence: bool = False
    neutral: bool = True
    n_anions: int = 1

    @property
    def n_ions(self) -> int:
        """Number of ions in each candidate."""
        return self.n_cations + self.n_anions

    @property
    def limits(self) -> tuple[int, int, int]:
        """Number of cations, largest coefficient, number of anions."""
        return self.n_cations, self.max_coefficient, self.n_anions

    @property
    def largest_amount(self) -> int:
        """Largest amount of an element."""
        return self.max_coefficient * (self.n_cations if self.mixed_valence else 1)

    @property
    def n_elements(self) -> range:
        """Numbers of elements that its compositions have."""
        return range(1 + self.n_anions if self.mixed_valence else self.n_ions, self.n_ions + 1)

    @property
    def key(self) -> list[object]:
        """What the digest of a space holds of a class."""
        usual = {"mixed_valence": False, "neutral": True, "n_anions": 1}
        widened = {name: getattr(self, name) for name, value in usual.items() if getattr(self, name) != value}
        return [self.name, self.n_cations, self.max_coefficient, *([widened] if widened else [])]


class Labels(NamedTuple):
    """Ions of one label exclude each other: the label is the element, or in a class of mixed valence the ion.

    Attributes
    ----------
    cation, anion
        int64, one per ion.
    tables
        The groups as the counting kernels want them, labels in place of elements.
    """

    cation: np.ndarray
    anion: np.ndarray
    tables: GroupTables


@dataclass(frozen=True)
class Ions:
    """The ion table as arrays; cations are grouped by charge, smaller groups first.

    Attributes
    ----------
    cations, anions
        In index order.
    elements
        Symbols; the other arrays index into them.
    cation_element, anion_element, anion_charge
        int64, one per ion; the charge is a magnitude.
    group_charge, group_start
        Charge of each group and the index of its first cation, int64 (n_groups,).
    tables
        The groups as the counting kernels want them.
    """

    cations: tuple[Ion, ...]
    anions: tuple[Ion, ...]
    elements: tuple[str, ...]
    cation_element: np.ndarray
    anion_element: np.ndarray
    anion_charge: np.ndarray
    group_charge: np.ndarray
    group_start: np.ndarray
    tables: GroupTables

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels of all cations, then all anions."""
        return tuple(ion.label for ion in self.cations + self.anions)

    @cached_property
    def index(self) -> dict[str, int]:
        """Index of each element by its symbol."""
        return {symbol: i for i, symbol in enumerate(self.elements)}


@dataclass(frozen=True)
class ClassSpace:
    """One class of the space: its stoichiometries and its blocks.

    Attributes
    ----------
    block_stoichiometry, block_anions
        What each block fixes, int64 (n_blocks,) and (n_blocks, n_anions), the anions in the order of the stoichiometry's.
    block_anion_set
        The anions without their order, an index into ``Space.anion_sets``, int64 (n_blocks,).
    block_size, block_first
        Number of candidates, and the candidate_id of the first, int64 (n_blocks,).
    labels
        Which ions exclude each other.
    """

    composition_class: CompositionClass
    stoichiometries: Stoichiometries
    block_stoichiometry: np.ndarray
    block_anions: np.ndarray
    block_anion_set: np.ndarray
    block_size: np.ndarray
    block_first: np.ndarray
    labels: Labels

    @property
    def name(self) -> str:
        """Name of the class."""
        return self.composition_class.name

    @property
    def n_candidates(self) -> int:
        """Candidates of the class."""
        return int(self.block_size.sum())

    @property
    def n_blocks(self) -> int:
        """Blocks of the class."""
        return len(self.block_size)

    @property
    def first_id(self) -> int:
        """candidate_id of the first candidate."""
        return int(self.block_first[0])


@dataclass(frozen=True)
class Candidates:
    """Candidates of one class as arrays.

    Attributes
    ----------
    blocks
        Block of each, int64 (n,).
    cations
        Cation of each slot, an index into ``Ions.cations``, int64 (n, n_cations).
    """

    blocks: np.ndarray
    cations: np.ndarray

    def __len__(self) -> int:
        return len(self.blocks)

    def take(self, rows: np.ndarray) -> Candidates:
        """Return the candidates of these rows, int64 (n,)."""
        return Candidates(self.blocks[rows], self.cations[rows])

    def joined(self, other: Candidates) -> Candidates:
        """Return these candidates, then the others."""
        return Candidates(np.concatenate([self.blocks, other.blocks]), np.concatenate([self.cations, other.cations]))


class Space:
    """All candidates of all configured classes.

    Attributes
    ----------
    anion_sets
        The sets of anions that blocks can have, as ascending indices: each anion alone, then all pairs if a class has two anions.

    Parameters
    ----------
    table
        The ions; their order does not matter.
    classes
        The composition classes; ids run through them in this order.

    Raises
    ------
    ConfigError
        If a class is empty, unnamed twice, or too wide for the id arithmetic.
    """

    def __init__(self, table: IonTable, classes: Sequence[CompositionClass]) -> None:
        self.ions = _ion_arrays(table)
        if len({item.name for item in classes}) != len(classes) or not classes:
            raise ConfigError("space.classes: wanted at least one class, each with its own name")
        self.anion_sets = _anion_sets(self.ions, max(item.n_anions for item in classes))
        self.classes: dict[str, ClassSpace] = {}
        first = 0
        for item in classes:
            self.classes[item.name] = _class_space(self.ions, self.anion_sets, item, first)
            first += self.classes[item.name].n_candidates
        self.n_candidates = first
        self.digest = digest_of(
            {
                "ions": sorted(self.ions.labels),
                "classes": [item.key for item in classes],
            }
        )

    def decode(self, name: str, ids: np.ndarray) -> Candidates:
        """Return the candidates of class ``name`` with these candidate_ids, int64 (n,)."""
        space = self.classes[name]
        blocks = np.searchsorted(space.block_first, ids, side="right") - 1
        groups, runs, elements = self._slots(space, blocks)
        room = self._room(groups, runs, elements)
        tuples = np.empty(groups.shape, np.int64)
        fill_tuples(space.labels.tables, groups, runs, elements, *room, ids - space.block_first[blocks], tuples)
        return Candidates(blocks, tuples + self.ions.group_start[groups])

    def encode(self, name: str, candidates: Candidates) -> np.ndarray:
        """Return the candidate_ids of candidates of class ``name``, the inverse of :meth:`decode`, int64 (n,)."""
        space = self.classes[name]
        groups, runs, elements = self._slots(space, candidates.blocks)
        room = self._room(groups, runs, elements)
        ranks = np.empty(len(candidates), np.int64)
        fill_ranks(space.labels.tables, groups, runs, elements, *room, candidates.cations - self.ions.group_start[groups], ranks)
        return np.asarray(ranks + space.block_first[candidates.blocks])

    def in_order(self, name: str, candidates: Candidates) -> Candidates:
        """Return the same candidates as :meth:`decode` writes them: the cations of a run ascend."""
        runs = self._slots(self.classes[name], candidates.blocks)[1]
        order = np.lexsort((candidates.cations, np.cumsum(~runs, axis=1)), axis=1)
        return Candidates(candidates.blocks, np.take_along_axis(candidates.cations, order, axis=1))

    def order_keys(self, candidates: Candidates) -> np.ndarray:
        """Return a number for each candidate, written in order, that ascends with its candidate_id but costs less, int64 (n,)."""
        return _packed(np.column_stack([candidates.blocks, candidates.cations]), len(self.ions.cations))

    def block_arrays(self, name: str) -> BlockArrays:
        """Return the blocks of class ``name`` as the scoring kernels want them."""
        space = self.classes[name]
        rows, stoichiometries = space.block_stoichiometry, space.stoichiometries

        def small(values: np.ndarray) -> np.ndarray:
            return np.asarray(values.astype(np.int32)[rows])

        return BlockArrays(
            stoichiometry=rows,
            anion_set=space.block_anion_set,
            anions=space.block_anions,
            anion_coefficients=small(stoichiometries.anion_coefficients),
            n_atoms=small(stoichiometries.n_atoms),
            start=small(self.ions.group_start[stoichiometries.groups]),
            size=self.ions.tables.size[stoichiometries.groups][rows],
            coefficient=small(stoichiometries.coefficients),
            run=stoichiometries.runs[rows],
            cation_element=space.labels.cation,
            anion_element=space.labels.anion,
        )

    def find_blocks(
        self, name: str, groups: np.ndarray, coefficients: np.ndarray, anions: np.ndarray, anion_coefficients: np.ndarray
    ) -> np.ndarray:
        """Return the block of each, -1 where the space has none, int64 (n,).

        Slots (n, n_cations) are in canonical order, anions (n, n_anions) in any.
        """
        space = self.classes[name]
        limit, n_anions = space.composition_class.max_coefficient, len(self.ions.anions)
        order = np.lexsort((anions, anion_coefficients, self.ions.anion_charge[anions]), axis=1)
        anions, anion_coefficients = np.take_along_axis(anions, order, axis=1), np.take_along_axis(anion_coefficients, order, axis=1)
        keys = stoichiometry_keys(groups, coefficients, self.ions.anion_charge[anions], anion_coefficients, limit)
        wanted = _packed(np.column_stack([places_in(space.stoichiometries.keys, keys), anions]), n_anions)
        present = _packed(np.column_stack([space.block_stoichiometry, space.block_anions]), n_anions)
        return places_in(present, wanted)  # no stoichiometry, -1, makes a negative number

    def composition_arrays(self, name: str, candidates: Candidates) -> tuple[np.ndarray, np.ndarray]:
        """Return elements and amounts of candidates, each row in alphabetical order of the symbols, int64 (n, n_ions).

        Of an element in several oxidation states the amounts are added up; a row then ends in its last element again, with amount 0.
        """
        space = self.classes[name]
        rows = space.block_stoichiometry[candidates.blocks]
        elements = np.column_stack(
            [self.ions.cation_element[candidates.cations], self.ions.anion_element[space.block_anions[candidates.blocks]]]
        )
        amounts = np.column_stack([space.stoichiometries.coefficients[rows], space.stoichiometries.anion_coefficients[rows]])
        order = np.argsort(elements, axis=1)
        elements, amounts = np.take_along_axis(elements, order, axis=1), np.take_along_axis(amounts, order, axis=1)
        return _merged(elements, amounts) if space.composition_class.mixed_valence else (elements, amounts)

    def have_distinct_ions(self, name: str, candidates: Candidates) -> np.ndarray:
        """Return whether no two ions exclude each other, as in every candidate of class ``name``, bool (n,)."""
        space = self.classes[name]
        labels = np.column_stack([space.labels.cation[candidates.cations], space.labels.anion[space.block_anions[candidates.blocks]]])
        return np.asarray((np.diff(np.sort(labels, axis=1), axis=1) > 0).all(axis=1))

    def composition_keys(self, name: str, candidates: Candidates) -> np.ndarray:
        """Return a number for each candidate that is the same for candidates of the same formula, int64 (n,)."""
        elements, amounts = self.composition_arrays(name, candidates)
        base = self.classes[name].composition_class.largest_amount + 1
        digits = np.where(amounts > 0, elements * base + amounts, len(self.ions.elements) * base)
        return _packed(digits, (len(self.ions.elements) + 1) * base)

    def formula_keys(self, name: str, compositions: Compositions) -> np.ndarray:
        """Return the :meth:`composition_keys` of those compositions that the class can hold, sorted, int64 (n,)."""
        limits = self.classes[name].composition_class
        base = limits.largest_amount + 1
        keys = []
        for n_elements in limits.n_elements:
            _, elements, amounts = self.compositions_of(n_elements, compositions)
            fits = (elements >= 0).all(axis=1) & (amounts < base).all(axis=1)
            digits = np.sort(elements[fits] * base + amounts[fits], axis=1)
            padding = np.full((len(digits), limits.n_ions - n_elements), len(self.ions.elements) * base)
            keys.append(_packed(np.column_stack([digits, padding]), (len(self.ions.elements) + 1) * base))
        return np.unique(np.concatenate(keys))

    def compositions_of(self, n_elements: int, compositions: Compositions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return which compositions have this number of elements, and these as arrays.

        Returns
        -------
        tuple
            Indices, int64 (n,), elements, -1 for those that the space does not have, and amounts, int64 (n, n_elements).
        """
        rows = [i for i, (elements, _) in enumerate(compositions) if len(elements) == n_elements]
        elements = [[self.ions.index.get(symbol, -1) for symbol in compositions[i][0]] for i in rows]
        amounts = [list(compositions[i][1]) for i in rows]
        shape = (len(rows), n_elements)
        return np.array(rows, np.int64), np.array(elements, np.int64).reshape(shape), np.array(amounts, np.int64).reshape(shape)

    def ions_of(self, name: str, candidates: Candidates) -> tuple[list[list[str]], np.ndarray]:
        """Return the ion labels (cations by charge, then anions by charge) and coefficients (n, n_ions) of candidates."""
        space = self.classes[name]
        rows, anions = space.block_stoichiometry[candidates.blocks], space.block_anions[candidates.blocks]
        indices = np.column_stack([candidates.cations, len(self.ions.cations) + anions])
        amounts = np.column_stack([space.stoichiometries.coefficients[rows], space.stoichiometries.anion_coefficients[rows]])
        charge = self.ions.group_charge[space.stoichiometries.groups[rows]]
        order = np.column_stack([np.lexsort((candidates.cations, charge), axis=1), charge.shape[1] + np.argsort(anions, axis=1)])
        indices, amounts = np.take_along_axis(indices, order, axis=1), np.take_along_axis(amounts, order, axis=1)
        return np.array(self.ions.labels, object)[indices].tolist(), amounts

    def _slots(self, space: ClassSpace, blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = space.block_stoichiometry[blocks]
        return space.stoichiometries.groups[rows], space.stoichiometries.runs[rows], space.labels.anion[space.block_anions[blocks]]

    def _room(self, groups: np.ndarray, runs: np.ndarray, elements: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the pattern of each candidate's block, room for the sums that candidates of one pattern share, and for elements."""
        codes, patterns = np.unique(_pattern_codes(groups, runs, elements), return_inverse=True)
        below = np.full((len(codes), int(self.ions.tables.size.max()) + 1), -1, np.int64)
        return patterns, below, np.empty(groups.shape[1] + elements.shape[1], np.int64)


def _merged(elements: np.ndarray, amounts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add up the amounts of equal neighbours, take out common divisors, and move what became empty to the end."""
    elements, amounts = elements.copy(), amounts.copy()
    for column in range(1, elements.shape[1]):
        same = elements[:, column] == elements[:, column - 1]
        amounts[same, column] += amounts[same, column - 1]
        amounts[same, column - 1] = 0
    elements = np.where(amounts > 0, elements, elements[:, -1:])
    order = np.lexsort((amounts == 0, elements), axis=1)
    amounts = np.take_along_axis(amounts, order, axis=1)
    return np.take_along_axis(elements, order, axis=1), amounts // np.gcd.reduce(amounts, axis=1)[:, None]


def _pattern_codes(groups: np.ndarray, runs: np.ndarray, elements: np.ndarray) -> np.ndarray:
    """Return a number for each block that tells how many tuples of cations it holds, and which."""
    return _codes(*groups.T, *runs.T, *np.sort(elements, axis=1).T)


def _codes(*columns: np.ndarray) -> np.ndarray:
    """Return a number for each row that is the same where all columns are, int64 (n,)."""
    codes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        codes = codes * (int(column.max(initial=0)) + 1) + column
    return codes


def _packed(digits: np.ndarray, base: int) -> np.ndarray:
    packed = np.zeros(len(digits), np.int64)
    for column in digits.T:
        packed = packed * base + column
    return packed


def _ion_arrays(table: IonTable) -> Ions:
    sizes = {charge: sum(ion.oxidation_state == charge for ion in table.cations) for charge in {i.oxidation_state for i in table.cations}}
    group_charge = sorted(sizes, key=lambda charge: (sizes[charge], charge))
    cations = sorted(table.cations, key=lambda ion: (group_charge.index(ion.oxidation_state), ion.element))
    anions = sorted(table.anions, key=lambda ion: (-ion.oxidation_state, ion.element))
    elements = sorted({ion.element for ion in (*cations, *anions)})
    index = {symbol: i for i, symbol in enumerate(elements)}
    group_size = np.array([sizes[charge] for charge in group_charge], np.int64)
    group_start = np.concatenate([[0], np.cumsum(group_size)[:-1]]).astype(np.int64)
    cation_element = np.array([index[ion.element] for ion in cations], np.int64)
    return Ions(
        cations=tuple(cations),
        anions=tuple(anions),
        elements=tuple(elements),
        cation_element=cation_element,
        anion_element=np.array([index[ion.element] for ion in anions], np.int64),
        anion_charge=np.array([-ion.oxidation_state for ion in anions], np.int64),
        group_charge=np.array(group_charge, np.int64),
        group_start=group_start,
        tables=_group_tables(cation_element, group_start, group_size, len(elements)),
    )


def _group_tables(cation_element: np.ndarray, group_start: np.ndarray, group_size: np.ndarray, n_elements: int) -> GroupTables:
    n_groups, largest = len(group_size), int(group_size.max())
    element = np.full((n_groups, largest), -1, np.int64)
    ion_of = np.full((n_elements, n_groups), -1, np.int64)
    for group in range(n_groups):
        members = cation_element[group_start[group] : group_start[group] + group_size[group]]
        element[group, : len(members)] = members
        ion_of[members, group] = np.arange(len(members))
    shared_after = np.zeros((n_groups, n_groups, largest + 1), np.int64)
    for group in range(n_groups):
        for other in range(n_groups):
            shared = ion_of[(ion_of[:, group] >= 0) & (ion_of[:, other] >= 0), group]
            shared_after[group, other] = (shared[:, None] >= np.arange(largest + 1)).sum(axis=0)
    return GroupTables(group_size, element, ion_of, shared_after)


def _anion_sets(ions: Ions, n_anions: int) -> tuple[tuple[int, ...], ...]:
    chosen = (item for n in range(1, n_anions + 1) for item in combinations(range(len(ions.anions)), n))
    return tuple(item for item in chosen if len(set(ions.anion_element[list(item)].tolist())) == len(item))


def _check_limits(ions: Ions, item: CompositionClass) -> None:
    """Raise ConfigError unless a class is one that can be listed and numbered."""
    if not (1 <= item.n_cations <= 4 and 1 <= item.n_anions <= MAX_ANIONS and item.max_coefficient >= 1):
        raise ConfigError(
            f"space.classes.{item.name}: wanted 1 to 4 cations, 1 to {MAX_ANIONS} anions and coefficients from 1, found {item}"
        )
    if ((len(ions.elements) + 1) * (item.largest_amount + 1)) ** item.n_ions >= 2**63:
        raise ConfigError(f"space.classes.{item.name}: max_coefficient {item.max_coefficient} is too large for {item.n_ions} ions")
    n_blocks = largest_number_of_blocks(ions.group_charge, ions.anion_charge, *item.limits, neutral=item.neutral)
    if n_blocks > _MAX_BLOCKS:
        found = f"up to {n_blocks:.1e}" if np.isfinite(n_blocks) else "countless"
        hint = "" if item.neutral else ", or let charges balance (neutral = true)"
        raise ConfigError(
            f"space.classes.{item.name}: {found} choices of charges, coefficients and anions, wanted {_MAX_BLOCKS:.0e} at most; "
            f"lower max_coefficient ({item.max_coefficient}){hint}"
        )


def _class_space(ions: Ions, anion_sets: Sequence[tuple[int, ...]], item: CompositionClass, first: int) -> ClassSpace:
    _check_limits(ions, item)
    stoichiometries = enumerate_stoichiometries(ions.group_charge, ions.anion_charge, *item.limits, neutral=item.neutral)
    labels = _labels(ions, mixed_valence=item.mixed_valence)
    rows, anions, sets = _fitting_anions(ions, anion_sets, stoichiometries)
    sizes = _block_sizes(labels, stoichiometries, rows, anions)
    kept = sizes > 0
    if not kept.any():
        raise ConfigError(f"space.classes.{item.name}: no charge-neutral candidate exists with these ions and limits")
    rows = rows[kept]  # one after the other: each takes the room that the one before leaves
    anions = anions[kept]
    sets = sets[kept]
    sizes = sizes[kept]
    return ClassSpace(item, stoichiometries, rows, anions, sets, sizes, first + np.cumsum(sizes) - sizes, labels)


def _fitting_anions(
    ions: Ions, anion_sets: Sequence[tuple[int, ...]], stoichiometries: Stoichiometries
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every stoichiometry with all anions of its charges: its row (n,), the anions (n, n_anions) and their set (n,).

    Anions of one charge and coefficient ascend.
    """
    n_anions = stoichiometries.anion_charges.shape[1]
    index = {item: i for i, item in enumerate(anion_sets)}
    orders = [item for item in product(range(len(ions.anions)), repeat=n_anions) if tuple(sorted(item)) in index]
    anions = np.array(orders, np.int64).reshape(len(orders), n_anions)
    sets = np.array([index[tuple(sorted(item))] for item in orders], np.int64)
    ascends = np.diff(anions, axis=1, prepend=-1) > 0
    fits = np.ones((len(stoichiometries.keys), len(anions)), bool)
    for slot, runs in enumerate(stoichiometries.anion_runs.T):
        has_charge = stoichiometries.anion_charges[:, slot, None] == ions.anion_charge[anions[:, slot]]
        fits &= has_charge & (~runs[:, None] | ascends[:, slot])
    rows, columns = np.nonzero(fits)
    return rows, anions[columns], sets[columns]


def _labels(ions: Ions, *, mixed_valence: bool) -> Labels:
    """Return the labels of a class; with mixed valence, cations of an element that is no anion have one each."""
    if not mixed_valence:
        return Labels(ions.cation_element, ions.anion_element, ions.tables)
    n_elements, n_cations = len(ions.elements), len(ions.cations)
    cation = np.where(np.isin(ions.cation_element, ions.anion_element), ions.cation_element, n_elements + np.arange(n_cations))
    return Labels(cation, ions.anion_element, _group_tables(cation, ions.group_start, ions.tables.size, n_elements + n_cations))


def _block_sizes(labels: Labels, stoichiometries: Stoichiometries, rows: np.ndarray, anions: np.ndarray) -> np.ndarray:
    """Count each block; blocks alike in groups, runs and anion labels are counted once."""
    groups, runs, elements = stoichiometries.groups, stoichiometries.runs, np.sort(labels.anion[anions], axis=1)
    slots = _codes(*groups.T, *runs.T)
    _, sample, inverse = np.unique(_codes(slots[rows], *elements.T), return_index=True, return_inverse=True)
    of_sample = rows[sample]
    counts = count_tuples(labels.tables.ion_of.T >= 0, groups[of_sample], runs[of_sample], elements[sample])
    return np.asarray(counts[inverse])
