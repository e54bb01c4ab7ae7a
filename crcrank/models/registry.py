"""The recommenders by name, and how each is stored as plain arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from crcrank.errors import ArtifactError, ConfigError
from crcrank.models.contract import Arrays, Earlier, Kind, Recommender, fact
from crcrank.space.space import Space

_STATE = "state."  # begins the names of what a later fit continues from
_LARGEST_ROW = 1 << 20  # numbers; Arrow needs several times the memory of the row that it reads
_ION_VECTORS = re.compile(r"\b(factor|latent)\.ion(\.|$)")  # in the names of a machine's or a network's vectors, maybe of one class
RECOMMENDERS = {
    "fm": Kind("training:fit_fm", "fm:FittedFM", transfers=True, continues=True),
    "stack": Kind("stack:fit_stack", "stack:Stack", continues=True),
    "nnmf": Kind("nnmf_training:fit_nnmf", "nnmf:FittedNNMF"),
    "tucker": Kind("tucker:fit_tucker", "tensor:FittedTensor"),
    "cp": Kind("cp:fit_cp", "tensor:FittedTensor"),
    "svd": Kind("svd:fit_svd", "matrices:FittedMatrices"),
    "nmf": Kind("nmf:fit_nmf", "matrices:FittedMatrices"),
    "forest": Kind("forest:fit_forest", "forest:Forest"),
    "ease": Kind("ease:fit_ease", "substitution:Substitution"),
    "substitution": Kind("substitution:fit_substitution", "substitution:Substitution"),
    "popularity": Kind("popularity:fit_popularity", "popularity:Popularity"),
    "random": Kind("chance:fit_random", "chance:Chance"),
}


def model_columns(model: Recommender, state: Arrays | None = None) -> dict[str, list[Any]]:
    """Return a model's arrays, and the state that its fit left, as the columns of a ``model`` artifact: name, shape, values in C order.

    The values of a large array go on from row to row.
    """
    arrays = model.arrays() | {f"{_STATE}{name}": values for name, values in (state or {}).items()}
    rows = [(name, list(values.shape), part) for name, values in arrays.items() for part in _parts(values)]
    return dict(zip(("name", "shape", "values"), map(list, zip(*rows, strict=True)), strict=True))


def _parts(values: np.ndarray) -> list[np.ndarray]:
    return np.split(values.ravel(), range(_LARGEST_ROW, values.size, _LARGEST_ROW))


def is_parameter(name: str) -> bool:
    """Return whether an array of this name belongs to a model itself; the others, often half of all, only a later fit needs."""
    return not name.startswith(_STATE)


def load_model(table: pa.Table, metadata: Mapping[str, Any], space: Space) -> Recommender:
    """Restore a model from the rows and metadata of its artifact.

    Raises
    ------
    ArtifactError
        If the kind of model is unknown, a number is not finite, or its parameters or facts are missing or do not fit the space.
    """
    return _restored(_arrays(table), metadata, space)


def load_earlier(table: pa.Table, metadata: Mapping[str, Any], space: Space, kind: str) -> Earlier:
    """Restore a model of a kind that is to be continued, with the state that its fit left.

    Raises
    ------
    ConfigError
        If no fit of this kind can continue another.
    ArtifactError
        As for :func:`load_model`, and if the model is of another kind, or its fit left no state.
    """
    if not RECOMMENDERS[kind].continues:
        able = " and ".join(name for name, item in RECOMMENDERS.items() if item.continues)
        raise ConfigError(f"--warm-start: a model of kind {kind!r} is always fitted from scratch; only {able} continue an earlier fit")
    if (found := metadata["extra"].get("model")) != kind:
        raise ArtifactError(f"--warm-start: the model is of kind {found!r}, wanted {kind!r}; add --model {found}, or train from scratch")
    arrays = _arrays(table)
    state = {name.removeprefix(_STATE): values for name, values in arrays.items() if not is_parameter(name)}
    if not state:
        raise ArtifactError("--warm-start: the model holds nothing to continue from; train from scratch")
    return Earlier(_restored(arrays, metadata, space), state, space)


def _restored(arrays: Arrays, metadata: Mapping[str, Any], space: Space) -> Recommender:
    facts = metadata["extra"]
    kind = RECOMMENDERS.get(facts.get("model"))
    if kind is None:
        raise ArtifactError(f"model: unknown kind {facts.get('model')!r}; wanted one of {', '.join(RECOMMENDERS)}")
    return kind.restore(arrays, fact(facts, "restore"), space)


def _arrays(table: pa.Table) -> Arrays:
    arrays = _stored(table, _shapes(table))
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise ArtifactError(f"model: parameter {name!r} holds numbers that are not finite (NaN or infinite); train it again")
    return arrays


def _shapes(table: pa.Table) -> dict[str, list[int]]:
    return dict(zip(table["name"].to_pylist(), table["shape"].to_pylist(), strict=True))


def _stored(table: pa.Table, shapes: Mapping[str, Sequence[int]]) -> Arrays:
    """Return the arrays of these names and shapes."""
    parts: dict[str, list[pa.Array]] = {name: [] for name in shapes}
    for name, row in zip(table["name"].to_pylist(), table["values"], strict=True):
        if name in parts:
            parts[name].append(row.values)
    return {name: np.concatenate(parts[name], dtype=np.float64).reshape(shape) for name, shape in shapes.items()}


def ion_vectors(table: pa.Table) -> np.ndarray | None:
    """Return what a stored model has learned of each ion, float64 (n, n_numbers), n all ions of the space or its cations.

    Networks, and machines unless told otherwise, share a vector per ion among their classes; a tensor has one per cation and class. The
    vectors of several members or classes stand side by side. Models without such vectors have None.
    """
    shapes = {name: shape for name, shape in _shapes(table).items() if is_parameter(name)}
    learned = [name for name in shapes if _ION_VECTORS.search(name)]
    chosen = learned or [name for name, shape in shapes.items() if name.startswith("cation.") and len(shape) == 2]
    return np.hstack(list(_stored(table, {name: shapes[name] for name in chosen}).values())) if chosen else None
