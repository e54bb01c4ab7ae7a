"""How common the ions and the stoichiometry of a candidate are among the known compositions, as if they were independent."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from crcrank.config import PopularitySettings
from crcrank.kernels.pairwise import PairwiseProgram, fill_scores
from crcrank.models.contract import Arrays, Fitted, TrainingData, fact, parameter
from crcrank.models.likelihood import ClassLikelihood, zeros_like
from crcrank.models.terms import Term, anatomy
from crcrank.progress import ProgressSink
from crcrank.space.space import Candidates, Space

_PARTS = ("cation", "anion", "stoichiometry")


@dataclass(frozen=True)
class Popularity:
    """Logarithms of frequencies.

    Attributes
    ----------
    space
        The space.
    classes
        Classes it was trained on and can score.
    frequencies
        ``cation.CLASS`` (n_cations,), ``anion.CLASS`` (n_anions,) and ``stoichiometry.CLASS`` (n_stoichiometries,), which
        add up to a score, float64.
    """

    space: Space
    classes: tuple[str, ...]
    frequencies: Arrays

    @property
    def is_probabilistic(self) -> bool:
        """Whether a score says how probable it is to be known."""
        return False

    def program(self, name: str) -> PairwiseProgram:
        """Return the float64 scoring program of class ``name``, which has no factors."""
        cation, anion, stoichiometry = (self.frequencies[f"{part}.{name}"] for part in _PARTS)
        n_coefficients = self.space.classes[name].composition_class.max_coefficient
        shape, n_ions = (len(self.space.anion_sets), len(cation), n_coefficients), len(cation) + len(anion)
        return PairwiseProgram(
            row=np.zeros((*shape, 0)),
            slope=np.zeros((n_ions, 0)),
            curve=np.zeros((n_ions, n_ions)),
            bias=np.ascontiguousarray(np.broadcast_to(cation[:, None], shape)),
            fraction_bias=np.zeros(shape),
            anion_row=np.zeros((len(anion), n_coefficients, 0)),
            anion_bias=np.repeat(anion[:, None], n_coefficients, axis=1),
            anion_fraction_bias=np.zeros((len(anion), n_coefficients)),
            stoichiometry_row=np.zeros((len(stoichiometry), 0)),
            stoichiometry_bias=stoichiometry,
        )

    def scores(self, name: str, candidates: Candidates) -> np.ndarray:
        """Return the scores of candidates of class ``name``, float64 (n,)."""
        scores = np.empty(len(candidates))
        fill_scores(self.program(name), self.space.block_arrays(name), candidates.blocks, candidates.cations, scores)
        return scores

    def terms(self, name: str, candidates: Candidates) -> list[Term]:
        """Return the logarithms of the frequencies of a single candidate's ions and of its stoichiometry."""
        parts, (cation, anion, stoichiometry) = (
            anatomy(self.space, name, candidates),
            (self.frequencies[f"{part}.{name}"] for part in _PARTS),
        )
        values = np.concatenate([cation, anion])[parts.ions].tolist()
        ions = [Term("ion", label, value) for label, value in zip(parts.labels, values, strict=True)]
        return [Term("stoichiometry", parts.stoichiometry_text, float(stoichiometry[parts.stoichiometry])), *ions]

    def arrays(self) -> Arrays:
        """Return all its numbers by name."""
        return self.frequencies

    def facts(self) -> dict[str, Any]:
        """Return what else is needed to restore it, JSON-serialisable."""
        return {"classes": list(self.classes)}

    @classmethod
    def restore(cls, arrays: Arrays, facts: Mapping[str, Any], space: Space) -> Popularity:
        """Return the model that :meth:`arrays` and :meth:`facts` came from."""
        terms = {}
        for name in fact(facts, "classes"):
            sizes = (len(space.ions.cations), len(space.ions.anions), len(space.classes[name].stoichiometries.keys))
            for part, size in zip(_PARTS, sizes, strict=True):
                terms[f"{part}.{name}"] = parameter(arrays, f"{part}.{name}", (size,))
        return cls(space, tuple(fact(facts, "classes")), terms)


def fit_popularity(
    data: TrainingData,
    settings: PopularitySettings,
    rng: np.random.Generator,  # noqa: ARG001  (nothing is random)
    n_threads: int,
    progress: ProgressSink,
) -> Fitted:
    """Count ions and stoichiometries; a constant then makes the rates of all candidates add up to the number of known ones."""
    progress.start("train", sum(data.space.classes[name].n_candidates for name in data.classes), "candidates")
    terms: Arrays = {}
    model = Popularity(data.space, data.classes, terms)
    for name in data.classes:
        known, item = data.known(name), data.space.classes[name]
        indices = (known.cations.ravel(), item.block_anions[known.blocks].ravel(), item.block_stoichiometry[known.blocks])
        sizes = (len(data.space.ions.cations), len(data.space.ions.anions), len(item.stoichiometries.keys))
        for part, index, size in zip(_PARTS, indices, sizes, strict=True):
            counts = np.bincount(index, minlength=size) + settings.pseudo_count
            terms[f"{part}.{name}"] = np.log(counts / counts.sum())
        terms[f"stoichiometry.{name}"] += np.log(len(known) / _sum_of_rates(model, name, n_threads))
        progress.advance(item.n_candidates, name)
    return Fitted(model)


def _sum_of_rates(model: Popularity, name: str, n_threads: int) -> float:
    program = PairwiseProgram(*(np.ascontiguousarray(array, np.float32) for array in model.program(name)))
    blocks = np.arange(model.space.classes[name].n_blocks)
    with ThreadPoolExecutor(n_threads) as pool:
        return ClassLikelihood(model.space, name).add_rates(program, blocks, 1.0, [zeros_like(program) for _ in range(4)], pool)
