"""Factorization Machine over ions, stoichiometry, pairs, coefficients and prior knowledge.

Rendle, "Factorization Machines", ICDM 2010, doi:10.1109/ICDM.2010.127, eq. 1: a score is a bias, a linear term per
feature, and for each two features the product of their factor vectors. The features of a candidate are one-hot, but for
the ``prior``: means and second moments of elemental properties over the composition, and in the linear term their
variances and covariances. With ``cation_cation_anion`` there is a third order: for each two cations the product of vectors
of their own, each factor of which the anion scales, ``sum_f u_if u_jf exp(s_xf)``, and two anions by the sum of both (in the
higher-order machines of Blondel et al., arXiv:1607.07195, eq. 3, the third factor has any sign). Every score is then a sum of
unary and pair terms of ions, which the kernels rank and sum over the whole space (:mod:`crcrank.kernels.pairwise`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from crcrank.errors import ModelFitError
from crcrank.kernels.pairwise import PairwiseProgram, fill_scores
from crcrank.models.contract import Arrays, fact, parameter
from crcrank.models.terms import Anatomy, Term, anatomy, mean_terms
from crcrank.space.space import Candidates, Space

# In the order of their parameters, which random starts go by.
FEATURE_GROUPS = ("ion", "ion_coefficient", "cation_anion", "prior", "stoichiometry", "cation_cation_anion")

Parameters = Arrays
_VECTORS = ("row", "slope", "anion_row", "stoichiometry_row")  # the fields of a program whose products are scores


@dataclass(frozen=True)
class FactorizationMachine:
    """The shape of a Factorization Machine: what its features are, not its weights.

    Attributes
    ----------
    space
        The space whose candidates it scores.
    classes
        Classes it scores.
    features
        Feature groups in use, of :data:`FEATURE_GROUPS`.
    n_factors
        Length of the factor vectors.
    components
        Prior components of each cation, then each anion, float64 (n_ions, n_components); may have no columns.
    per_class
        Feature groups whose parameters each class has for itself, as those of its stoichiometries; all classes share the others.
    """

    space: Space
    classes: tuple[str, ...]
    features: frozenset[str]
    n_factors: int
    components: np.ndarray
    per_class: frozenset[str] = frozenset()

    @property
    def max_coefficient(self) -> int:
        """Largest coefficient of any class."""
        return max(self.space.classes[name].composition_class.max_coefficient for name in self.classes)

    @property
    def moments(self) -> np.ndarray:
        """Components of each ion and their products, whose averages over the atoms are means and second moments."""
        p, q = np.triu_indices(self.components.shape[1])
        return np.hstack([self.components, self.components[:, p] * self.components[:, q]])

    @property
    def prior_scale(self) -> float:
        """Root mean square over the ions of the length of their moments, 1 without a prior.

        Dense features are not of size one like one-hot ones; steps, penalties and random starts of their parameters are
        measured in this unit, so that they mean the same for any number of components.
        """
        return float(np.sqrt((self.moments**2).sum(axis=1).mean())) if self.components.shape[1] else 1.0

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter group in use."""
        shapes: dict[str, tuple[int, ...]] = {f"bias.{name}": () for name in self.classes}
        for feature in FEATURE_GROUPS:
            for name in self.classes if feature in self.features else ():
                shapes |= {self._stored(group, name): shape for group, shape in self._shapes_of(feature, name).items()}
        return shapes

    def _shapes_of(self, feature: str, name: str) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter group of a feature group that class ``name`` uses."""
        n_cations, n_anions = len(self.space.ions.cations), len(self.space.ions.anions)
        if feature == "cation_cation_anion":
            return {f"factor.{feature}": (n_cations, self.n_factors), f"scale.{feature}": (n_anions, self.n_factors)}
        shape = {
            "ion": (n_cations + n_anions,),
            "ion_coefficient": (n_cations + n_anions, self.max_coefficient),
            "cation_anion": (n_cations, n_anions),
            "prior": (self.moments.shape[1],),
            "stoichiometry": (len(self.space.classes[name].stoichiometries.keys),),
        }[feature]
        return {f"weight.{feature}": shape, f"factor.{feature}": (*shape, self.n_factors)}

    def _stored(self, group: str, name: str) -> str:
        """Return the name of the parameters that class ``name`` uses as ``group``."""
        return f"{group}.{name}" if feature_of(group) in {"stoichiometry", *self.per_class} else group

    def used_by(self, name: str, parameters: Parameters) -> Parameters:
        """Return the parameters of the features that class ``name`` uses, whether they are its own or shared."""
        groups = (group for feature in self.features for group in self._shapes_of(feature, name))
        return {group: parameters[self._stored(group, name)] for group in groups}

    def _alike(self, names: Sequence[str]) -> list[Sequence[str]]:
        """Return the classes in groups that share all parameters but those of stoichiometries."""
        return [[name] for name in names] if self.per_class & self.features else [names]

    def initial(self, biases: Mapping[str, float], scale: float, rng: np.random.Generator) -> Parameters:
        """Return random factors of standard deviation ``scale``, zero weights, and the given bias of each class."""
        parameters: Parameters = {}
        for name, shape in self.shapes().items():
            if name.startswith("bias."):
                parameters[name] = np.array(biases[name.removeprefix("bias.")], np.float64)
            elif name.startswith(("weight.", "scale.")):
                parameters[name] = np.zeros(shape)
            else:
                unit = self.prior_scale if feature_of(name) == "prior" else 1.0
                parameters[name] = scale / unit * rng.standard_normal(shape)
        return parameters

    def compile(self, parameters: Parameters, name: str, dtype: type = np.float64) -> PairwiseProgram:
        """Return the scoring program for the candidates of class ``name``."""
        return self.compile_all(parameters, dtype, (name,))[name]

    def compile_all(self, parameters: Parameters, dtype: type = np.float64, names: Sequence[str] = ()) -> dict[str, PairwiseProgram]:
        """Return the scoring programs of some classes (all if none is named); classes of the same parameters share arrays."""
        programs = {}
        for alike in self._alike(names or self.classes):
            parts = _Parts(self, self.used_by(alike[0], parameters))
            shared: list[np.ndarray] = [np.ascontiguousarray(array, dtype) for array in parts.shared()]
            for name in alike:
                weight, factor = self.stoichiometries(name, parameters)
                factor = _widened(factor, shared[0].shape[-1])
                own: list[np.ndarray] = [np.ascontiguousarray(array, dtype) for array in (factor, parameters[f"bias.{name}"] + weight)]
                programs[name] = PairwiseProgram(*shared, *own)
        return programs

    def stoichiometries(self, name: str, parameters: Parameters) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights and factors of the stoichiometries of class ``name``, zeros if they are no feature."""
        n_stoichiometries = len(self.space.classes[name].stoichiometries.keys)
        weight = parameters.get(f"weight.stoichiometry.{name}", np.zeros(n_stoichiometries))
        return weight, parameters.get(f"factor.stoichiometry.{name}", np.zeros((n_stoichiometries, self.n_factors)))

    def pull_back(self, parameters: Parameters, gradients: Mapping[str, PairwiseProgram]) -> Parameters:
        """Return the gradient by the parameters, given that by the programs of each class (the transpose of ``compile_all``).

        Arrays that several gradients share count once.
        """
        result: Parameters = {}
        for alike in self._alike(list(gradients)):
            by_field = zip(*(gradients[name][:8] for name in alike), strict=True)
            distinct = ({id(array): array for array in arrays}.values() for arrays in by_field)
            parts = _Parts(self, self.used_by(alike[0], parameters))
            for group, values in parts.pull_back([np.asarray(sum(arrays), np.float64) for arrays in distinct]).items():
                stored = self._stored(group, alike[0])
                result[stored] = result.get(stored, 0.0) + values
        for name, gradient in gradients.items():
            result[f"bias.{name}"] = np.array(gradient.stoichiometry_bias.sum(), np.float64)
            result[f"weight.stoichiometry.{name}"] = gradient.stoichiometry_bias.astype(np.float64)
            result[f"factor.stoichiometry.{name}"] = gradient.stoichiometry_row[:, : self.n_factors].astype(np.float64)
        return {group: result.get(group, np.zeros(shape)) for group, shape in self.shapes().items()}


