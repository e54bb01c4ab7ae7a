"""What the page of a run shows of its validation beyond the hits: exact ranks, single compounds, probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from crcrank.artifacts.store import Artifact, read_artifact
from crcrank.evaluation.familiarity import RARITIES, rare_parts, rarity_of
from crcrank.report.page_data import Compound, Evidence, RankSpread, RecallSteps
from crcrank.stages.validate import UNITED, detail_paths

_KINDS = ("depths", "compounds", "calibration")
_N_STEPS, _N_SHOWN = 200, 5
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)

_Row = Mapping[str, Any]


def read_evidence(validation: Artifact, classes: Sequence[str], model: str) -> tuple[Evidence, dict[str, str]]:
    """Read what was written beside a validation.

    Returns
    -------
    tuple
        What there is, and for each part of the page that has no data, why.
    """
    rows = _details(validation)
    ranked = [row for row in rows["compounds"] if row["rank"] is not None and row["composition_class"] in classes]
    depths = [row for row in rows["depths"] if row["composition_class"] in classes]
    calibration = [row for row in rows["calibration"] if row["composition_class"] in classes]
    united = {(row["composition_class"], row["formula"]): row for row in ranked}
    of_class = {name: _by_rank(row for (own, _), row in united.items() if own == name) for name in classes}
    evidence = Evidence(
        recalls=list(_recalls(ranked, depths)),
        depths=depths,
        spreads=[item for name in classes for item in _spreads(name, of_class[name])] if depths else [],
        first={name: [_compound(row) for row in of_class[name][:_N_SHOWN]] for name in classes if of_class[name]},
        last={name: [_compound(row) for row in of_class[name][: -_N_SHOWN - 1 : -1]] for name in classes if of_class[name] and depths},
        calibration=calibration,
        calibration_error=validation.metadata["extra"].get("calibration_error", {}),
    )
    return evidence, dict(_left_out(evidence, model, is_there=any(rows.values())))


def _left_out(evidence: Evidence, model: str, *, is_there: bool) -> Iterator[tuple[str, str]]:
    if not is_there:
        reason = "is left out: what validate writes beside its table is not in the folder, or is that of another validation."
        yield from ((part, f"This part {reason}") for part in ("recall", "compounds", "calibration"))
        return
    if not evidence.depths:
        yield "recall", "Without exact ranks the recall ends with the list: crcrank rank --ranks-of and then crcrank validate give them."
    if not evidence.first:
        yield "compounds", "No compound of the holdouts has a rank."
    if not evidence.calibration:
        yield "calibration", f"Model {model} gives no probabilities."


def _details(validation: Artifact) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each artifact that was written together with a validation, none of those of another one."""
    found = {kind: read_artifact(path, kind) for kind, path in zip(_KINDS, detail_paths(validation.path), strict=True) if path.exists()}
    return {kind: found[kind].table.to_pylist() if kind in found and _is_of(found[kind], validation) else [] for kind in _KINDS}


def _is_of(detail: Artifact, validation: Artifact) -> bool:
    return all(detail.metadata[key] == validation.metadata[key] for key in ("inputs", "config_digest"))


def _by_rank(rows: Iterator[_Row]) -> list[_Row]:
    return sorted(rows, key=lambda row: (row["rank"], row["formula"]))


def _recalls(ranked: Sequence[_Row], depths: Sequence[_Row]) -> Iterator[RecallSteps]:
    """Yield the recall of each class and holdout that has depths."""
    for (name, holdout), (row, *_) in ((key, list(own)) for key, own in groupby(depths, key=_place)):
        own = {
            item["formula"]: item["rank"] for item in ranked if item["composition_class"] == name and holdout in {item["holdout"], UNITED}
        }
        ranks = np.sort(np.array(list(own.values()), np.int64))
        steps = np.unique(np.linspace(0, len(ranks) - 1, min(len(ranks), _N_STEPS)).round().astype(np.int64))
        shares = (steps + 1) / len(ranks)
        yield RecallSteps(name, holdout, ranks[steps].tolist(), shares.round(5).tolist(), row["n_unknown"])


def _place(row: _Row) -> tuple[str, str]:
    return row["composition_class"], row["holdout"]


def _spreads(name: str, rows: Sequence[_Row]) -> Iterator[RankSpread]:
    """Yield how the ranks of a class lie, by what is rare about the compounds."""
    ranks: dict[str, list[int]] = {}
    for row in rows:
        ranks.setdefault(rarity_of(row["reason"]), []).append(row["rank"])
    for rarity in RARITIES if ranks else ():
        own = ranks.get(rarity, [])
        quantiles = np.quantile(own, _QUANTILES, method="inverted_cdf").astype(np.int64).tolist() if own else []
        yield RankSpread(name, rarity, len(own), quantiles)


def _compound(row: _Row) -> Compound:
    return Compound(row["rank"], row["pretty_formula"], row["ions"], rare_parts(row["reason"]))
