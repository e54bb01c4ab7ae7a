"""One page that shows a run: how often its list was right, what it recommends, and how the data flowed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crcrank.artifacts.store import Artifact, hold_output, read_artifact, read_metadata, replacing, sha256_of_file, sibling
from crcrank.chem.formula import parse_formula
from crcrank.chem.ions import parse_ion
from crcrank.chem.periodic_table import place_of
from crcrank.errors import ArtifactError, ConfigError
from crcrank.evaluation.curves import discovery_curve
from crcrank.evaluation.metrics import wilson_interval
from crcrank.models.registry import ion_vectors
from crcrank.report.page import page_text
from crcrank.report.page_data import Arm, ClassFacts, Curve, ElementCounts, Flow, Histogram, IonMap, Page, Segment
from crcrank.report.projection import project
from crcrank.stages.report_evidence import read_evidence
from crcrank.stages.validate import UNITED, names_of_lists, read_validation

_STAGES = ("known", "encoded", "model", "plan", "ranking", "validation")
# What each was made from; another one that lies there now would tell another story.
_MADE_FROM = {"encoded": ("known",), "model": ("encoded",), "ranking": ("model", "plan", "known"), "validation": ("ranking",)}
_AS_RANKED = (
    "substitution", "n_one_ion_away", "n_known_in_system", "mixture", "family", "radioactive", "unusual_ions", "scarce", "toxic",
)  # fmt: skip
_N_CURVE_POINTS, _N_BINS = 160, 60


@dataclass(frozen=True)
class ReportSummary:
    """A page.

    Parameters
    ----------
    n_recommended
        Formulas in its table.
    n_bytes
        Its size.
    left_out
        What the run has no data for.
    out
        The page written.
    """

    n_recommended: int
    n_bytes: int
    left_out: tuple[str, ...]
    out: Path


def run_report(
    folder: Path, out: Path, *, study: Path | None = None, classes: Sequence[str] | None = None, overwrite: bool = False
) -> ReportSummary:
    """Write one page about a run, which needs no other file and no network.

    Parameters
    ----------
    folder
        What ``crcrank run`` made.
    out
        The page.
    study
        A ``study`` artifact of the same space, whose arms are drawn beside the run.
    classes
        Classes to show; all that are ranked if left out.

    Raises
    ------
    ArtifactError
        If the folder lacks a stage, its stages are not of one run, or the study is of another space.
    ConfigError
        If a class is not ranked.
    OutputError
        If ``out`` exists and ``overwrite`` is false, or it cannot be written.
    """
    with hold_output(out, overwrite=overwrite):
        page = _Run.read(folder, classes).page(study)
        text = page_text(page).encode()
        with replacing(out) as temporary:
            temporary.write_bytes(text)
    return ReportSummary(len(page.columns["rank"]), len(text), tuple(page.left_out.values()), out)


@dataclass(frozen=True)
class _Run:
    """The artifacts of a run, which belong together."""

    folder: Path
    classes: tuple[str, ...]
    known: Artifact
    encoded: Artifact
    model: Artifact
    ranking: Artifact
    validation: Artifact
    holdouts: dict[str, Artifact]

    @classmethod
    def read(cls, folder: Path, classes: Sequence[str] | None) -> _Run:
        """Read the stages of a run, and check that they are of one run."""
        paths = _stage_paths(folder)
        metadata = {name: read_metadata(path, name) for name, path in paths.items()}
        _check_one_space(folder, metadata)
        _check_lineage(folder, metadata)
        found = {name: read_artifact(path, name) for name, path in paths.items() if name not in {"plan", "validation"}}
        found["validation"] = validation = read_validation(folder / "validation.parquet")
        ranked = found["ranking"].table["composition_class"].unique().to_pylist()
        if unknown := [name for name in classes or () if name not in ranked]:
            raise ConfigError(f"--class: {unknown[0]!r} is not ranked in {folder}; wanted one of {', '.join(ranked)}")
        chosen = tuple(name for name in ranked if name in (classes or ranked))
        return cls(folder, chosen, **found, holdouts=_holdouts(folder, validation.metadata))

    def page(self, study: Path | None) -> Page:
        """Return what the page shows."""
        ion_map = self._ion_map()
        model = self.model.metadata["extra"]["model"]
        columns, ions = self._columns()
        evidence, missing = read_evidence(self.validation, self.classes, model)
        return Page(
            name=self.folder.resolve().name,
            model=model,
            metadata={name: getattr(self, name).metadata for name in _stage_paths(self.folder) if name != "plan"},
            classes=[self._class_facts(name) for name in self.classes],
            holdouts=list(self.holdouts),
            hits=[row for row in self.validation.table.to_pylist() if row["composition_class"] in self.classes],
            notes=self.validation.metadata["extra"]["notes"],
            curves=list(self._curves()),
            arms=[] if study is None else list(self._arms(study)),
            evidence=evidence,
            columns=columns,
            ions=ions,
            known_elements=self._known_elements(),
            ion_map=ion_map,
            flows=list(self._flows()),
            histograms=self._histograms(),
            left_out=dict(self._left_out(ion_map)) | missing | self._not_validated(),
        )

    def _left_out(self, ion_map: IonMap | None) -> Iterator[tuple[str, str]]:
        if ion_map is None:
            yield "ions", f"Model {self.model.metadata['extra']['model']} has no vectors of ions that could be drawn."
        if len(self.holdouts) < len(_holdout_hashes(self.validation.metadata)):
            yield "curves", "Discovery curves are left out: a holdout of the validation is not in the folder any more, or has changed."
        if not self._histograms():
            yield "scores", "This run has not counted the scores of the whole space."

    def _not_validated(self) -> dict[str, str]:
        """Return, of a run without a validation, the sentence that stands for each part which shows one."""
        parts = ("curves", "recall", "compounds", "calibration")
        return {} if self.validation.path.exists() else dict.fromkeys(parts, "This part is left out: the run has no validation.")

    def _class_facts(self, name: str) -> ClassFacts:
        facts = self.ranking.metadata["extra"]["classes"][name]
        return ClassFacts(name, facts["n_candidates"], facts["n_known"], facts["n_scored"], facts["n_listed"])

    def _rows(self, name: str) -> pa.Table:
        """Return the ranking of a class, best first."""
        table = self.ranking.table
        return table.filter(pc.equal(table["composition_class"], name)).sort_by("rank")

    def _real(self) -> dict[str, set[str]]:
        """Return the formulas of each holdout that are not known; they are what a ranking can hit."""
        known = set(self.known.table["formula"].to_pylist())
        return {name: set(item.table["formula"].to_pylist()) - known for name, item in self.holdouts.items()}

    def _curves(self) -> Iterator[Curve]:
        real = self._real()
        if len(real) > 1:
            real[UNITED] = set().union(*real.values())
        rates = {(row["composition_class"], row["holdout"]): row for row in self.validation.table.to_pylist()}
        cutoffs = self.validation.table["k"].unique().to_pylist()
        for name in self.classes:
            formulas = self._rows(name)["formula"].to_pylist()
            for holdout, targets in real.items():
                if (row := rates.get((name, holdout))) is not None:
                    yield _curve(row, discovery_curve(formulas, targets), cutoffs)

    def _arms(self, study: Path) -> Iterator[Arm]:
        """Return the arms of a study on all known compositions, where they were looked up in another database."""
        space_digest = self.ranking.metadata["space_digest"]
        table = read_artifact(study, "study", space_digest=space_digest).table.to_pylist()
        points: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for row in table:
            is_alike = row["design"] == "other_database" and row["fraction"] == 1 and row["counted"] == "hidden"
            if is_alike and row["composition_class"] in self.classes:
                points.setdefault((row["composition_class"], row["variant"]), []).append(row)
        for (name, variant), rows in points.items():
            yield Arm(name, variant, *([row[key] for row in rows] for key in ("k", "n_hits", "n_hits_error")))

    def _columns(self) -> tuple[dict[str, list[Any]], list[str]]:
        """Return the recommendations, class by class and best first, and the ions that they point to."""
        table = pa.concat_tables([self._rows(name) for name in self.classes])
        real, formulas = self._real(), table["formula"].to_pylist()
        lists = table["ions"].to_pylist()
        ions = sorted({ion for row in lists for ion in row})
        place = {ion: i for i, ion in enumerate(ions)}
        columns = {
            "composition_class": [self.classes.index(name) for name in table["composition_class"].to_pylist()],
            "rank": table["rank"].to_pylist(),
            "formula": formulas,
            "pretty_formula": table["pretty_formula"].to_pylist(),
            "score": _rounded(table["score"]),
            "probability": _rounded(table["probability"]),
            "ions": [[place[ion] for ion in row] for row in lists],
            "nearest_known": _pretty(table["nearest_known"]),
            **{key: table[key].to_pylist() for key in _AS_RANKED},
            "found_in": [[i for i, targets in enumerate(real.values()) if formula in targets] for formula in formulas],
        }
        return columns, ions

    def _known_elements(self) -> dict[str, ElementCounts]:
        """Return in how many known compounds of each class each element is."""
        names, lists = (self.encoded.table[key].to_pylist() for key in ("composition_class", "ions"))
        counts: dict[str, Counter[str]] = {name: Counter() for name in self.classes}
        for name, ions in zip(names, lists, strict=True):
            if name in counts:
                counts[name].update({parse_ion(ion).element for ion in ions})
        return {name: ElementCounts(names.count(name), dict(sorted(item.items()))) for name, item in counts.items()}

    def _ion_map(self) -> IonMap | None:
        labels = self.model.metadata["extra"].get("ions", [])
        vectors = ion_vectors(self.model.table)
        if vectors is None or len(vectors) > len(labels):
            return None
        n_known = Counter(ion for row in self.encoded.table["ions"].to_pylist() for ion in set(row))
        ions = [parse_ion(label) for label in labels[: len(vectors)]]
        counts = [n_known[ion.label] for ion in ions]
        if not any(counts):
            return None
        directions = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)
        found = project(directions, np.sqrt(counts))
        return IonMap(
            ions=[ion.label for ion in ions],
            elements=[ion.element for ion in ions],
            groups=[place_of(ion.element).group for ion in ions],
            oxidation_states=[ion.oxidation_state for ion in ions],
            n_known=counts,
            x=found.points[:, 0].round(4).tolist(),
            y=found.points[:, 1].round(4).tolist(),
            shares=found.shares.round(4).tolist(),
        )

    def _histograms(self) -> dict[str, Histogram]:
        """Return the scores of the whole space, if they were counted for this very ranking."""
        path = sibling(self.ranking.path, "histogram")
        if not path.exists():
            return {}
        found = read_artifact(path, "histogram")
        if sha256_of_file(self.ranking.path) not in {item["sha256"] for item in found.metadata["inputs"]}:
            return {}
        tables = {name: found.table.filter(pc.equal(found.table["composition_class"], name)) for name in self.classes}
        return {name: _histogram(table) for name, table in tables.items() if table.num_rows}

    def _by_class(self, counts: Mapping[str, int]) -> list[tuple[str, int]]:
        """Return counts in the order of the classes, those that are not shown first."""
        return sorted(counts.items(), key=lambda item: self.classes.index(item[0]) if item[0] in self.classes else -1)

    def _flows(self) -> Iterator[Flow]:
        read, placed = self.known.metadata["extra"], self.encoded.metadata["extra"]
        used = [Segment(f"{name}, in the space", n, True, {}) for name, n in self._by_class(placed["classes"])]
        outside = Segment("outside the space", placed["n_in"] - placed["n_encoded"], False, _most_common(placed["reasons"]))
        yield Flow(_names(self.known), "Training list", read["n_in"], [*_read_segments(read), outside, *used])
        for name, reach in self.validation.metadata["extra"]["reach"].items():
            if name in self.holdouts:
                yield _holdout_flow(name, self.holdouts[name].metadata["extra"], reach, self._by_class(reach["reachable"]))


def _stage_paths(folder: Path) -> dict[str, Path]:
    """Return the artifact of each stage; a run without a holdout has no validation.

    Raises
    ------
    ArtifactError
        If another one is missing, or the folder is none.
    """
    if not folder.is_dir():
        raise ArtifactError(f"{folder}: {'no folder' if folder.exists() else 'no such folder'}; wanted the --out-dir of crcrank run")
    paths = {name: folder / f"{name}.parquet" for name in _STAGES}
    if not paths["validation"].exists():
        del paths["validation"]
    if missing := [path.name for path in paths.values() if not path.exists()]:
        raise ArtifactError(f"{folder}: no {', '.join(missing)} there; crcrank run CONFIG.toml --out-dir {folder} makes what is missing")
    return paths


def _check_one_space(folder: Path, metadata: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ArtifactError unless all stages that have a space have the one of the ranking."""
    wanted = metadata["ranking"]["space_digest"]
    for name, item in metadata.items():
        if item["space_digest"] not in {wanted, None}:
            raise ArtifactError(
                f"{folder}: {name}.parquet and ranking.parquet are of different candidate spaces (digests {item['space_digest'][:12]} and "
                f"{wanted[:12]}); crcrank run CONFIG.toml --out-dir {folder} makes them fit"
            )