class _Parts:
    """The factor vectors that a class uses, laid out over (set of anions, cation, coefficient), absent groups as zeros."""

    def __init__(self, model: FactorizationMachine, parameters: Parameters) -> None:
        ions = model.space.ions
        self.n_cations, self.n_anions = len(ions.cations), len(ions.anions)
        self.holds = np.array([np.bincount(chosen, minlength=self.n_anions) for chosen in model.space.anion_sets], np.float64)
        n_ions, m, k = self.n_cations + self.n_anions, model.max_coefficient, model.n_factors
        self.moments, self.n_components = model.moments, model.components.shape[1]
        self.components = model.components
        n_moments = self.moments.shape[1]

        def group(name: str, *shape: int) -> tuple[np.ndarray, np.ndarray]:
            weight = parameters.get(f"weight.{name}")
            if weight is None:
                return np.zeros(shape), np.zeros((*shape, k))
            return weight, parameters[f"factor.{name}"]

        self.ion_weight, self.ion = group("ion", n_ions)
        self.coefficient_weight, self.coefficient = group("ion_coefficient", n_ions, m)
        self.pair_weight, self.pair = group("cation_anion", self.n_cations, self.n_anions)
        self.prior_weight, self.prior = group("prior", n_moments)
        self.slope = self.moments @ self.prior
        c = self.n_cations
        self.third = parameters.get("factor.cation_cation_anion", np.zeros((c, 0)))
        with np.errstate(over="ignore", invalid="ignore"):  # who fits or ranks with scores that are not finite says so
            self.scale = np.exp(parameters.get("scale.cation_cation_anion", np.zeros((self.n_anions, 0))))
            self.spread = np.sqrt(self.holds @ self.scale)
        self.third_row = self.third * self.spread[:, None]
        self.row = self.ion[None, :c, None] + self.coefficient[None, :c] + self._of_sets(self.pair)[:, :, None]
        self.anion_row = self.ion[c:, None] + self.coefficient[c:]

    def _of_sets(self, pairs: np.ndarray) -> np.ndarray:
        """Return the sums of what belongs to each cation and anion (C, A, ...) over each set of anions, (n_sets, C, ...)."""
        return np.tensordot(self.holds, np.moveaxis(pairs, 1, 0), 1)

    def _of_anions(self, sets: np.ndarray) -> np.ndarray:
        """Return the transpose of :meth:`_of_sets`, (C, A, ...)."""
        return np.moveaxis(np.tensordot(self.holds.T, sets, 1), 0, 1)

    def _scale_back(self, spread: np.ndarray) -> np.ndarray:
        """Return the gradient by the scales of the anions, given that by the spread of each set."""
        by_square = np.divide(spread, 2 * self.spread, out=np.zeros_like(spread), where=self.spread > 0)
        return np.asarray(self.scale * (self.holds.T @ by_square))

    def shared(self) -> tuple[np.ndarray, ...]:
        """Return the fields of the program that classes of the same parameters share, in its order."""
        c = self.n_cations
        ion_square, coefficient_square, pair_square = (_square(a) for a in (self.ion, self.coefficient, self.pair))
        bias = (
            (self.ion_weight - ion_square / 2)[None, :c, None]
            + (self.coefficient_weight - coefficient_square / 2)[None, :c]
            + self._of_sets(self.pair_weight - pair_square / 2)[:, :, None]
            + _square(self.row) / 2
        )
        linear = self.moments @ self.prior_weight
        fraction_bias = linear[None, :c, None] + np.einsum("xicf,if->xic", self.row, self.slope[:c], optimize=True)
        anion_bias = (
            (self.ion_weight - ion_square / 2)[c:, None]
            + (self.coefficient_weight - coefficient_square / 2)[c:]
            + _square(self.anion_row) / 2
        )
        anion_fraction_bias = linear[c:, None] + np.einsum("xcf,xf->xc", self.anion_row, self.slope[c:])
        third = np.broadcast_to(self.third_row[:, :, None], (*self.row.shape[:-1], self.third.shape[1]))
        row = np.concatenate([self.row, third], axis=-1)
        slope, anion_row = (_widened(vectors, row.shape[-1]) for vectors in (self.slope, self.anion_row))
        return row, slope, self.curve(), bias, fraction_bias, anion_row, anion_bias, anion_fraction_bias

    def curve(self) -> np.ndarray:
        """Return the coefficient of each product of two atomic fractions.

        The kernels multiply the slopes of different positions; here come those of a position with itself. Less than that
        by the product of each moment with itself (eq. 1 sums over different features), and by the products of means in the
        covariances.
        """
        own = (self.moments * _square(self.prior)) @ self.moments.T
        product = (self.components @ self._covariance_weight()) @ self.components.T
        curve = np.asarray(-own - product - product.T)
        curve[np.diag_indices_from(curve)] += _square(self.slope)
        return curve

    def _covariance_weight(self) -> np.ndarray:
        weight = np.zeros((self.n_components, self.n_components))
        weight[np.triu_indices(self.n_components)] = self.prior_weight[self.n_components :]
        return weight

    def pull_back(self, shared: Sequence[np.ndarray]) -> Parameters:
        """Return the gradient by the feature groups, given that by :meth:`shared`."""
        row, slope, curve, bias, fraction_bias, anion_row, anion_bias, anion_fraction_bias = shared
        c, k = self.n_cations, self.slope.shape[1]
        third_row = row[..., k:].sum(axis=2)
        row, slope, anion_row = row[..., :k], slope[:, :k], anion_row[..., :k]
        symmetric = curve + curve.T
        slope = slope + 2 * np.diagonal(curve)[:, None] * self.slope
        slope[:c] += np.einsum("xic,xicf->if", fraction_bias, self.row, optimize=True)
        slope[c:] += np.einsum("xc,xcf->xf", anion_fraction_bias, self.anion_row)
        row = row + bias[..., None] * self.row + fraction_bias[..., None] * self.slope[None, :c, None]
        anion_row = anion_row + anion_bias[..., None] * self.anion_row + anion_fraction_bias[..., None] * self.slope[c:, None]
        coefficient_weight = np.concatenate([bias.sum(axis=0), anion_bias])
        coefficient = np.concatenate([row.sum(axis=0), anion_row]) - coefficient_weight[..., None] * self.coefficient
        ion_weight = coefficient_weight.sum(axis=1)
        ion = np.concatenate([row.sum(axis=(0, 2)), anion_row.sum(axis=1)]) - ion_weight[:, None] * self.ion
        pair_weight = self._of_anions(bias.sum(axis=2))
        pair = self._of_anions(row.sum(axis=2)) - pair_weight[..., None] * self.pair
        fraction = np.concatenate([fraction_bias.sum(axis=(0, 2)), anion_fraction_bias.sum(axis=1)])
        own = np.einsum("at,ab,bt->t", self.moments, curve, self.moments, optimize=True)
        prior_weight = self.moments.T @ fraction
        covariance = self.components.T @ symmetric @ self.components
        prior_weight[self.n_components :] -= covariance[np.triu_indices(self.n_components)]
        return {
            "weight.ion": ion_weight,
            "factor.ion": ion,
            "weight.ion_coefficient": coefficient_weight,
            "factor.ion_coefficient": coefficient,
            "weight.cation_anion": pair_weight,
            "factor.cation_anion": pair,
            "weight.prior": prior_weight,
            "factor.prior": self.moments.T @ slope - 2 * own[:, None] * self.prior,
            "factor.cation_cation_anion": (third_row * self.spread[:, None]).sum(axis=0),
            "scale.cation_cation_anion": self._scale_back((third_row * self.third).sum(axis=1)),
        }


