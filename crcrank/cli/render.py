"""Summaries for people and for programs."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from rich.columns import Columns
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from crcrank.chem.formula import parse_formula

_WIDTH_WITHOUT_TERMINAL = 110
_N_RANKS = 20
# People see tables of them, or log lines.
_ONLY_AS_JSON = {"best", "hits", "classes", "stages", "rules", "results", "cells", "hyperparameters", "ranks", "depths", "worst"}


def show(summary: Any, *, as_json: bool, stream: TextIO) -> None:
    """Print the shown fields (``repr``) of a stage's summary."""
    if as_json:
        shown = {item.name: _plain(getattr(summary, item.name)) for item in fields(summary) if item.repr or item.name in _ONLY_AS_JSON}
        stream.write(json.dumps(shown, ensure_ascii=not _is_unicode(stream), default=str) + "\n")
        return
    for item in fields(summary):
        if item.repr:
            stream.writelines(line + "\n" for line in _lines(_label(item.name), getattr(summary, item.name)))


def show_rules(rows: Sequence[Any], stream: TextIO) -> None:
    """Print what each rule of an ingest did."""
    table = Table(header_style="bold")
    for heading in ("rule", "set to"):
        table.add_column(heading)
    table.add_column("lines", justify="right")
    table.add_column("outcome")
    for row in rows:
        table.add_row(row.rule, row.setting, f"{row.n_lines:,}", row.outcome, style="" if row.n_lines else "dim")
    print_table(stream, table)


def show_best(best: Mapping[str, Sequence[Mapping[str, Any]]], stream: TextIO) -> None:
    """Print the best formulas of each class, side by side where there is room."""
    if best:
        print_table(stream, Columns([_best_table(name, rows) for name, rows in best.items()], padding=(0, 2)))


def show_searches(searches: Mapping[str, Any], stream: TextIO) -> None:
    """Print how each class was ranked."""
    table = Table(header_style="bold")
    table.add_column("class")
    for heading in ("listed", "candidates", "known candidates", "scored one by one", "seconds", "candidates/s"):
        table.add_column(heading, justify="right")
    for name, item in searches.items():
        counts = (item.n_listed, item.n_candidates, item.n_known, item.n_scored)
        table.add_row(name, *(f"{n:,}" for n in counts), f"{item.seconds:.1f}", f"{item.candidates_per_second:,}")
    print_table(stream, table)


def show_ranks(ranks: Sequence[Mapping[str, Any]], stream: TextIO) -> None:
    """Print the ranks of the formulas asked for, twenty of each class, and why others have none."""
    table = Table(title="Ranks among all candidates", title_justify="left", header_style="bold")
    for heading, justify in (("class", "left"), ("rank", "right"), ("formula", "left"), ("ions", "left"), ("score", "right")):
        table.add_column(heading, justify=justify, no_wrap=heading != "ions")  # type: ignore[arg-type]
    n_by_class = Counter(row["composition_class"] for row in ranks)
    for name, n in n_by_class.items():
        rows = [row for row in ranks if row["composition_class"] == name]
        for row in rows[:_N_RANKS]:
            table.add_row(*_rank_cells(row))
        if n > _N_RANKS:
            table.add_row(name or "", "", f"and {n - _N_RANKS:,} more")
        table.add_section()
    print_table(stream, table)


def _rank_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    if row["rank"] is None:
        return "", "", row["pretty_formula"], row["reason"], ""
    return row["composition_class"], f"{row['rank']:,}", row["pretty_formula"], " ".join(row["ions"]), f"{row['score']:.3f}"


