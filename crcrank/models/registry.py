"""The recommenders by name, and how each is stored as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from crcrank.errors import ArtifactError
from crcrank.kernels.pairwise import PairwiseProgram
from crcrank.models.fm import FactorizationMachine, Parameters
from crcrank.space.space import Space


class Recommender(Protocol):
    """A fitted model: what every recommender offers to the stages."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes it was trained on and can rank."""

    def program(self, name: str) -> PairwiseProgram:
        """Return the float64 scoring program of class ``name``."""

    def arrays(self) -> Parameters:
        """Return all its numbers by name."""

    def facts(self) -> dict[str, Any]:
        """Return what else is needed to restore it, JSON-serialisable."""


@dataclass(frozen=True)
class FittedFM:
    """A Factorization Machine with its parameters."""

    machine: FactorizationMachine
    parameters: Parameters

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes it was trained on and can rank."""
        return self.machine.classes

    def program(self, name: str) -> PairwiseProgram:
        """Return the float64 scoring program of class ``name``."""
        return self.machine.compile(self.parameters, name)

    def arrays(self) -> Parameters:
        """Return all its numbers by name."""
        return {**self.parameters, "components": self.machine.components}

    def facts(self) -> dict[str, Any]:
        """Return what else is needed to restore it, JSON-serialisable."""
        machine = self.machine
        return {"classes": list(machine.classes), "features": sorted(machine.features), "n_factors": machine.n_factors}

    @classmethod
    def restore(cls, arrays: Parameters, facts: Mapping[str, Any], space: Space) -> FittedFM:
        """Return the model that :meth:`arrays` and :meth:`facts` came from."""
        machine = FactorizationMachine(
            space, tuple(facts["classes"]), frozenset(facts["features"]), facts["n_factors"], arrays["components"]
        )
        parameters = {name: values for name, values in arrays.items() if name != "components"}
        for name, shape in machine.shapes().items():
            found = parameters[name].shape if name in parameters else None
            if found != shape:
                raise ArtifactError(f"model: parameter {name!r} should have shape {shape}, found {found}; train it again")
        return cls(machine, parameters)


_RESTORE = {"fm": FittedFM.restore}


def model_columns(model: Recommender) -> dict[str, list[Any]]:
    """Return a model's arrays as the columns of a ``model`` artifact: name, shape, values in C order."""
    arrays = model.arrays()
    return {
        "name": list(arrays),
        "shape": [list(values.shape) for values in arrays.values()],
        "values": [values.ravel() for values in arrays.values()],
    }


def load_model(table: pa.Table, metadata: Mapping[str, Any], space: Space) -> Recommender:
    """Restore a model from the rows and metadata of its artifact.

    Raises
    ------
    ArtifactError
        If the kind of model is unknown, or its parameters do not fit the space.
    """
    facts = metadata["extra"]
    restore = _RESTORE.get(facts.get("model"))
    if restore is None:
        raise ArtifactError(f"model: unknown kind {facts.get('model')!r}; wanted one of {', '.join(_RESTORE)}")
    columns = zip(table["name"].to_pylist(), table["shape"].to_pylist(), table["values"], strict=True)
    arrays = {name: np.array(values.values, np.float64).reshape(shape) for name, shape, values in columns}
    return restore(arrays, facts["restore"], space)
