"""Describe the candidate space block by block, and write out the candidates of small spaces."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crcrank.artifacts.store import Provenance, artifact_writer, hold_output, sibling
from crcrank.config import Settings
from crcrank.errors import ConfigError
from crcrank.progress import ProgressSink, SilentProgress
from crcrank.space.space import Space
from crcrank.stages.common import candidate_columns, chosen_classes, load_space, replacing_all

_log = logging.getLogger(__name__)
_CHUNK = 200_000
_BYTES_PER_CANDIDATE = 16  # compressed, as measured on quaternaries
_MAX_CANDIDATES = 50_000_000


@dataclass(frozen=True)
class EnumerateSummary:
    """The sizes of the space.

    Parameters
    ----------
    n_candidates, n_blocks
        Of all classes together.
    classes
        Candidates by class.
    n_written
        Candidates written out one by one, None if that was not asked for.
    out, candidates
        The plan, and the candidates if they were asked for.
    """

    n_candidates: int
    n_blocks: int
    classes: dict[str, int]
    n_written: int | None
    out: Path
    candidates: Path | None


def enumerate_provenance(*, settings: Settings, space: Space) -> Provenance:
    """Return what shapes the rows of a plan."""
    config = {"classes": {name: item.model_dump() for name, item in settings.space.classes.items()}}
    return Provenance(config=config, inputs=[settings.space.ions], space_digest=space.digest)


def run_enumerate(
    out: Path,
    *,
    settings: Settings,
    classes: Sequence[str] | None = None,
    write: bool = False,
    max_candidates: int | None = None,
    overwrite: bool = False,
    progress: ProgressSink | None = None,
) -> EnumerateSummary:
    """Write the plan of the whole space; with ``write``, the candidates of the chosen classes too.

    Parameters
    ----------
    out
        The ``plan`` artifact; candidates go to ``sibling(out, "candidates")``.
    classes
        Classes whose candidates are written; all if left out. The plan always holds the whole space.
    write
        Whether to write candidates; both artifacts are written, or neither.
    max_candidates
        Refuse to write more candidates than this; 50 million if left out.

    Raises
    ------
    ConfigError
        If there are more candidates to write than ``max_candidates``, or than the disk can take.
    OutputError
        If ``out`` exists and ``overwrite`` is false, or it cannot be written.
    """
    progress = progress or SilentProgress()
    with hold_output(out, overwrite=overwrite):
        space, _ = load_space(settings)
        chosen = chosen_classes(classes, tuple(space.classes), settings) if write else ()
        n_written = sum(space.classes[name].n_candidates for name in chosen)
        _check_room(out, n_written, max_candidates or _MAX_CANDIDATES)
        sizes = {name: item.n_candidates for name, item in space.classes.items()}
        provenance = replace(enumerate_provenance(settings=settings, space=space), extra={"n_candidates": sizes})
        paths = [out, sibling(out, "candidates")] if write else [out]
        with replacing_all(*paths) as temporaries:
            _write_plan(temporaries[0], space, provenance)
            if write:
                _write_candidates(temporaries[1], space, chosen, provenance, progress)
    n_blocks = sum(item.n_blocks for item in space.classes.values())
    _log.debug("%s: %d blocks, %d candidates", out, n_blocks, space.n_candidates)
    return EnumerateSummary(space.n_candidates, n_blocks, sizes, n_written if write else None, out, paths[1] if write else None)


def _check_room(out: Path, n_candidates: int, max_candidates: int) -> None:
    if n_candidates > max_candidates:
        raise ConfigError(
            f"--write: {n_candidates:,} candidates are more than {max_candidates:,}; choose classes with --class, or raise --max-candidates"
        )
    needed, free = n_candidates * _BYTES_PER_CANDIDATE, shutil.disk_usage(out.parent).free
    if n_candidates and free < 2 * needed:
        raise ConfigError(
            f"--write: {n_candidates:,} candidates take about {needed / 1e9:.1f} GB, and {out.parent} has only {free / 1e9:.1f} GB free; "
            "choose classes with --class"
        )


def _write_plan(path: Path, space: Space, provenance: Provenance) -> None:
    with artifact_writer(path, "plan", provenance) as writer:
        for name, item in space.classes.items():
            for rows in _chunks(0, item.n_blocks):
                writer.write(_plan_columns(space, name, rows))


def _plan_columns(space: Space, name: str, blocks: np.ndarray) -> dict[str, Any]:
    item, ions = space.classes[name], space.ions
    rows, anions = item.block_stoichiometry[blocks], item.block_anions[blocks]
    charges = np.column_stack([ions.group_charge[item.stoichiometries.groups[rows]], -ions.anion_charge[anions]])
    coefficients = np.column_stack([item.stoichiometries.coefficients[rows], item.stoichiometries.anion_coefficients[rows]])
    return {
        "composition_class": [name] * len(blocks),
        "block_id": blocks,
        "first_candidate_id": item.block_first[blocks],
        "n_candidates": item.block_size[blocks],
        "anion": [" ".join(ions.anions[i].label for i in row) for row in anions.tolist()],
        "charges": charges.tolist(),
        "coefficients": coefficients.tolist(),
    }


def _write_candidates(path: Path, space: Space, classes: Sequence[str], provenance: Provenance, progress: ProgressSink) -> None:
    with artifact_writer(path, "candidates", provenance) as writer:
        for name in classes:
            item = space.classes[name]
            progress.start(f"write {name}", item.n_candidates, "candidates")
            for ids in _chunks(item.first_id, item.first_id + item.n_candidates):
                columns = candidate_columns(space, name, space.decode(name, ids))
                writer.write(columns | {"candidate_id": ids, "composition_class": [name] * len(ids)})
                progress.advance(len(ids))


def _chunks(first: int, end: int) -> Iterator[np.ndarray]:
    for start in range(first, end, _CHUNK):
        yield np.arange(start, min(start + _CHUNK, end), dtype=np.int64)