def show_hits(hits: Sequence[Mapping[str, Any]], stream: TextIO) -> None:
    """Print the hit table of a validation; a ranking shorter than every k has none, nor has a run without a holdout."""
    if not hits:
        return
    table = Table(title="Hits: real compounds that training never saw", title_justify="left", header_style="bold")
    for heading in ("class", "holdout"):
        table.add_column(heading)
    for heading in ("k", "hits", "hit rate", "95 %", "recall", "enrichment", "at random", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    for before, row in zip([None, *hits], hits, strict=False):
        if before and (before["composition_class"], before["holdout"]) != (row["composition_class"], row["holdout"]):
            table.add_section()
        table.add_row(*_hit_cells(row))
    print_table(stream, table)


def show_depths(depths: Sequence[Mapping[str, Any]], stream: TextIO) -> None:
    """Print how far one must read to find each share of the holdouts."""
    table = Table(title="Recall to the end: the rank by which a share of the holdout is found", title_justify="left", header_style="bold")
    for heading in ("class", "holdout"):
        table.add_column(heading)
    for heading in ("share", "rank", "95 %", "at random"):
        table.add_column(heading, justify="right", no_wrap=True)
    for before, row in zip([None, *depths], depths, strict=False):
        if before and (before["composition_class"], before["holdout"]) != (row["composition_class"], row["holdout"]):
            table.add_section()
        interval = f"{row['rank_low']:,} to {row['rank_high']:,}"
        names = (row["composition_class"], row["holdout"])
        table.add_row(*names, f"{row['recall']:.0%}", f"{row['rank']:,}", interval, f"{row['rank_random']:,.0f}")
    print_table(stream, table)


def show_worst(worst: Sequence[Mapping[str, Any]], stream: TextIO) -> None:
    """Print the compounds of the holdouts that are ranked worst, and what is rare about them."""
    table = Table(title="Ranked worst", title_justify="left", header_style="bold")
    for heading in ("class", "holdout", "formula"):
        table.add_column(heading)
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("few or no known compounds")
    for row in worst:
        table.add_row(row["composition_class"], row["holdout"], row["pretty_formula"], f"{row['rank']:,}", row["reason"])
    print_table(stream, table)


def show_comparison(results: Sequence[Mapping[str, Any]], stream: TextIO) -> None:
    """Print the results of a study."""
    table = Table(title="Hits: mean over the seeds and standard error", title_justify="left", header_style="bold")
    for heading in ("design", "counted", "class", "trained on", "variant", "prior"):
        table.add_column(heading)
    for heading in ("k", "hits", "difference", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    places = [[row[key] for key in ("design", "counted", "composition_class", "fraction", "k")] for row in results]
    for before, place, row in zip([None, *places], places, results, strict=False):
        if before and before != place:
            table.add_section()
        table.add_row(*_comparison_cells(row))
    print_table(stream, table)


def show_settings(settings: Mapping[str, Mapping[str, Any]], stream: TextIO) -> None:
    """Print the settings of each variant of a study, a line for each."""
    stream.write("settings:\n")
    lines = (f"{name}: {', '.join(f'{key} {json.dumps(value)}' for key, value in values.items())}" for name, values in settings.items())
    stream.writelines(f"  {line}\n" for line in lines)


def show_changes(classes: Mapping[str, Any], stream: TextIO) -> None:
    """Print what became of the first formulas of a ranking, counted by class."""
    table = Table(header_style="bold")
    table.add_column("class")
    for heading in ("first k", "became known", "stayed", "moved", "entered", "left"):
        table.add_column(heading, justify="right")
    for name, item in classes.items():
        table.add_row(name, *(f"{n:,}" for n in vars(item).values()))
    print_table(stream, table)


def show_first_changes(best: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], stream: TextIO) -> None:
    """Print the first formulas of each class and kind of change, side by side where there is room."""
    for name, kinds in best.items():
        print_table(stream, Columns([_changes_table(name, kind, rows) for kind, rows in kinds.items()], padding=(0, 2)))


def _changes_table(name: str, kind: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=f"{name}, {kind.replace('_', ' ')}", title_justify="left", header_style="bold")
    table.add_column("formula", no_wrap=True)
    for side in ("before", "after"):
        table.add_column(side, justify="right")
    for row in rows:
        ranks = (row["rank_before"], row["rank_after"])
        table.add_row(row["pretty_formula"], *("" if rank is None else f"{rank:,}" for rank in ranks))
    return table


def _comparison_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["design"].replace("_", " "),
        row["counted"],
        row["composition_class"],
        f"{row['n_known_fitted']:,.0f}",
        row["variant"],
        "" if row["prior_components"] is None else str(row["prior_components"]),
        f"{row['k']:,}",
        _with_error(row["n_hits"], row["n_hits_error"]),
        "" if row["difference"] is None else _with_error(row["difference"], row["difference_error"], "+"),
        "" if row["ratio"] is None else f"{row['ratio']:.2f}",
    )


