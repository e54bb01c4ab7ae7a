"""The recommenders by name, and how each is stored as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from crcrank.errors import ArtifactError
from crcrank.models.contract import Kind, Recommender
from crcrank.space.space import Space

RECOMMENDERS = {
    "fm": Kind("training:fit_fm", "fm:FittedFM", transfers=True),
    "stack": Kind("stack:fit_stack", "stack:Stack"),
    "nnmf": Kind("nnmf_training:fit_nnmf", "nnmf:FittedNNMF"),
    "tucker": Kind("tucker:fit_tucker", "tensor:FittedTensor"),
    "cp": Kind("cp:fit_cp", "tensor:FittedTensor"),
    "svd": Kind("svd:fit_svd", "matrices:FittedMatrices"),
    "nmf": Kind("nmf:fit_nmf", "matrices:FittedMatrices"),
    "forest": Kind("forest:fit_forest", "forest:Forest"),
    "substitution": Kind("substitution:fit_substitution", "substitution:Substitution"),
    "popularity": Kind("popularity:fit_popularity", "popularity:Popularity"),
    "random": Kind("chance:fit_random", "chance:Chance"),
}


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
    kind = RECOMMENDERS.get(facts.get("model"))
    if kind is None:
        raise ArtifactError(f"model: unknown kind {facts.get('model')!r}; wanted one of {', '.join(RECOMMENDERS)}")
    columns = zip(table["name"].to_pylist(), table["shape"].to_pylist(), table["values"], strict=True)
    arrays = {name: np.array(values.values, np.float64).reshape(shape) for name, shape, values in columns}
    return kind.restore(arrays, facts["restore"], space)
