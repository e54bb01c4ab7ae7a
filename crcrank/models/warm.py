"""What a later fit continues from: parameters that have not seen the compounds held back, and which these were.

A model takes its last steps on all known compounds. A later fit continues from its parameters before that, so that what was held back stays
unseen: it goes on to judge the fit, and to teach the trees of a stack. Of the compounds that have become known since, as many are held
back as keep their part the same. Compounds are the same if their formulas are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crcrank.errors import ArtifactError
from crcrank.models.contract import Arrays, Earlier, Parts, restored_candidates
from crcrank.models.fm import FactorizationMachine, FittedFM, Parameters
from crcrank.space.space import Candidates, Space


@dataclass(frozen=True)
class WarmStart:
    """Where the fit of some machines goes on.

    Attributes
    ----------
    machines
        The machines before their last passes on all known compounds.
    known
        All known compounds of each class then.
    held_back
        Those of them that were held back, part by part; no two parts overlap.
    """

    machines: FittedFM
    known: Mapping[str, Candidates]
    held_back: Sequence[Mapping[str, Candidates]]

    @classmethod
    def after(cls, machine: FactorizationMachine, parameters: Sequence[Parameters], parts: Sequence[Parts]) -> WarmStart:
        """Return where a fit left off: its parameters, and each of the parts that it kept and held back."""
        kept, held = parts[0]
        known = {name: kept[name].joined(held[name]) for name in machine.classes}
        return cls(FittedFM(machine, tuple(parameters)), known, [held for _, held in parts])

    @classmethod
    def of(cls, earlier: Earlier, model: FittedFM, machine: FactorizationMachine, n_models: int, n_parts: int) -> WarmStart:
        """Return where an earlier fit left off.

        Parameters
        ----------
        earlier, model
            The fit, and its machines after their last passes.
        machine, n_models, n_parts
            The machines that are wanted now, their number, and that of the parts.

        Raises
        ------
        ArtifactError
            If the earlier machines are others, or left nothing to continue from.
        """
        _check_alike(model, machine, n_models)
        machines = FittedFM.restore(earlier.state, model.facts(), machine.space)
        parts = [_restored(earlier.state, f"held_back.{i}", machine.space, machine.classes) for i in range(n_parts)]
        return cls(machines, known_before(earlier), parts)

    def parts(self, known: Mapping[str, Candidates], sizes: Mapping[str, int], rng: np.random.Generator) -> list[Parts]:
        """Return for each part what to fit to and what to hold back.

        What was held back stays so as long as it is known, and some of what is new joins it, up to ``sizes`` compounds of each class.
        """
        dealt: list[Parts] = [({}, {}) for _ in self.held_back]
        for name, candidates in known.items():
            keys = self._keys(name, candidates)
            new = rng.permutation(np.setdiff1d(keys, self._keys(name, self.known[name])))
            for (kept, held), before in zip(dealt, self.held_back, strict=True):
                still = np.intersect1d(self._keys(name, before[name]), keys)
                chosen, new = np.split(new, [max(0, sizes[name] - len(still))])
                is_held = np.isin(keys, np.concatenate([still, chosen]))
                held[name], kept[name] = (candidates.take(np.flatnonzero(rows)) for rows in (is_held, ~is_held))
        return dealt

    def _keys(self, name: str, candidates: Candidates) -> np.ndarray:
        return self.machines.machine.space.composition_keys(name, candidates)

    def arrays(self) -> Arrays:
        """Return all its numbers by name, float64; compounds as candidate_ids."""
        groups = {"known": self.known} | {f"held_back.{i}": part for i, part in enumerate(self.held_back)}
        encode = self.machines.machine.space.encode
        ids = {f"{group}.{name}": encode(name, item).astype(np.float64) for group, part in groups.items() for name, item in part.items()}
        return self.machines.arrays() | ids


def known_before(earlier: Earlier) -> dict[str, Candidates]:
    """Return the known compounds of each class of an earlier fit."""
    return _restored(earlier.state, "known", earlier.space, earlier.model.classes)


def _restored(arrays: Arrays, group: str, space: Space, classes: Sequence[str]) -> dict[str, Candidates]:
    sizes = {name: arrays.get(f"{group}.{name}", np.empty(0)).size for name in classes}
    return {name: restored_candidates(arrays, f"{group}.{name}", n, space, name) for name, n in sizes.items()}


def _check_alike(model: FittedFM, machine: FactorizationMachine, n_models: int) -> None:
    """Raise ArtifactError unless a model has machines of this shape and number."""
    found, wanted = (_shape(item, n) for item, n in ((model.machine, len(model.members)), (machine, n_models)))
    for what, value in wanted.items():
        if found[what] != value:
            raise ArtifactError(
                f"--warm-start: the model has {what} {found[what]}, wanted {value}; use the settings that it was trained with, "
                "or train from scratch"
            )
    if model.machine.components.shape != machine.components.shape or not np.allclose(model.machine.components, machine.components):
        raise ArtifactError("--warm-start: the model has a prior of other properties of the elements; train from scratch")


def _shape(machine: FactorizationMachine, n_models: int) -> dict[str, object]:
    return {
        "classes": ", ".join(machine.classes),
        "features": ", ".join(sorted(machine.features)),
        "per_class": ", ".join(sorted(machine.per_class)) or "none",
        "n_factors": machine.n_factors,
        "n_models": n_models,
    }
