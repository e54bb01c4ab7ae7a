"""The forms of scoring programs that the search knows, and what each has to offer.

A model compiles, for one class, to a program: a NamedTuple of arrays, whose type says the form of its scores. The search
(:mod:`crcrank.kernels.search`) is one loop over the blocks of a class and the tiles of a block (:mod:`crcrank.kernels.tile`);
all that depends on the form are the functions of a :class:`ScoringForm`. To add a form, write them in a module of their own
(:mod:`crcrank.kernels.pairwise` is an example) and add a line to :data:`FORMS`.

The search runs in single precision, the count of all scores (:mod:`crcrank.kernels.counting`) in double: ``at_anion`` turns the
float64 program into what the kernels take, a NamedTuple whose type selects them when Numba compiles the search.

- ``prepare(program, blocks, b, work, tile)`` is called once per block, with ``tile.free`` and ``tile.place`` filled.
- ``fill_tile(program, blocks, b, prefix, work, tile)`` is called for each choice ``prefix`` of the slots before the tile, int64
  local indices, slot by slot ascending like an odometer. It fills ``left[:n_rows]`` and ``right[:n_columns]`` anew, starting
  from ``tile.free`` of their slots, and ``pair[:n_rows, :n_columns]``, such that ``left[k] + right[j] + pair[k, j]`` is the score.
  Terms may lie in any of the three. A block of one slot has one row, ``left[0]``. The pairs that are no candidates are set to
  -inf by calling :func:`crcrank.kernels.tile.close_pairs` after ``pair`` was filled; where ``pair`` does not depend on the
  prefix, ``prepare`` can do both. The search itself excludes the elements of the prefix.
  Kernels run for every tile are best compiled :func:`crcrank.kernels.jit.inlined`: to pass the records takes longer than small work.
- ``bound_block(program, blocks, b, work, tile)`` and ``bound_tile(program, blocks, b, prefix, work, tile)`` return what no score of the
  block, once prepared, or of the tile, before it is filled, exceeds by more than the margin; they are left out where nothing is known.
- ``skim_blocks(program, outline, blocks, order, work, out)`` fills ``out[b]`` with such bounds for the blocks ``b`` in ``order`` that are
  not prepared, from what ``outline(program, blocks, anion_set, allowed)`` makes of the program once; without these, none is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from crcrank.kernels import multilinear, pairwise, perceptron, perceptron_tiles, tables
from crcrank.kernels.jit import COUNTED, INLINED, inlined, lean, overload
from crcrank.kernels.multilinear import DiagonalProgram, DiagonalSearch, MultilinearProgram, MultilinearSearch
from crcrank.kernels.pairwise import BlockArrays, PairwiseProgram
from crcrank.kernels.perceptron import PerceptronProgram

# The float64 programs; a further form extends it by its own type.
ScoringProgram = PairwiseProgram | MultilinearProgram | DiagonalProgram | PerceptronProgram

# Margin of double precision over that of single, with twice what is needed.
DOUBLE = 2.0**-28


@inlined
def no_bound(program, blocks, b, prefix, work, tile):  # noqa: ARG001
    """Return infinity: nothing is known about the scores of a tile before it is filled."""
    return np.inf


@lean
def no_block_bound(program, blocks, b, work, tile):  # noqa: ARG001
    """Return infinity: nothing is known about the scores of a block."""
    return np.inf


def no_outline(program: Any, blocks: BlockArrays, anion_set: int, allowed: np.ndarray) -> None:
    """Return None: nothing is known about blocks before they are prepared."""


def no_skimming(*_: Any) -> None:
    """Do nothing: there is no outline."""


def no_constant(program: Any, blocks: BlockArrays) -> np.ndarray:  # noqa: ARG001
    """Return NaN for all blocks."""
    return np.full(len(blocks.anion_set), np.nan)


def no_cation(program: Any) -> np.ndarray | bool:  # noqa: ARG001
    """Return False: no cation decides alone."""
    return False


@dataclass(frozen=True)
class ScoringForm:
    """What the search needs to know about a form of scoring programs.

    Attributes
    ----------
    at_anion
        Return the program for the blocks of one set of anions, of type ``searched``: ``at_anion(program, blocks, anion_set, dtype)``.
    searched
        Type of what ``at_anion`` returns.
    workspace
        Return the scratch of one thread, ``workspace(searched_program, n_slots, largest)`` for slots of at most ``largest`` cations.
    prepare, fill_tile
        Kernels, see above.
    fill_scores
        Kernel that scores single candidates in float64, each in one fixed order of operations:
        ``fill_scores(program, blocks, candidate_blocks, cations, out)``.
    score_margin
        Return a bound on the difference between the scores of float32 tiles and of ``fill_scores``: ``score_margin(program, n_slots)``.
        It is proportional to the unit roundoff, so that :data:`DOUBLE` times as much bounds that of float64 tiles.
    promise
        Return a guess of the best score in each block, float64 (n_blocks,): ``promise(program, blocks)``. Only time depends on it,
        unless ``promise_is_bound``.
    promise_is_bound
        Whether no score of a block exceeds its promise by more than the margin, so that ``bound_block`` is not asked.
    bound_block, bound_tile
        Kernels, see above.
    outline, skim_blocks
        A function and a kernel, see above; where the outline is None, blocks are not skimmed.
    constant
        Return the score of each block whose candidates all have the same, to the last bit, NaN for the others, float64 (n_blocks,):
        ``constant(program, blocks)``.
    zero_cations
        Return which cations score 0 with whatever else, to the last bit, bool (C,): ``zero_cations(program)``.
    """

    at_anion: Callable[[Any, BlockArrays, int, type], Any]
    searched: type
    workspace: Callable[[Any, int, int], Any]
    prepare: Callable[..., None]
    fill_tile: Callable[..., None]
    fill_scores: Callable[..., None]
    score_margin: Callable[[Any, int], float]
    promise: Callable[[Any, BlockArrays], np.ndarray]
    promise_is_bound: bool = False
    bound_block: Callable[..., float] = no_block_bound
    bound_tile: Callable[..., float] = no_bound
    outline: Callable[[Any, BlockArrays, int, np.ndarray], Any] = no_outline
    skim_blocks: Callable[..., None] = no_skimming
    constant: Callable[[Any, BlockArrays], np.ndarray] = no_constant
    zero_cations: Callable[[Any], np.ndarray | bool] = no_cation


FORMS: dict[type, ScoringForm] = {
    PairwiseProgram: ScoringForm(
        at_anion=tables.tables_at_anion,
        searched=tables.PairTables,
        workspace=tables.table_workspace,
        prepare=tables.prepare_tables,
        fill_tile=tables.fill_from_tables,
        fill_scores=pairwise.fill_scores,
        score_margin=pairwise.score_margin,
        promise=pairwise.promise,
        bound_block=tables.bound_block,
        bound_tile=tables.bound_from_tables,
        outline=tables.outline_of,
        skim_blocks=tables.skim_blocks,
    ),
    MultilinearProgram: ScoringForm(
        at_anion=multilinear.at_anion,
        searched=MultilinearSearch,
        workspace=multilinear.multilinear_workspace,
        prepare=multilinear.prepare_multilinear,
        fill_tile=multilinear.fill_multilinear,
        fill_scores=multilinear.score_multilinear,
        score_margin=multilinear.multilinear_margin,
        promise=multilinear.multilinear_bounds,
        promise_is_bound=True,
        bound_tile=multilinear.bound_multilinear,
        constant=multilinear.multilinear_constant,
        zero_cations=multilinear.zero_cations,
    ),
    DiagonalProgram: ScoringForm(
        at_anion=multilinear.diagonal_at_anion,
        searched=DiagonalSearch,
        workspace=multilinear.diagonal_workspace,
        prepare=multilinear.prepare_diagonal,
        fill_tile=multilinear.fill_diagonal,
        fill_scores=multilinear.score_diagonal,
        score_margin=multilinear.diagonal_margin,
        promise=multilinear.diagonal_bounds,
        promise_is_bound=True,
        bound_tile=multilinear.bound_diagonal,
        constant=multilinear.diagonal_constant,
        zero_cations=multilinear.zero_cations,
    ),
    PerceptronProgram: ScoringForm(
        at_anion=perceptron_tiles.at_anion,
        searched=perceptron_tiles.PerceptronSearch,
        workspace=perceptron_tiles.tile_workspace,
        prepare=perceptron_tiles.prepare,
        fill_tile=perceptron_tiles.fill_tile,
        fill_scores=perceptron.fill_scores,
        score_margin=perceptron_tiles.score_margin,
        promise=perceptron_tiles.promise,
        bound_tile=perceptron_tiles.bound_tile,
    ),
}


def form_of(program: ScoringProgram) -> ScoringForm:
    """Return the form of a float64 program."""
    return FORMS[type(program)]


def _searched(program_type: type) -> ScoringForm:
    return next(form for form in FORMS.values() if form.searched is program_type)


# Kernels call the next four by these names. Numba takes the overload, by the type of ``program``; plain Python the function itself.
# An overload must be a plain function, hence the lambdas.
def prepare(program, blocks, b, work, tile):
    """Prepare ``work`` and ``tile`` for the tiles of block ``b``."""
    _searched(type(program)).prepare(program, blocks, b, work, tile)


def fill_tile(program, blocks, b, prefix, work, tile):
    """Fill a tile."""
    _searched(type(program)).fill_tile(program, blocks, b, prefix, work, tile)


def bound_block(program, blocks, b, work, tile):
    """Return what no score of a block exceeds."""
    return _searched(type(program)).bound_block(program, blocks, b, work, tile)


def bound_tile(program, blocks, b, prefix, work, tile):
    """Return what no score of a tile exceeds."""
    return _searched(type(program)).bound_tile(program, blocks, b, prefix, work, tile)


@overload(prepare, **COUNTED)
def _prepare(program, blocks, b, work, tile):  # noqa: ARG001
    chosen = _searched(program.instance_class).prepare
    return lambda program, blocks, b, work, tile: chosen(program, blocks, b, work, tile)  # noqa: PLW0108


@overload(fill_tile, **INLINED)
def _fill_tile(program, blocks, b, prefix, work, tile):  # noqa: ARG001
    chosen = _searched(program.instance_class).fill_tile
    return lambda program, blocks, b, prefix, work, tile: chosen(program, blocks, b, prefix, work, tile)  # noqa: PLW0108


@overload(bound_block, **COUNTED)
def _bound_block(program, blocks, b, work, tile):  # noqa: ARG001
    chosen = _searched(program.instance_class).bound_block
    return lambda program, blocks, b, work, tile: chosen(program, blocks, b, work, tile)  # noqa: PLW0108


@overload(bound_tile, **INLINED)
def _bound_tile(program, blocks, b, prefix, work, tile):  # noqa: ARG001
    chosen = _searched(program.instance_class).bound_tile
    return lambda program, blocks, b, prefix, work, tile: chosen(program, blocks, b, prefix, work, tile)  # noqa: PLW0108