def _check_lineage(folder: Path, metadata: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ArtifactError unless each stage was made from those before it that lie there now."""
    hashes = {name: sha256_of_file(folder / f"{name}.parquet") for name in metadata}
    for name, item in metadata.items():
        found = {source["sha256"] for source in item["inputs"]}
        for source in _MADE_FROM.get(name, ()):
            if hashes[source] not in found:
                raise ArtifactError(
                    f"{folder}: {name}.parquet was made from another {source}.parquet than the one there; "
                    f"crcrank run CONFIG.toml --out-dir {folder} brings them up to date"
                )


def _holdouts(folder: Path, validation: Mapping[str, Any]) -> dict[str, Artifact]:
    """Return the holdouts of a validation that still lie in the folder, by the names that it gave them."""
    candidates = sorted(folder.glob("holdout-*.parquet"))
    hashes = {sha256_of_file(path): path for path in candidates if not path.stem.endswith(".rejected")}
    paths = [hashes.get(digest) for digest in _holdout_hashes(validation)]
    if None in paths:
        return {}
    found = [read_artifact(path, "known") for path in paths if path]
    return dict(zip(names_of_lists(found), found, strict=True))


def _holdout_hashes(validation: Mapping[str, Any]) -> list[str]:
    """Return the sha256 of each holdout: the inputs are the ranking, the holdouts, the ions and, if there is one, the known list."""
    n_holdouts = len(validation["extra"]["reach"])
    return [item["sha256"] for item in validation["inputs"][1 : 1 + n_holdouts]]


def _curve(row: Mapping[str, Any], hits: np.ndarray, cutoffs: Sequence[int]) -> Curve:
    """Return the discovery curve that a row of the validation belongs to: at the cutoffs, each of the first k, then evenly growing ones."""
    n = len(hits)
    grid = np.geomspace(1, n, _N_CURVE_POINTS).round().astype(np.int64)
    k = np.unique([*grid, *(cutoff for cutoff in cutoffs if cutoff <= n)])
    chosen = hits[k - 1].tolist()
    intervals = [wilson_interval(found, size) for found, size in zip(chosen, k.tolist(), strict=True)]
    low, high = (np.array(ends) * k for ends in zip(*intervals, strict=True))
    facts = (row["n_reachable"], row["base_rate"])
    return Curve(row["composition_class"], row["holdout"], k.tolist(), chosen, low.round(3).tolist(), high.round(3).tolist(), *facts)


def _histogram(table: pa.Table) -> Histogram:
    """Return scores in bins wide enough to be seen; ``table`` has finer ones, in order."""
    first = np.arange(0, table.num_rows, max(1, -(-table.num_rows // _N_BINS)))
    edges = [*table["low"].to_numpy()[first].tolist(), table["high"][-1].as_py()]
    sums = (np.add.reduceat(table[key].to_numpy(), first).tolist() for key in ("n_candidates", "n_known", "n_asked"))
    return Histogram(edges[:-1], edges[1:], *sums)


def _rounded(column: pa.ChunkedArray) -> list[float | None]:
    """Return numbers as a page shows and sorts them; what is none stays none."""
    return [None if value is None or value != value else round(value, 5) for value in column.to_pylist()]  # noqa: PLR0124  (not a number)


def _pretty(column: pa.ChunkedArray) -> list[str | None]:
    """Return formulas as people write them."""
    pretty = {text: text and parse_formula(text).pretty_formula for text in column.unique().to_pylist()}
    return [pretty[text] for text in column.to_pylist()]


def _holdout_flow(name: str, read: Mapping[str, Any], reach: Mapping[str, Any], reachable: Sequence[tuple[str, int]]) -> Flow:
    used = [Segment(f"{key}, to be found", n, True, {}) for key, n in reachable]
    known = Segment("on the training list too", reach["n_known"], False, {})
    beyond = Segment("out of reach of the ranking", sum(reach["out_of_reach"].values()), False, _most_common(reach["out_of_reach"]))
    return Flow(name, "Holdout", read["n_in"], [*_read_segments(read), known, beyond, *used])


def _read_segments(read: Mapping[str, Any]) -> list[Segment]:
    """Return the lines of a list that became no composition."""
    return [
        Segment("rejected", read["n_rejected"], False, _most_common(read["reasons"])),
        Segment("duplicates", read["n_duplicate"], False, {}),
    ]


def _most_common(reasons: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def _names(known: Artifact) -> str:
    return ", ".join(Path(source).name for source in known.metadata["config"].get("sources", ())) or known.path.name
