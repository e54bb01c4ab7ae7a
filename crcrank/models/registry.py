"""The recommenders by name, and how each is stored as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from crcrank.errors import ArtifactError
from crcrank.kernels.multilinear import DiagonalProgram, MultilinearProgram
from crcrank.models.chance import Chance, fit_random
from crcrank.models.contract import Kind, Recommender
from crcrank.models.cp import fit_cp
from crcrank.models.fm import FittedFM
from crcrank.models.forest import Forest, fit_forest
from crcrank.models.matrices import FittedMatrices
from crcrank.models.nmf import fit_nmf
from crcrank.models.nnmf import FittedNNMF
from crcrank.models.nnmf_training import fit_nnmf
from crcrank.models.popularity import Popularity, fit_popularity
from crcrank.models.substitution import Substitution, fit_substitution
from crcrank.models.svd import fit_svd
from crcrank.models.tensor import FittedTensor
from crcrank.models.training import fit_fm
from crcrank.models.tucker import fit_tucker
from crcrank.space.space import Space

RECOMMENDERS: dict[str, Kind] = {
    "fm": Kind(fit_fm, FittedFM.restore, FittedFM.transferred),
    "tucker": Kind(fit_tucker, FittedTensor.restorer(MultilinearProgram)),
    "cp": Kind(fit_cp, FittedTensor.restorer(DiagonalProgram)),
    "svd": Kind(fit_svd, FittedMatrices.restore),
    "nmf": Kind(fit_nmf, FittedMatrices.restore),
    "substitution": Kind(fit_substitution, Substitution.restore),
    "popularity": Kind(fit_popularity, Popularity.restore),
    "forest": Kind(fit_forest, Forest.restore),
    "random": Kind(fit_random, Chance.restore),
    "nnmf": Kind(fit_nnmf, FittedNNMF.restore),
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
