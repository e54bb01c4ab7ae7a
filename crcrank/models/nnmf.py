"""Neural network matrix factorization: latent vectors of ions and stoichiometries, and a network that makes a score of them.

Dziugaite & Roy, "Neural Network Matrix Factorization", arXiv:1511.06443: rows and columns of a matrix have latent vectors, of
which some are multiplied element by element and some concatenated, and a network of three hidden layers of 50 units takes the
place of the inner product. Here a candidate has the features of a Factorization Machine, each with a latent vector: its ions,
each ion at its coefficient, each cation beside the anion, and the stoichiometry. The vectors of the cations are added up, so
that the score does not depend on their order; what the network sees of the sums is said in :mod:`crcrank.kernels.perceptron`.
All classes share the network and the vectors of the ions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from crcrank.kernels.perceptron import PerceptronProgram, fill_scores
from crcrank.models.contract import Arrays, fact, parameter
from crcrank.models.terms import Term
from crcrank.space.space import Candidates, Space

Parameters = Arrays
_NETWORK = ("concatenated", "multiplied", "first_bias", "hidden", "hidden_bias", "last")


@dataclass(frozen=True)
class LatentNetwork:
    """The shape of the model, not its weights.

    Attributes
    ----------
    space, classes
        The space, and the classes that it scores.
    n_concatenated, n_multiplied
        Length of the two parts of each latent vector.
    n_layers, n_hidden
        Hidden layers and the units in each.
    """

    space: Space
    classes: tuple[str, ...]
    n_concatenated: int
    n_multiplied: int
    n_layers: int
    n_hidden: int

    @property
    def max_coefficient(self) -> int:
        """Largest coefficient of any class."""
        return max(self.space.classes[name].composition_class.max_coefficient for name in self.classes)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter group: ``latent.*``, ``network.*`` and a ``bias`` for each class."""
        n_cations, n_anions = len(self.space.ions.cations), len(self.space.ions.anions)
        d, f, h = self.n_concatenated, self.n_multiplied, self.n_hidden
        shapes: dict[str, tuple[int, ...]] = {
            "latent.ion": (n_cations + n_anions, d + f),
            "latent.ion_coefficient": (n_cations + n_anions, self.max_coefficient, d + f),
            "latent.cation_anion": (n_cations, n_anions, d + f),
        }
        for name in self.classes:
            shapes[f"latent.stoichiometry.{name}"] = (len(self.space.classes[name].stoichiometries.keys), d + f)
            shapes[f"bias.{name}"] = (1,)
        weights = ((3, d, h), (3, f, h), (h,), (self.n_layers - 1, h, h), (self.n_layers - 1, h), (h,))
        return shapes | {f"network.{group}": shape for group, shape in zip(_NETWORK, weights, strict=True)}

    def compile(self, parameters: Parameters, name: str, dtype: type = np.float64) -> PerceptronProgram:
        """Return the scoring program for the candidates of class ``name``."""
        return self.compile_all(parameters, dtype, (name,))[name]

    def compile_all(self, parameters: Parameters, dtype: type = np.float64, names: tuple[str, ...] = ()) -> dict[str, PerceptronProgram]:
        """Return the scoring programs of some classes (all if none is named); they share all but bias and stoichiometries."""
        c = len(self.space.ions.cations)
        given: Parameters = {group: np.ascontiguousarray(values, dtype) for group, values in parameters.items()}
        ion, coefficient, pair = (given[f"latent.{group}"] for group in ("ion", "ion_coefficient", "cation_anion"))
        row = np.ascontiguousarray(pair.transpose(1, 0, 2)[:, :, None] + (ion[:c, None] + coefficient[:c]))
        shared = PerceptronProgram(
            row=row,
            anion_row=ion[c:, None] + coefficient[c:],
            stoichiometry_row=np.empty(0, dtype),
            bias=np.empty(0, dtype),
            **{group: given[f"network.{group}"] for group in _NETWORK},
        )
        return {
            name: shared._replace(stoichiometry_row=given[f"latent.stoichiometry.{name}"], bias=given[f"bias.{name}"])
            for name in names or self.classes
        }

    def pull_back(self, gradients: Mapping[str, PerceptronProgram]) -> Parameters:
        """Return the gradient by the parameters, given that by the programs of each class, which share arrays as ``compile_all``'s do."""
        shared = next(iter(gradients.values()))
        row, anion_row = shared.row.astype(np.float64), shared.anion_row.astype(np.float64)
        by_cation = row.sum(axis=0)
        result = {
            "latent.ion": np.concatenate([by_cation.sum(axis=1), anion_row.sum(axis=1)]),
            "latent.ion_coefficient": np.concatenate([by_cation, anion_row]),
            "latent.cation_anion": row.sum(axis=2).transpose(1, 0, 2),
        }
        for name, gradient in gradients.items():
            result[f"latent.stoichiometry.{name}"] = gradient.stoichiometry_row.astype(np.float64)
            result[f"bias.{name}"] = gradient.bias.astype(np.float64)
        return result | {f"network.{group}": getattr(shared, group).astype(np.float64) for group in _NETWORK}


@dataclass(frozen=True)
class FittedNNMF:
    """A network with its parameters."""

    network: LatentNetwork
    parameters: Parameters

    @property
    def is_probabilistic(self) -> bool:
        """Whether a score says how probable it is to be known."""
        return True

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes it was trained on and can score."""
        return self.network.classes

    def program(self, name: str) -> PerceptronProgram:
        """Return the float64 scoring program of class ``name``."""
        return self.network.compile(self.parameters, name)

    def scores(self, name: str, candidates: Candidates) -> np.ndarray:
        """Return the scores of candidates of class ``name``, float64 (n,)."""
        scores = np.empty(len(candidates))
        fill_scores(self.program(name), self.network.space.block_arrays(name), candidates.blocks, candidates.cations, scores)
        return scores

    def terms(self, name: str, candidates: Candidates) -> list[Term]:
        """Return the bias of the class, and what the network makes of a single candidate's latent vectors, which is no sum."""
        bias = float(self.program(name).bias[0])
        whole = float(self.scores(name, candidates)[0])
        return [Term("bias", name, bias), Term("network", "all ions and the stoichiometry together", whole - bias)]

    def arrays(self) -> Arrays:
        """Return all its numbers by name."""
        return self.parameters

    def facts(self) -> dict[str, Any]:
        """Return what else is needed to restore it, JSON-serialisable."""
        network = self.network
        return {
            "classes": list(network.classes),
            "n_concatenated": network.n_concatenated,
            "n_multiplied": network.n_multiplied,
            "n_layers": network.n_layers,
            "n_hidden": network.n_hidden,
        }

    @classmethod
    def restore(cls, arrays: Arrays, facts: Mapping[str, Any], space: Space) -> FittedNNMF:
        """Return the model that :meth:`arrays` and :meth:`facts` came from."""
        sizes = {key: fact(facts, key) for key in ("n_concatenated", "n_multiplied", "n_layers", "n_hidden")}
        network = LatentNetwork(space, tuple(fact(facts, "classes")), **sizes)
        return cls(network, {name: parameter(arrays, name, shape) for name, shape in network.shapes().items()})
