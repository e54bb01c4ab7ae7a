"""Fitting a neural network matrix factorization to known compositions against every other candidate of the space.

A Factorization Machine is fitted first. Its rates say where in the space samples of the unlabelled candidates are worth taking
(:mod:`crcrank.models.unlabelled`), and its latent vectors can be those that the network starts from. Each step takes
all known candidates and a new sample of each class; steps are RMSProp's, in turns on the network and on the latent vectors, of
which the latter are penalised (Dziugaite & Roy, arXiv:1511.06443, section 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from crcrank.config import FMSettings, NNMFSettings
from crcrank.errors import ModelFitError
from crcrank.kernels.pairwise import BlockArrays
from crcrank.kernels.perceptron import Batch, PerceptronProgram, add_batch_gradient, batch_loss, perceptron_workspace
from crcrank.models.contract import Fitted, TrainingData
from crcrank.models.fm import FittedFM
from crcrank.models.nnmf import FittedNNMF, LatentNetwork, Parameters
from crcrank.models.training import fit_fm
from crcrank.models.unlabelled import UnlabelledSampler
from crcrank.progress import ProgressSink
from crcrank.space.space import Candidates

_FEATURES: tuple[Literal["ion", "stoichiometry", "cation_anion", "ion_coefficient"], ...] = (
    "ion",
    "stoichiometry",
    "cation_anion",
    "ion_coefficient",
)
_LATENT_SCALE = 0.1
_WEIGHT_SCALE = 0.1
_DECAY = 0.9
_N_PARTS = 4  # of each batch, whatever the number of threads, so that the result does not depend on it
_VALIDATION_SAMPLES = 4  # size of the sample that a fit is judged by, in those of a step
_MOST_AT_ONCE = 1 << 24
_MOST_IN_AN_EPOCH = 3_000_000_000  # of the machine


@dataclass(frozen=True)
class NetworkEpoch:
    """What some steps gave: their mean loss, and then the negative log-likelihood per held-back composition of each class."""

    epoch: int
    phase: str
    l2: float
    loss: float | None
    validation: dict[str, float]


def fit_nnmf(data: TrainingData, settings: NNMFSettings, rng: np.random.Generator, n_threads: int, progress: ProgressSink) -> Fitted:
    """Fit a network for each weight of the penalty, choose by the held-back part, and finish on all known compositions.

    Raises
    ------
    ModelFitError
        If the fit diverges, a class has two anions, or all candidates of a class that is too large are wanted at once.
    """
    _check_anions(data)
    _check_size(data, settings)
    machine = cast("FittedFM", fit_fm(data, _machine_settings(settings), rng, n_threads, progress).model)
    network = LatentNetwork(data.space, data.classes, settings.n_concatenated, settings.n_multiplied, settings.n_layers, settings.n_hidden)
    start = starting_point(network, data, machine if settings.start == "fm" else None, rng)
    n_epochs = settings.n_epochs * len(settings.l2) + settings.n_final_epochs
    with ThreadPoolExecutor(n_threads) as pool:
        candidates = {name: _Unlabelled(data, name, machine, settings.n_samples, pool, rng) for name in data.classes}
        progress.start("train nnmf", n_epochs * settings.n_steps, "steps")
        problem = _Problem(network, data, candidates, settings)
        fits = [NetworkFit(problem, l2, start, pool) for l2 in settings.l2]
        for fit in fits:
            fit.run(rng, progress)
        best = min(fits, key=lambda fit: fit.best_score)
        best.finish(rng, progress)
    return Fitted(
        model=FittedNNMF(network, best.parameters),
        n_epochs=sum(len(fit.history) - 1 for fit in fits),
        validation=best.validation,
        facts={"history": [[vars(epoch) for epoch in fit.history] for fit in fits], "l2": best.l2},
    )


def _check_anions(data: TrainingData) -> None:
    for name in data.classes:
        if data.space.classes[name].composition_class.n_anions > 1:
            raise ModelFitError(f"train: class {name} has two anions, which the network has no place for; choose another model than nnmf")


def _check_size(data: TrainingData, settings: NNMFSettings) -> None:
    for name in data.classes:
        n_candidates = data.space.classes[name].n_candidates
        if settings.n_samples == 0 and n_candidates > _MOST_AT_ONCE:
            raise ModelFitError(
                f"train: [train.nnmf] n_samples = 0 takes all candidates in each step, {_MOST_AT_ONCE:,} at most; "
                f"class {name!r} has {n_candidates:,}: set a number of samples"
            )


def _machine_settings(settings: NNMFSettings) -> FMSettings:
    own = settings.machine
    return FMSettings(
        features=_FEATURES,
        per_class=(),
        class_balance=0.0,
        n_factors=settings.n_multiplied,
        prior_components=0,
        l2=own.l2,
        n_epochs=own.n_epochs,
        n_final_epochs=0,
        n_warm_epochs=own.n_epochs,
        n_batches=own.n_batches,
        learning_rate=own.learning_rate,
        max_candidates=_MOST_IN_AN_EPOCH,
        n_models=1,
    )


class _Unlabelled:
    """The candidates of a class that steps take: all of them, or samples."""

    def __init__(
        self, data: TrainingData, name: str, machine: FittedFM, n_samples: int, pool: ThreadPoolExecutor, rng: np.random.Generator
    ) -> None:
        self._n = n_samples
        if n_samples:
            self._sampler = UnlabelledSampler(data.space, name, machine.program(name), pool)
            self.judged_by = self._sampler.draw(_VALIDATION_SAMPLES * n_samples, rng)
        else:
            item = data.space.classes[name]
            ids = np.arange(item.first_id, item.first_id + item.n_candidates)
            self.judged_by = data.space.decode(name, ids), np.ones(len(ids))

    def steps(self, n_steps: int, rng: np.random.Generator) -> Iterator[tuple[Candidates, np.ndarray]]:
        """Yield the candidates of each step and their weights."""
        if not self._n:
            yield from [self.judged_by] * n_steps
            return
        candidates, weights = self._sampler.draw(self._n * n_steps, rng)
        for step in range(n_steps):
            rows = np.arange(step * self._n, (step + 1) * self._n)
            yield candidates.take(rows), weights[rows] * n_steps


@dataclass(frozen=True)
class _Problem:
    """What to fit to what, and how: the shape of the model, the known candidates, the others, the settings."""

    network: LatentNetwork
    data: TrainingData
    candidates: Mapping[str, _Unlabelled]
    settings: NNMFSettings


class NetworkFit:
    """One fit of a network with one weight of the penalty.

    Parameters
    ----------
    problem, l2
        What to fit.
    start
        The parameters to start from.
    pool
        Threads to work with; the result does not depend on their number.
    """

    def __init__(self, problem: _Problem, l2: float, start: Parameters, pool: ThreadPoolExecutor) -> None:
        self._network, self._data, self._candidates = problem.network, problem.data, problem.candidates
        self._settings, self.l2, self._pool = problem.settings, l2, pool
        self._blocks: dict[str, BlockArrays] = {name: self._data.space.block_arrays(name) for name in self._data.classes}
        self._squares: Parameters = {group: np.zeros(values.shape) for group, values in start.items()}
        self._n_steps = 0
        self._buffers: list[dict[str, PerceptronProgram]] = []
        self.parameters = dict(start)
        self.validation: dict[str, float] = {}
        self.best_score = np.inf
        self.history: list[NetworkEpoch] = []

    def run(self, rng: np.random.Generator, progress: ProgressSink) -> None:
        """Fit until the held-back part stops improving; keep the best parameters."""
        best, since_best = dict(self.parameters), 0
        self.validation = self._validate()
        self.best_score = sum(self.validation.values()) if self.validation else np.inf
        self.history.append(NetworkEpoch(0, "start", self.l2, None, self.validation))
        for epoch in range(self._settings.n_epochs):
            loss = self._epoch(self._data.fitting, max(0.05, 1 - epoch / self._settings.n_epochs), rng, progress)
            validation = self._validate()
            self.history.append(NetworkEpoch(epoch + 1, "fit", self.l2, loss, validation))
            since_best += 1
            if not validation or sum(validation.values()) < self.best_score:
                best, since_best = dict(self.parameters), 0
                self.validation, self.best_score = validation, sum(validation.values())
            if since_best > self._settings.patience:
                progress.advance(self._settings.n_steps * (self._settings.n_epochs - epoch - 1))
                break
        self.parameters = best

    def finish(self, rng: np.random.Generator, progress: ProgressSink) -> None:
        """Take some more steps on all known candidates, if some were held back."""
        if not self.validation:
            return
        everything = {name: self._data.known(name) for name in self._data.classes}
        for _ in range(self._settings.n_final_epochs):
            loss = self._epoch(everything, 0.05, rng, progress)
            self.history.append(NetworkEpoch(len(self.history) + 1, "final", self.l2, loss, {}))

    def _epoch(self, known: Mapping[str, Candidates], decay: float, rng: np.random.Generator, progress: ProgressSink) -> float:
        total = 0.0
        for samples in zip(*(item.steps(self._settings.n_steps, rng) for item in self._candidates.values()), strict=True):
            batches = {name: _batch(known[name], *sample) for name, sample in zip(self._candidates, samples, strict=True)}
            with np.errstate(over="ignore", invalid="ignore"):  # the loss tells
                loss = self._step(batches, decay)
            if not np.isfinite(loss):
                raise ModelFitError(
                    f"train: the fit diverged in epoch {len(self.history)}; lower latent_rate or network_rate in [train.nnmf]"
                )
            total += loss / self._settings.n_steps
            progress.advance(1, f"loss {loss:.0f}")
        return total

    def _step(self, batches: Mapping[str, Batch], decay: float) -> float:
        programs = self._network.compile_all(self.parameters, np.float32)
        loss, gradient = self._gradient(programs, batches)
        turn = ("network.", "latent.", "")[self._n_steps // self._settings.n_alternate % 2 if self._settings.n_alternate else 2]
        self._n_steps += 1
        for group, values in self.parameters.items():
            slope, rate = gradient[group], self._settings.network_rate
            if group.startswith("latent."):
                loss += self.l2 / 2 * float((values**2).sum())
                slope += self.l2 * values
                rate = self._settings.latent_rate
            if group.startswith((turn, "bias.")):
                self._squares[group] = _DECAY * self._squares[group] + (1 - _DECAY) * slope**2
                self.parameters[group] = values - decay * rate * slope / (np.sqrt(self._squares[group]) + 1e-8)
        return loss

    def _gradient(self, programs: Mapping[str, PerceptronProgram], batches: Mapping[str, Batch]) -> tuple[float, Parameters]:
        buffers = self._cleared_buffers(programs)

        def add(part: int) -> float:
            loss = 0.0
            for name, batch in batches.items():
                program, own = programs[name], _part(batch, part)
                loss += add_batch_gradient(program, self._blocks[name], own, perceptron_workspace(program), buffers[part][name])
            return loss

        loss = sum(self._pool.map(add, range(_N_PARTS)))
        for buffer in buffers[1:]:
            for own, other in zip(_distinct(buffers[0]), _distinct(buffer), strict=True):
                np.add(own, other, out=own)
        return loss, self._network.pull_back(buffers[0])

    def _cleared_buffers(self, programs: Mapping[str, PerceptronProgram]) -> list[dict[str, PerceptronProgram]]:
        """Return zeros to gather gradients in, one set for each part; classes share what their programs share."""
        if not self._buffers:
            for _ in range(_N_PARTS):
                made = {id(array): np.zeros_like(array) for program in programs.values() for array in program}
                self._buffers.append({name: PerceptronProgram(*(made[id(array)] for array in item)) for name, item in programs.items()})
        for buffer in self._buffers:
            for array in _distinct(buffer):
                array.fill(0)
        return self._buffers

    def _validate(self) -> dict[str, float]:
        programs = self._network.compile_all(self.parameters, np.float32)
        return {
            name: self._loss(programs[name], name, _batch(held, *_none(held))) / len(held)
            + self._loss(programs[name], name, _batch(_none(held)[0], *self._candidates[name].judged_by)) / len(self._data.fitting[name])
            for name, held in self._data.held_back.items()
            if len(held)
        }

    def _loss(self, program: PerceptronProgram, name: str, batch: Batch) -> float:
        def part_loss(part: int) -> float:
            return float(batch_loss(program, self._blocks[name], _part(batch, part), perceptron_workspace(program)))

        return sum(self._pool.map(part_loss, range(_N_PARTS)))


def _part(batch: Batch, part: int) -> Batch:
    return Batch(*(np.ascontiguousarray(array[part::_N_PARTS]) for array in batch))


def _none(candidates: Candidates) -> tuple[Candidates, np.ndarray]:
    return candidates.take(np.empty(0, np.int64)), np.empty(0)


def _distinct(buffer: Mapping[str, PerceptronProgram]) -> list[np.ndarray]:
    return list({id(array): array for program in buffer.values() for array in program}.values())


def _batch(known: Candidates, unlabelled: Candidates, weights: np.ndarray) -> Batch:
    """Return known candidates, then others, whose rates count with their weights."""
    both = known.joined(unlabelled)
    rate_weight = np.concatenate([np.zeros(len(known)), weights]).astype(np.float32)
    return Batch(both.blocks, both.cations, rate_weight, (np.arange(len(both)) < len(known)).astype(np.float32))


def starting_point(network: LatentNetwork, data: TrainingData, machine: FittedFM | None, rng: np.random.Generator) -> Parameters:
    """Return random parameters, or those by which the network's scores are the machine's."""
    biases = {name: np.log(len(data.fitting[name]) / data.space.classes[name].n_candidates) for name in network.classes}
    parameters = _random_start(network, biases, rng)
    if machine is not None:
        _put_machine(parameters, machine)
    return parameters


def _random_start(network: LatentNetwork, biases: Mapping[str, float], rng: np.random.Generator) -> Parameters:
    parameters: Parameters = {}
    for group, shape in network.shapes().items():
        if group.startswith("bias."):
            parameters[group] = np.full(shape, biases[group.removeprefix("bias.")])
        elif group.startswith("latent."):
            parameters[group] = _LATENT_SCALE * rng.standard_normal(shape)
        elif group.endswith("bias"):
            parameters[group] = np.zeros(shape)
        else:
            n_inputs = {"network.concatenated": 3, "network.multiplied": 3}.get(group, 1) * (shape[-2] if len(shape) > 1 else shape[0])
            parameters[group] = np.sqrt(2 / n_inputs) * rng.standard_normal(shape)
    return parameters


def _put_machine(parameters: Parameters, machine: FittedFM) -> None:
    """Let the multiplied latents be the machine's factors, and two units of each layer carry its score and minus that.

    The network multiplies the sums of vectors, hence also each vector by itself: the first concatenated latents hold the machine's
    weights less what that adds. They are held small, and their weights in the network large, so that the penalty hardly touches them, as
    in the machine.
    """
    (given,) = machine.members
    n_factors, n_cations = machine.machine.n_factors, len(machine.machine.space.ions.cations)
    for group, values in parameters.items():
        if group.startswith("latent."):
            feature = group.removeprefix("latent.")
            factor = given[f"factor.{feature}"]
            values[..., -n_factors:] = factor
            own = 0 if feature.startswith("stoichiometry") else (factor**2).sum(axis=-1) / 2
            values[..., 0] = _WEIGHT_SCALE * (given[f"weight.{feature}"] - own)
        elif group.startswith("bias."):
            values[:] = given[group]
    # The anion's vector by itself is no product that the network sees.
    ion, coefficient = given["factor.ion"][n_cations:, None], given["factor.ion_coefficient"][n_cations:]
    by_coefficient = given["weight.ion_coefficient"][n_cations:] + (ion * coefficient).sum(axis=-1)
    parameters["latent.ion"][n_cations:, 0] = _WEIGHT_SCALE * given["weight.ion"][n_cations:]
    parameters["latent.ion_coefficient"][n_cations:, :, 0] = _WEIGHT_SCALE * by_coefficient
    for sign, unit in ((1.0, 0), (-1.0, 1)):
        parameters["network.concatenated"][:, :, unit] = 0
        parameters["network.concatenated"][:, 0, unit] = sign / _WEIGHT_SCALE
        parameters["network.multiplied"][:, :, unit] = sign
        parameters["network.hidden"][:, :, unit] = 0
        parameters["network.hidden"][:, unit, unit] = 1
        parameters["network.last"][unit] = sign
    parameters["network.last"][2:] = 0
