"""A study as a page of Markdown: tables, pictures and settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crcrank.config import StudySettings
from crcrank.report.study import StudyPoint, number_with_error

_LOOKED_FOR = {
    "other_database": "trained on the known lists; a hit is a composition of the holdout that the known lists lack",
    "random_fraction": "trained on a random part of the known compositions",
    "leave_system_out": "trained on the known compositions of a random part of the chemical systems; the other systems are looked for",
    "by_year": "trained on known compositions up to {year}; later ones are looked for",
    "class_transfer": "trained on other classes ({learn_from}); the ranked classes are never seen",
}
_COUNTED = {
    "hidden": "What was trained on is not ranked and does not count.",
    "all": "Nothing is left out of the ranking, and every real compound counts, trained on or not.",
}


def study_page(
    study: StudySettings,
    points_by_view: Mapping[tuple[str, str], Sequence[StudyPoint]],
    hyperparameters: Mapping[str, Mapping[str, Any]],
    failed: Mapping[str, str],
    pictures: Sequence[Path],
) -> str:
    """Return the page of a study.

    Parameters
    ----------
    points_by_view
        For each design and what is counted, every arm at each class, fraction and k; differences are taken to the first arm.
    hyperparameters
        Settings of each variant.
    failed
        Why cells are missing, by their names.
    pictures
        Pictures to show; those that are no PNG are passed over. They lie beside the page.
    """
    parts = [f"# {study.name or 'Study'}", _introduction(study)]
    for (design, counted), points in points_by_view.items():
        heading = f"{design.replace('_', ' ').capitalize()}" + (f", {counted}" if study.count == "both" else "")
        parts += [f"## {heading}", _sentence(study, design, counted), *_tables(points)]
    parts += [f"![{path.stem.replace('_', ' ')}]({path.name})" for path in pictures if path.suffix == ".png"]
    parts += ["## Settings", "\n".join(_settings(hyperparameters))]
    if failed:
        parts += ["## Cells that could not be measured", "\n".join(f"- `{name}`: {reason}" for name, reason in failed.items())]
    return "\n\n".join(parts) + "\n"


def _introduction(study: StudySettings) -> str:
    seeds = ", ".join(map(str, study.seeds))
    return (
        f"Hits in the ranking of every candidate of a class: mean ± standard error over the seeds {seeds}. In brackets the difference to "
        "the first line on the same seeds, with its standard error, and the ratio. These errors are those of split and start; how well "
        "the lists stand for all real compounds is not in them."
    )


def _sentence(study: StudySettings, design: str, counted: str) -> str:
    text = _LOOKED_FOR[design].format(year=study.year, learn_from=", ".join(study.learn_from))
    return f"{text[0].upper()}{text[1:]}. {_COUNTED[counted]}"


def _tables(points: Sequence[StudyPoint]) -> Iterator[str]:
    """Yield a table for each class and fraction: a line for each arm, a column for each k."""
    groups: dict[tuple[str, float], dict[str, dict[int, StudyPoint]]] = {}
    for point in points:
        groups.setdefault((point.composition_class, point.fraction), {}).setdefault(point.arm, {})[point.k] = point
    for (name, fraction), rows in groups.items():
        cutoffs = list(dict.fromkeys(k for row in rows.values() for k in row))
        n_known = dict.fromkeys(f"{point.n_known_fitted:,.0f}" for row in rows.values() for point in row.values())
        head = [f"{name}, {100 * fraction:g} % ({' or '.join(n_known)} known)", *(f"first {k:,}" for k in cutoffs)]
        lines = [head, ["---", *("---:" for _ in cutoffs)]]
        lines += [[arm, *(_cell(row.get(k)) for k in cutoffs)] for arm, row in rows.items()]
        yield "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(point: StudyPoint | None) -> str:
    if point is None:
        return ""
    text = number_with_error(point.n_hits, point.error)
    if point.difference is None:
        return text
    ratio = "" if point.relative is None else f"; {point.relative:.2f}"
    return f"{text} ({'+' if point.difference >= 0 else ''}{number_with_error(point.difference, point.difference_error)}{ratio})"


def _settings(hyperparameters: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "| variant | settings |"
    yield "|---|---|"
    for name, values in hyperparameters.items():
        yield f"| {name} | {', '.join(f'{key} {json.dumps(value)}' for key, value in values.items())} |"
