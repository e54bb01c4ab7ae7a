"""Hand the best of a ranking to the next tool, in the form that it reads."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TextIO

from crcrank import __version__
from crcrank.artifacts.store import Artifact, hold_output, read_artifact, replacing
from crcrank.chem.formula import parse_formula
from crcrank.chem.ions import parse_ion
from crcrank.errors import ConfigError

_API_VERSION = "1.2.0"
_PREFIX = "_crcrank_"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Form:
    """A form of export: what one line of help says of it, and what writes rows of a ranking to a stream."""

    about: str
    write: Callable[[Sequence[Row], TextIO], None]


@dataclass(frozen=True)
class ExportSummary:
    """What was written.

    Parameters
    ----------
    form
        Its form.
    classes
        Formulas of each class.
    out
        The file.
    """

    form: str
    classes: dict[str, int]
    out: Path


def run_export(
    ranking: Path, out: Path, *, form: str, classes: Sequence[str] | None = None, k: int | None = None, overwrite: bool = False
) -> ExportSummary:
    """Write the best of a ranking to a file.

    Parameters
    ----------
    ranking
        A ``ranking`` artifact.
    out
        The file.
    form
        A name of :data:`FORMS`.
    classes, k
        Classes to write, and how many formulas of each; all if left out.

    Raises
    ------
    ArtifactError
        If the ranking is missing or damaged.
    ConfigError
        If there is no such form, or the ranking lacks a class.
    OutputError
        If ``out`` exists and ``overwrite`` is false, or it cannot be written.
    """
    check_form(form)
    with hold_output(out, overwrite=overwrite):
        rows = best_of(read_artifact(ranking, "ranking"), classes, k)
        with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
            FORMS[form].write(rows, stream)
    names = [row["composition_class"] for row in rows]
    return ExportSummary(form, {name: names.count(name) for name in dict.fromkeys(names)}, out)


def stream_export(ranking: Path, stream: TextIO, *, form: str, classes: Sequence[str] | None = None, k: int | None = None) -> None:
    """Write the best of a ranking to an open stream; parameters and errors are those of :func:`run_export`."""
    check_form(form)
    FORMS[form].write(best_of(read_artifact(ranking, "ranking"), classes, k), stream)


def check_form(form: str) -> None:
    """Raise ConfigError unless there is such a form of export."""
    if form not in FORMS:
        raise ConfigError(f"--to: wanted one of {', '.join(FORMS)}, found {form!r}")


def best_of(ranking: Artifact, classes: Sequence[str] | None, k: int | None) -> list[Row]:
    """Return the first ``k`` rows of each class, best first.

    Raises
    ------
    ConfigError
        If the ranking lacks a class.
    """
    rows = ranking.table.to_pylist()
    found = list(dict.fromkeys(row["composition_class"] for row in rows))
    for name in classes or ():
        if name not in found:
            raise ConfigError(f"--class: {ranking.path} does not rank {name!r}; it ranks {', '.join(found)}")
    wanted = [name for name in found if not classes or name in classes]
    rows = [row for row in rows if row["composition_class"] in wanted and (k is None or row["rank"] <= k)]
    return sorted(rows, key=lambda row: (wanted.index(row["composition_class"]), row["rank"]))


def _write_formulas(rows: Sequence[Row], stream: TextIO) -> None:
    stream.writelines(f"{row['pretty_formula']}\n" for row in rows)


def _write_smact(rows: Sequence[Row], stream: TextIO) -> None:
    """Write what ``smact_filter`` returns: elements, oxidation states and amounts of each composition."""
    ions = ([parse_ion(label) for label in row["ions"]] for row in rows)
    items = (
        [[ion.element for ion in own], [ion.oxidation_state for ion in own], row["coefficients"]]
        for own, row in zip(ions, rows, strict=True)
    )
    _write_array(items, stream)


def _write_pymatgen(rows: Sequence[Row], stream: TextIO) -> None:
    """Write amounts by species, which ``Composition`` reads."""
    _write_array((dict(zip(row["ions"], row["coefficients"], strict=True)) for row in rows), stream)


def _write_array(items: Iterable[Any], stream: TextIO) -> None:
    """Write a JSON array, an item a line."""
    stream.write("[")
    stream.writelines(("\n" if i == 0 else ",\n") + json.dumps(item, ensure_ascii=False) for i, item in enumerate(items))
    stream.write("\n]\n")


def _write_phase_fields(rows: Sequence[Row], stream: TextIO) -> None:
    """Write each set of elements once, best first, with what the ranking says of it."""
    fields: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        fields.setdefault((row["composition_class"], row["chemical_system"]), []).append(row)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["phases", "composition_class", "n_formulas", "best_rank", "best_formula", "score", "expected_known"])
    for (name, system), own in fields.items():
        best, probabilities = own[0], [row["probability"] for row in own]
        expected = None if None in probabilities else sum(probabilities)
        writer.writerow([system.replace("-", " "), name, len(own), best["rank"], best["pretty_formula"], best["score"], expected])


def _write_optimade(rows: Sequence[Row], stream: TextIO) -> None:
    """Write the response of an OPTIMADE service to a query of structures; what a composition does not say is null."""
    stream.write('{"data": ')
    _write_array(map(_entry, rows), stream)
    stream.write(f', "meta": {json.dumps(_meta(len(rows)))}}}\n')


def _entry(row: Row) -> dict[str, Any]:
    composition = parse_formula(row["formula"])
    total = sum(composition.amounts)
    attributes: dict[str, Any] = {
        "elements": list(composition.elements),
        "nelements": len(composition.elements),
        "elements_ratios": [float(Fraction(n, total)) for n in composition.amounts],
        "chemical_formula_descriptive": row["pretty_formula"],
        "chemical_formula_reduced": row["formula"],
        "chemical_formula_anonymous": anonymous_formula(composition.amounts),
        "structure_features": [],
    }
    attributes |= dict.fromkeys(_UNKNOWN)
    own = ("composition_class", "rank", "score", "probability", "ions", "coefficients", "radioactive")
    attributes |= {f"{_PREFIX}{key}": row[key] for key in own}
    return {"type": "structures", "id": f"{row['composition_class']}-{row['formula']}", "attributes": attributes}


_UNKNOWN = (
    "chemical_formula_hill", "dimension_types", "nperiodic_dimensions", "lattice_vectors", "cartesian_site_positions", "nsites", "species",
    "species_at_sites", "last_modified", "immutable_id",
)  # fmt: skip


def anonymous_formula(amounts: Sequence[int]) -> str:
    """Return the reduced formula with letters for the elements, the largest amount first.

    >>> anonymous_formula((1, 3, 1))
    'A3BC'
    """
    return "".join(letter + (str(n) if n > 1 else "") for letter, n in zip("ABCDEFGH", sorted(amounts, reverse=True), strict=False))


def _meta(n: int) -> dict[str, Any]:
    return {
        "query": {"representation": "/structures"},
        "api_version": _API_VERSION,
        "more_data_available": False,
        "data_returned": n,
        "data_available": n,
        "implementation": {"name": "crcrank", "version": __version__},
        "provider": {
            "name": "crcrank",
            "description": "Recommended compositions without structures; fields that begin with _crcrank_ are the ranking's columns",
            "prefix": "crcrank",
        },
    }


FORMS = {
    "formulas": Form("text, one formula a line, for pymatgen's Composition and SMACT's smact_validity", _write_formulas),
    "smact": Form("JSON, elements, oxidation states and amounts, as SMACT's smact_filter returns them", _write_smact),
    "pymatgen": Form("JSON, amounts by species with oxidation states, for pymatgen's Composition", _write_pymatgen),
    "optimade": Form("JSON, an OPTIMADE response of structures without sites", _write_optimade),
    "phase-fields": Form("CSV, sets of elements, for PhaseSelect and for searches by chemical system", _write_phase_fields),
}