def _with_error(value: float, error: float | None, sign: str = "") -> str:
    return f"{value:{sign},.1f}" + ("" if error is None else f" ± {error:,.1f}")


def _hit_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["composition_class"],
        row["holdout"],
        f"{row['k']:,}",
        f"{row['n_hits']:,}",
        f"{row['hit_rate']:.2%}",
        f"{100 * row['hit_rate_low']:.1f}-{100 * row['hit_rate_high']:.1f} %",
        f"{row['recall']:.2%}",
        f"{row['enrichment']:,.0f}" if row["enrichment"] >= 10 else f"{row['enrichment']:.1f}",
        f"{row['expected_random']:.2g}",
        _power_of_ten(row["log10_p_value"]),
    )


def _power_of_ten(exponent: float) -> str:
    """Return a number of at most 1 whose decimal logarithm is given; the number itself may be too small for a float."""
    return f"{10**exponent:.2g}" if exponent > -3 else f"1e{exponent:.0f}"


def _probability(value: float) -> str:
    return ">0.999" if value > 0.999 else f"{value:.3f}"


def _best_table(name: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=f"{len(rows)} best, {name}", title_justify="left", header_style="bold")
    table.add_column("", justify="right")
    table.add_column("formula", no_wrap=True)
    table.add_column("ions", no_wrap=True, style="dim")
    table.add_column("score", justify="right", no_wrap=True)
    has_probability = any(row["probability"] is not None for row in rows)
    if has_probability:
        table.add_column("prob.", justify="right", no_wrap=True)
    table.add_column("nearest known", no_wrap=True, style="dim")
    for row in rows:
        formula = Text(row["pretty_formula"])
        if row["radioactive"]:
            formula.append(" (radioactive)", style="red")
        nearest = parse_formula(row["nearest_known"]).pretty_formula if row["nearest_known"] else ""
        probability = [_probability(row["probability"])] if has_probability else []
        table.add_row(str(row["rank"]), formula, " ".join(row["ions"]), f"{row['score']:.3f}", *probability, nearest)
    return table


def _lines(label: str, value: Any, indent: str = "") -> Iterator[str]:
    """Yield a value under its label; what is nested is indented."""
    if value is None or value in ((), {}, []):
        return
    if isinstance(value, (list, tuple)):
        yield f"{indent}{label}:"
        yield from (f"{indent}  {_text(item)}" for item in value)
    elif isinstance(value, Mapping) or is_dataclass(value):
        yield f"{indent}{label}:"
        parts = value if isinstance(value, Mapping) else {_label(item.name): getattr(value, item.name) for item in fields(value)}
        for key, item in parts.items():
            yield from _lines(str(key), item, indent + "  ")
    else:
        yield f"{indent}{label}: {_text(value)}"


def _label(name: str) -> str:
    return "results in" if name == "out_dir" else name.removeprefix("n_").replace("_", " ")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if hasattr(value, "_asdict"):  # a named tuple
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def print_table(stream: TextIO, content: RenderableType) -> None:
    """Print tables at the terminal's width; files and pipes get a fixed one."""
    width = shutil.get_terminal_size((_WIDTH_WITHOUT_TERMINAL, 0)).columns if stream.isatty() else _WIDTH_WITHOUT_TERMINAL
    # Rich would end the process itself where a pipe is closed; by the encoding it chooses the lines to draw.
    drawn = TextIOWrapper(BytesIO(), encoding=stream.encoding or "utf-8", errors="replace")
    Console(file=drawn, force_terminal=stream.isatty(), width=width, highlight=False).print(content)
    drawn.seek(0)
    stream.write("".join(line.rstrip() + "\n" for line in drawn.read().splitlines()))


def _is_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "utf-8").lower().startswith("utf")
