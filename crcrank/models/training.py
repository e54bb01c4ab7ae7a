"""Fitting a Factorization Machine to known compositions against every other candidate of the space.

Each step takes a random part of the blocks of every class: the known candidates in these blocks, and the closed-form sum
over all their candidates, both times the number of parts. An epoch visits every candidate of the space exactly once, but for
classes so large that a random part of their blocks will do.
Steps are Adam's (Kingma & Ba, arXiv:1412.6980, algorithm 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from crcrank.chem.elements import PropertyComponents, property_components
from crcrank.config import FMSettings
from crcrank.errors import ModelFitError
from crcrank.kernels.pairwise import PairwiseProgram
from crcrank.models.contract import Earlier, Fitted, Parts, TrainingData
from crcrank.models.fm import FactorizationMachine, FittedFM, Parameters, feature_of
from crcrank.models.likelihood import ClassLikelihood, KnownCandidates, log_known
from crcrank.models.substitution import similarity_of_ions
from crcrank.models.warm import WarmStart
from crcrank.progress import ProgressSink
from crcrank.space.space import Candidates

_INITIAL_SCALE = 0.1
_MOMENTS = (0.9, 0.99)
_OF_IONS = frozenset({"ion", "ion_coefficient", "cation_anion", "cation_cation_anion"})
_N_PARTS = 4  # of each batch, whatever the number of threads, so that the result does not depend on it


@dataclass(frozen=True)
class Epoch:
    """What one pass over the space gave.

    Attributes
    ----------
    phase
        ``fit`` (validation part held back) or ``final`` (all known).
    loss
        Negative log-likelihood and penalty over the pass.
    validation
        Negative log-likelihood per held-back composition, of each class; empty if nothing was held back.
    """

    epoch: int
    phase: str
    learning_rate: float
    loss: float
    validation: dict[str, float]


@dataclass
class _Adam:
    first: Parameters = field(default_factory=dict)
    second: Parameters = field(default_factory=dict)
    n_steps: int = 0

    def step(self, parameters: Parameters, gradient: Parameters, rates: Mapping[str, float]) -> None:
        self.n_steps += 1
        keep_first, keep_second = _MOMENTS
        for name, slope in gradient.items():
            self.first[name] = keep_first * self.first.get(name, 0.0) + (1 - keep_first) * slope
            self.second[name] = keep_second * self.second.get(name, 0.0) + (1 - keep_second) * slope**2
            mean = self.first[name] / (1 - keep_first**self.n_steps)
            scale = np.sqrt(self.second[name] / (1 - keep_second**self.n_steps)) + 1e-8
            parameters[name] = parameters[name] - rates[name] * mean / scale


class Fit:
    """One fit of a machine.

    Parameters
    ----------
    machine
        Shape of the model.
    parts
        Candidates of each class to learn from, and those held back; a class may have none of the latter.
    options, rng, n_threads
        How to fit; the result does not depend on the number of threads.
    start
        Parameters to go on from, which take the last passes of a fit only; random ones if left out.
    """

    def __init__(
        self,
        machine: FactorizationMachine,
        parts: Parts,
        options: FMSettings,
        rng: np.random.Generator,
        n_threads: int,
        start: Parameters | None = None,
    ) -> None:
        self.machine, self.options = machine, options
        self._known, self._validation = parts
        self._laplacian = _laplacian(similarity_of_ions(machine.space, self._known)) if options.l2.similarity else None
        self._first_epoch = max(0, options.n_epochs - options.n_warm_epochs) if start else 0
        self._rng, self._n_threads = rng, n_threads
        self._sums = {name: ClassLikelihood(machine.space, name) for name in machine.classes}
        self._n_parts = {name: _n_parts(options, machine.space.classes[name].n_candidates) for name in machine.classes}
        self._adam = _Adam()
        self._prior_scale = machine.prior_scale
        n_candidates = {name: machine.space.classes[name].n_candidates for name in machine.classes}
        n_known = {name: len(self._known[name]) for name in machine.classes}
        self._class_weights = class_weights(n_known, options.class_balance)
        biases = {name: float(np.log(n_known[name] / n_candidates[name])) for name in machine.classes}
        self.parameters = dict(start) if start else machine.initial(biases, _INITIAL_SCALE, rng)
        self.history: list[Epoch] = []
        self._n_visited = sum(n_candidates[name] * options.n_batches // self._n_parts[name] for name in machine.classes)
        self._buffers: list[dict[str, PairwiseProgram]] = []

    def learn(self, progress: ProgressSink) -> None:
        """Take all epochs of the settings; the validation part stays unseen, and does not say when to stop."""
        progress.start("train", self._n_visited * (self.options.n_epochs - self._first_epoch), "candidates")
        for epoch in range(self._first_epoch, self.options.n_epochs):
            rate = self._rate(epoch)
            loss, validation = self._epoch(self._known, rate)
            self._log(Epoch(len(self.history) + 1, "fit", rate, loss, validation), progress)

    def finish(self, progress: ProgressSink) -> None:
        """Take the last epochs on all known compositions."""
        options = self.options
        progress.start("train on all known", self._n_visited * options.n_final_epochs, "candidates")
        everything = {name: self._known[name].joined(self._validation[name]) for name in self.machine.classes}
        for epoch in range(options.n_final_epochs):
            rate = self._rate(options.n_epochs - options.n_final_epochs + epoch)
            loss, _ = self._epoch(everything, rate)
            self._log(Epoch(len(self.history) + 1, "final", rate, loss, {}), progress)

    def _rate(self, epoch: int) -> float:
        return self.options.learning_rate * max(0.05, 1 - epoch / self.options.n_epochs)

    def _log(self, epoch: Epoch, progress: ProgressSink) -> None:
        self.history.append(epoch)
        note = " ".join(f"{name[:5]} {value:.3f}" for name, value in epoch.validation.items())
        progress.advance(self._n_visited, f"epoch {epoch.epoch} {note}")

    def _epoch(self, known: Mapping[str, Candidates], rate: float) -> tuple[float, dict[str, float]]:
        """Take one pass over the space, or over a random part of the classes that are too large for it.

        Returns
        -------
        tuple
            Its loss, and the negative log-likelihood per held-back composition of each class that has any. Both are summed over
            the steps, each at the parameters that the step starts from; a class's rates are thinned to its held-back part.
        """
        batches = {name: sums.batches(self._n_parts[name], self._rng) for name, sums in self._sums.items()}
        loss, rates, held = 0.0, dict.fromkeys(self.machine.classes, 0.0), dict.fromkeys(self.machine.classes, 0.0)
        n_steps = self.options.n_batches
        with ThreadPoolExecutor(self._n_threads) as pool:
            for step in range(n_steps):
                programs = self.machine.compile_all(self.parameters, np.float32)
                buffers = self._cleared_buffers(programs)
                for name, sums in self._sums.items():
                    batch, weight = batches[name][step], self._n_parts[name] * self._class_weights[name]
                    loss += sums.add_known(programs[name], _within(known[name], batch, weight), buffers[0][name]) / n_steps
                    rates[name] += sums.add_rates(programs[name], batch, weight, [buffer[name] for buffer in buffers], pool) / n_steps
                    known_part = log_known(sums.scores(programs[name], _within(self._validation[name], batch, 1.0))).sum()
                    held[name] -= float(known_part) * weight / n_steps
                if not np.isfinite(loss + sum(rates.values())):
                    raise ModelFitError(
                        f"train: the fit diverged in epoch {len(self.history) + 1}; lower learning_rate or raise l2 in [train.fm]"
                    )
                loss += self._step(_gathered(buffers), rate) / n_steps
        n_held = {name: len(self._validation[name]) for name in held}
        each = {name: held[name] / n_held[name] + rates[name] / len(known[name]) for name in held if n_held[name]}
        validation = {name: value / self._class_weights[name] for name, value in each.items()}
        return loss + sum(rates.values()), validation

    def _cleared_buffers(self, programs: Mapping[str, PairwiseProgram]) -> list[dict[str, PairwiseProgram]]:
        """Return zeros to gather gradients in, one set for each part of a batch; programs that share an array share its zeros."""
        if not self._buffers:
            for _ in range(_N_PARTS):
                zeros = {id(array): np.zeros_like(array) for program in programs.values() for array in program}
                self._buffers.append({name: PairwiseProgram(*(zeros[id(array)] for array in item)) for name, item in programs.items()})
        for buffer in self._buffers:
            for item in buffer.values():
                for array in item:
                    array.fill(0)
        return self._buffers

    def _step(self, gradients: Mapping[str, PairwiseProgram], rate: float) -> float:
        gradient = self.machine.pull_back(self.parameters, gradients)
        penalty = 0.0
        for name, values in self.parameters.items():
            weight = self._l2(name) * self._unit(name) ** 2
            pull = weight * values + self._similarity_pull(name, values)
            gradient[name] = gradient[name] + pull
            penalty += float((values * pull).sum()) / 2
        self._adam.step(self.parameters, gradient, {name: rate / self._unit(name) for name in gradient})
        return penalty

    def _similarity_pull(self, parameter: str, values: np.ndarray) -> np.ndarray | float:
        """Return the gradient of the penalty on how the ions of a parameter group differ from those that replace them."""
        if self._laplacian is None or parameter.startswith("scale.") or feature_of(parameter) not in _OF_IONS:
            return 0.0
        n_ions = len(values)  # all, or the cations, which come first
        flow: np.ndarray = self._laplacian[:n_ions, :n_ions] @ values.reshape(n_ions, -1)
        return self.options.l2.similarity * flow.reshape(values.shape)

    def _unit(self, parameter: str) -> float:
        return self._prior_scale if feature_of(parameter) == "prior" else 1.0

    def _l2(self, parameter: str) -> float:
        kind = parameter.partition(".")[0]
        if kind == "bias":
            return 0.0
        return float(getattr(self.options.l2, "weights" if kind == "weight" else feature_of(parameter)))


def _laplacian(weights: np.ndarray) -> np.ndarray:
    """Return the Laplacian of a graph: ``x @ laplacian @ x`` is the sum over its edges of weight times difference squared."""
    return np.asarray(np.diag(weights.sum(axis=1)) - weights)


def class_weights(n_known: Mapping[str, int], balance: float) -> dict[str, float]:
    """Return what the likelihood of each class counts: its number of known compounds to the power of ``-balance``, their mean being 1."""
    powers = {name: n**-balance for name, n in n_known.items()}
    scale = sum(n_known.values()) / sum(n * powers[name] for name, n in n_known.items())
    return {name: scale * power for name, power in powers.items()}


def _n_parts(options: FMSettings, n_candidates: int) -> int:
    """Return in how many parts a class is dealt; of these an epoch visits ``n_batches``."""
    return max(options.n_batches, round(options.n_batches * n_candidates / options.max_candidates))


def _gathered(buffers: Sequence[dict[str, PairwiseProgram]]) -> dict[str, PairwiseProgram]:
    """Add all sets of gradients to the first, in order."""
    for buffer in buffers[1:]:
        arrays = {id(own): (own, other) for name in buffer for own, other in zip(buffers[0][name], buffer[name], strict=True)}
        for own, other in arrays.values():
            np.add(own, other, out=own)
    return buffers[0]


def _within(known: Candidates, batch: np.ndarray, weight: float) -> KnownCandidates:
    rows = np.flatnonzero(np.isin(known.blocks, batch))
    return KnownCandidates(known.take(rows), np.full(len(rows), weight))


def fit_fm(
    data: TrainingData,
    settings: FMSettings,
    rng: np.random.Generator,
    n_threads: int,
    progress: ProgressSink,
    earlier: Earlier | None = None,
) -> Fitted:
    """Fit a Factorization Machine, or several that differ in their seed.

    Raises
    ------
    ArtifactError
        If an earlier fit was of other machines.
    ModelFitError
        If the fit diverges.
    """
    prior = prior_of(settings, data)
    machine = machine_of(settings, data, prior)
    starts, parts = _beginning(data, machine, settings, earlier, rng)
    if not any(len(held) for held in parts[1].values()):
        settings = settings.model_copy(update={"n_final_epochs": 0})
    fits, learned = [], []
    for start, member in zip(starts, rng.spawn(settings.n_models) if settings.n_models > 1 else [rng], strict=True):
        fits.append(Fit(machine, parts, settings, member, n_threads, start))
        fits[-1].learn(progress)
        learned.append(dict(fits[-1].parameters))
        fits[-1].finish(progress)
    histories = [fit.history for fit in fits]
    return Fitted(
        model=FittedFM(machine, tuple(fit.parameters for fit in fits)),
        n_epochs=sum(map(len, histories)),
        validation=[epoch.validation for epoch in histories[0] if epoch.phase == "fit"][-1],
        facts={"history": [history_rows(history) for history in histories], "prior": prior_facts(prior)},
        state=WarmStart.after(machine, learned, [parts]).arrays(),
    )


def _beginning(
    data: TrainingData, machine: FactorizationMachine, settings: FMSettings, earlier: Earlier | None, rng: np.random.Generator
) -> tuple[Sequence[Parameters | None], Parts]:
    """Return the parameters that each fit starts from, None for random ones, and what to fit to and to hold back."""
    if earlier is None:
        return [None] * settings.n_models, (dict(data.fitting), dict(data.held_back))
    warm = WarmStart.of(earlier, cast("FittedFM", earlier.model), machine, settings.n_models, n_parts=1)
    sizes = {name: len(item) for name, item in data.held_back.items()}
    return warm.machines.members, warm.parts(data.all_known(), sizes, rng)[0]


def prior_of(settings: FMSettings, data: TrainingData) -> PropertyComponents:
    """Return the components of the elements' properties that the settings ask for."""
    wanted = settings.prior_components if "prior" in settings.features else 0
    return property_components(data.elements, data.space.ions.elements, wanted)


def machine_of(settings: FMSettings, data: TrainingData, prior: PropertyComponents) -> FactorizationMachine:
    """Return the machine that the settings ask for."""
    ions = data.space.ions
    features = frozenset(settings.features) - (frozenset() if prior.components.shape[1] else {"prior"})
    components = prior.components[np.concatenate([ions.cation_element, ions.anion_element])]
    return FactorizationMachine(data.space, data.classes, features, settings.n_factors, components, frozenset(settings.per_class))


def prior_facts(prior: PropertyComponents) -> dict[str, object]:
    """Return what the components are made of, JSON-serialisable."""
    return {
        "properties": list(prior.property_names),
        "loadings": prior.loadings.tolist(),
        "explained_variance_ratio": prior.explained_variance_ratio.tolist(),
        "imputed": list(prior.imputed),
    }


def history_rows(history: Sequence[Epoch]) -> list[dict[str, object]]:
    """Return a fit's history as plain records."""
    return [vars(epoch) | {"validation": dict(epoch.validation)} for epoch in history]