def feature_of(parameter: str) -> str:
    """Return the feature group of ``KIND.FEATURE`` or ``KIND.FEATURE.CLASS``; of a bias, its class."""
    return parameter.split(".")[1]


def _widened(vectors: np.ndarray, width: int) -> np.ndarray:
    """Return the vectors with zeros up to ``width``."""
    if vectors.shape[-1] == width:
        return vectors
    return np.pad(vectors, [(0, 0)] * (vectors.ndim - 1) + [(0, width - vectors.shape[-1])])


def _square(factors: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("...f,...f->...", factors, factors))


@dataclass(frozen=True)
class FittedFM:
    """A Factorization Machine with its parameters, or the mean score of several that differ in their seed."""

    machine: FactorizationMachine
    members: tuple[Parameters, ...]

    @property
    def is_probabilistic(self) -> bool:
        """Whether a score says how probable it is to be known."""
        return True

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes it was trained on and can score."""
        return self.machine.classes

    def program(self, name: str) -> PairwiseProgram:
        """Return the float64 scoring program of class ``name``."""
        return mean_program([self.machine.compile(parameters, name) for parameters in self.members])

    def scores(self, name: str, candidates: Candidates) -> np.ndarray:
        """Return the scores of candidates of class ``name``, float64 (n,)."""
        scores = np.empty(len(candidates))
        fill_scores(self.program(name), self.machine.space.block_arrays(name), candidates.blocks, candidates.cations, scores)
        return scores

    def terms(self, name: str, candidates: Candidates) -> list[Term]:
        """Return the terms of eq. 1 for a single candidate, put together by the ions that they belong to."""
        parts = anatomy(self.machine.space, name, candidates)
        return mean_terms([_terms(self.machine, parameters, name, parts) for parameters in self.members])

    def transferred(self, classes: Sequence[str]) -> FittedFM:
        """Return the model with more classes, which it never saw: what is their own, as bias and stoichiometries, counts nothing.

        Raises
        ------
        ModelFitError
            If a class has larger coefficients than any that was learned.
        """
        machine = replace(self.machine, classes=(*self.machine.classes, *classes))
        if machine.max_coefficient > self.machine.max_coefficient:
            raise ModelFitError(
                f"train: no coefficient above {self.machine.max_coefficient} was learned, but {', '.join(classes)} "
                f"has coefficients to {machine.max_coefficient}: it cannot be ranked by a model that never saw it"
            )
        shapes = machine.shapes()
        return FittedFM(machine, tuple({name: item.get(name, np.zeros(shape)) for name, shape in shapes.items()} for item in self.members))

    def arrays(self) -> Arrays:
        """Return all its numbers by name."""
        members = {f"{i}.{name}": values for i, parameters in enumerate(self.members) for name, values in parameters.items()}
        return {**members, "components": self.machine.components}

    def facts(self) -> dict[str, Any]:
        """Return what else is needed to restore it, JSON-serialisable."""
        machine = self.machine
        return {
            "classes": list(machine.classes),
            "features": sorted(machine.features),
            "per_class": sorted(machine.per_class),
            "n_factors": machine.n_factors,
            "n_components": machine.components.shape[1],
            "n_models": len(self.members),
        }

    @classmethod
    def restore(cls, arrays: Arrays, facts: Mapping[str, Any], space: Space) -> FittedFM:
        """Return the model that :meth:`arrays` and :meth:`facts` came from."""
        features, per_class = frozenset(fact(facts, "features")), frozenset(fact(facts, "per_class"))
        components = parameter(arrays, "components", (len(space.ions.labels), fact(facts, "n_components")))
        machine = FactorizationMachine(space, tuple(fact(facts, "classes")), features, fact(facts, "n_factors"), components, per_class)
        return cls(machine, tuple(_member(arrays, machine, i) for i in range(fact(facts, "n_models"))))


def _member(arrays: Arrays, machine: FactorizationMachine, i: int) -> Parameters:
    return {name: parameter(arrays, f"{i}.{name}", shape) for name, shape in machine.shapes().items()}


def _terms(machine: FactorizationMachine, parameters: Parameters, name: str, parts: Anatomy) -> list[Term]:
    """Return the terms by one set of parameters: of each ion and pair of ions, with the stoichiometry, with the prior."""
    groups, own, n = _Parts(machine, machine.used_by(name, parameters)), (parts.ions, parts.coefficients - 1), parts.n_cations
    ion, coefficient = groups.ion[parts.ions], groups.coefficient[own]
    grid = np.ix_(parts.ions[:n], parts.ions[n:] - groups.n_cations)
    pair, pair_weight, third = groups.pair[grid], groups.pair_weight[grid], groups.third_row[parts.anion_set, parts.ions[:n]]
    vectors = ion + coefficient
    vectors[:n] += pair.sum(axis=1)
    weight = groups.ion_weight[parts.ions] + groups.coefficient_weight[own] + _product(ion, coefficient)
    weight[:n] += (_square(pair.sum(axis=1)) - _square(pair).sum(axis=1)) / 2
    stoichiometry_weight, stoichiometry = (values[parts.stoichiometry] for values in machine.stoichiometries(name, parameters))
    prior, prior_alone = _prior(groups, parts)
    terms = [Term("bias", name, float(parameters[f"bias.{name}"])), Term("stoichiometry", parts.stoichiometry_text, stoichiometry_weight)]
    terms += [Term("ion", label, value) for label, value in zip(parts.labels, weight, strict=True)]
    for a, b in combinations(range(len(parts.ions)), 2):
        value = vectors[a] @ vectors[b]
        if a < n <= b:  # the pair's own feature, and its products with the features of its cation
            value += pair_weight[a, b - n] + pair[a, b - n] @ (ion[a] + coefficient[a])
        terms.append(Term("pair", f"{parts.labels[a]} {parts.labels[b]}", value))
    for a, b in combinations(range(n), 2) if third.size else ():
        terms.append(Term("two cations with the anion", f"{parts.labels[a]} {parts.labels[b]}", third[a] @ third[b]))
    terms += [Term("ion in this stoichiometry", label, vector @ stoichiometry) for label, vector in zip(parts.labels, vectors, strict=True)]
    terms.append(Term("prior", "means, variances and covariances alone", prior_alone))
    terms.append(Term("prior", "with the stoichiometry", prior @ stoichiometry))
    terms += [Term("prior", f"with {label}", vector @ prior) for label, vector in zip(parts.labels, vectors, strict=True)]
    return [term._replace(value=float(term.value)) for term in terms]


def _prior(groups: _Parts, parts: Anatomy) -> tuple[np.ndarray, float]:
    """Return the vector of means and second moments, float64 (n_factors,), and the prior's own terms."""
    fractions = parts.coefficients / parts.coefficients.sum()
    means, moments = fractions @ groups.components[parts.ions], fractions @ groups.moments[parts.ions]
    p, q = np.triu_indices(groups.n_components)
    linear = np.concatenate([moments[: groups.n_components], moments[groups.n_components :] - means[p] * means[q]])
    prior = moments @ groups.prior
    own = (prior @ prior - (moments**2) @ _square(groups.prior)) / 2
    return prior, float(linear @ groups.prior_weight + own)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("...f,...f->...", a, b))


def mean_program(programs: Sequence[PairwiseProgram]) -> PairwiseProgram:
    """Return the program whose scores are the mean of those of ``programs``: their vectors side by side, the rest averaged."""
    n = len(programs)
    if n == 1:
        return programs[0]
    parts = {field: [getattr(program, field) for program in programs] for field in PairwiseProgram._fields}
    joined = {
        field: np.concatenate(arrays, axis=-1) / np.sqrt(n) if field in _VECTORS else np.mean(arrays, axis=0)
        for field, arrays in parts.items()
    }
    return PairwiseProgram(**joined)


def tempered(program: PairwiseProgram, power: float) -> PairwiseProgram:
    """Return the program whose scores are ``power`` times those of ``program``."""
    return PairwiseProgram(*(array * (np.sqrt(power) if field in _VECTORS else power) for field, array in program._asdict().items()))
