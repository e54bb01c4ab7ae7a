"""Place known compositions in the candidate space, and list those that lie outside with the reason."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crcrank.artifacts.schemas import SCHEMAS
from crcrank.artifacts.store import Provenance, hold_output, read_artifact, sibling, write_artifact
from crcrank.config import Settings
from crcrank.errors import InputDataError
from crcrank.progress import ProgressSink, SilentProgress
from crcrank.space.placement import Placements, Placer, count_reasons, with_likeliest_anions
from crcrank.space.space import Compositions, Space
from crcrank.stages.common import candidate_columns, chosen_classes, load_space, read_compositions, replacing_all

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EncodeSummary:
    """Where the compositions lie: ``n_in == n_encoded + n_outside``.

    Parameters
    ----------
    n_in, n_encoded, n_outside
        Compositions read, placed in the space, and outside of it.
    classes
        Compositions placed, by class; in widened classes one composition can have several.
    reasons
        Compositions outside, by reason, most common first.
    out, outside
        The two artifacts written.
    """

    n_in: int
    n_encoded: int
    n_outside: int
    classes: dict[str, int]
    reasons: dict[str, int]
    out: Path
    outside: Path


def encode_provenance(known: Path, *, settings: Settings, space: Space, classes: Sequence[str] | None = None) -> Provenance:
    """Return what shapes the rows of an encoded artifact."""
    config = {"classes": list(chosen_classes(classes, tuple(space.classes), settings))}
    return Provenance(config=config, inputs=[known, settings.space.ions], space_digest=space.digest)


def run_encode(
    known: Path,
    out: Path,
    *,
    settings: Settings,
    classes: Sequence[str] | None = None,
    overwrite: bool = False,
    progress: ProgressSink | None = None,
) -> EncodeSummary:
    """Write the candidate of each known composition; beside it, the compositions outside the space.

    Of several ion assignments the likeliest is taken, by the frequency of the oxidation states in the ICSD, also between classes of one
    anion and of two; all those of its classes are kept with their weights: shares among all assignments of the composition, those that
    the space does not hold included. Both artifacts are written, or neither.

    Parameters
    ----------
    known
        A ``known`` artifact.
    out
        The ``encoded`` artifact; what lies outside goes to ``sibling(out, "outside")``.
    classes
        Classes to encode; all of the space if left out.

    Raises
    ------
    ArtifactError
        If ``known`` is missing, damaged or no such artifact.
    InputDataError
        If no composition lies in the space.
    OutputError
        If ``out`` exists and ``overwrite`` is false, or it cannot be written.
    """
    progress = progress or SilentProgress()
    with hold_output(out, overwrite=overwrite):
        table = read_artifact(known, "known").table
        space, ions = load_space(settings)
        provenance = encode_provenance(known, settings=settings, space=space, classes=classes)
        chosen: list[str] = provenance.config["classes"]
        progress.start("encode", table.num_rows, "compositions")
        placer, compositions = Placer(space, ions), read_compositions(table)
        placed, reasons = placer.place(compositions, chosen)
        placements = with_likeliest_anions(placed)
        progress.advance(table.num_rows)
        counts = {name: len(np.unique(item.composition)) for name, item in placements.items()}
        summary = EncodeSummary(
            table.num_rows, table.num_rows - len(reasons), len(reasons), counts, count_reasons(reasons), out, sibling(out, "outside")
        )
        if not summary.n_encoded:
            raise InputDataError(
                f"{known}: none of {summary.n_in} compositions lies in the space ({next(iter(summary.reasons), 'no rows')})"
            )
        facts = {"n_in": summary.n_in, "n_encoded": summary.n_encoded, "classes": counts, "reasons": summary.reasons}
        provenance = replace(provenance, extra=facts)
        formulas = table["formula"].to_pylist()
        with replacing_all(out, summary.outside) as (encoded_path, outside_path):
            write_artifact(encoded_path, "encoded", _encoded_columns(space, placer, placements, compositions, formulas), provenance)
            write_artifact(outside_path, "outside", _outside_columns(reasons, formulas, table["n_elements"].to_pylist()), provenance)
    _log.debug("%s: %d of %d compositions lie in the space", out, summary.n_encoded, summary.n_in)
    return summary


def _encoded_columns(
    space: Space, placer: Placer, placements: dict[str, Placements], compositions: Compositions, formulas: Sequence[str]
) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMAS["encoded"].names}
    for name, item in placements.items():
        best = item.best()
        described = candidate_columns(space, name, space.decode(name, best.candidate_id))
        columns["formula"] += [formulas[i] for i in best.composition]
        columns["composition_class"] += [name] * len(best.composition)
        columns["candidate_id"] += best.candidate_id.tolist()
        columns["ions"] += described["ions"]
        columns["coefficients"] += described["coefficients"]
        for ids, weights in _alternatives(placer, item, compositions):
            columns["n_assignments"].append(len(ids))
            columns["candidate_ids"].append(ids)
            columns["weights"].append(weights)
    return columns


def _alternatives(placer: Placer, placements: Placements, compositions: Compositions) -> Iterator[tuple[list[int], list[float]]]:
    """Yield the candidate_ids of each composition, likeliest first, and their weights."""
    ordered = placements.likeliest_first()
    indices, first = np.unique(ordered.composition, return_index=True)
    parts = (np.split(column, first)[1:] for column in (ordered.candidate_id, ordered.frequency))
    for i, ids, frequencies in zip(indices, *parts, strict=True):
        elements, amounts = compositions[i]
        yield ids.tolist(), placer.weights(elements, amounts, frequencies).tolist()


def _outside_columns(reasons: dict[int, str], formulas: Sequence[str], n_elements: Sequence[int]) -> dict[str, list[Any]]:
    rows = sorted(reasons)
    return {
        "formula": [formulas[i] for i in rows],
        "n_elements": [n_elements[i] for i in rows],
        "reason": [reasons[i] for i in rows],
    }
