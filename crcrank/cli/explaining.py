"""What the explain command prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from crcrank.cli.common import Common
from crcrank.cli.render import print_table

if TYPE_CHECKING:
    from crcrank.models.terms import Term
    from crcrank.stages.explain import ExplainSummary, Explanation, Part

_N_TERMS = 10
_N_SHOWN = 5
_NEGLIGIBLE = 5e-5


def show_explanations(common: Common, summary: ExplainSummary, *, all_terms: bool) -> None:
    """Print each formula's facts, terms and surroundings, or all of it as JSON."""
    if common.json:
        common.show(summary)
        return
    for item in summary.formulas:
        sys.stdout.writelines(f"{line}\n" for line in _facts(item))
        for part in item.parts[: None if all_terms else 2]:
            print_table(sys.stdout, _terms_table(part, all_terms=all_terms))
        if item.nearest_known:
            print_table(sys.stdout, _neighbour_table(item))
        sys.stdout.write("\n")


def _facts(item: Explanation) -> Iterator[str]:
    """Yield the lines above the tables."""
    yield f"{item.pretty_formula}  ({item.composition_class}, {item.chemical_system}, candidate_id {item.candidate_id:,})"
    yield f"  ions: {item.ions}"
    for ions, score in item.other_assignments:
        yield f"  other assignment: {ions}, score {score:.4f}"
    yield f"  score: {item.score:.4f}" + ("" if item.probability is None else f", probability {item.probability:.3f}")
    if item.rank is not None:
        yield f"  rank: {item.rank:,} of the unknown formulas of its class"
    if item.is_known is not None:
        yield f"  known: {'yes' if item.is_known else 'no'}"
        yield f"  known in its chemical system: {', '.join(item.known_in_system) or 'none'}"
    if item.alternatives:
        yield f"  best others there: {', '.join(f'{formula} {score:.2f}' for formula, score in item.alternatives[:_N_SHOWN])}"
    if item.mixture:
        yield f"  on the line between known compounds: {item.mixture}"
    for column, members in item.cautions.items():
        yield f"  {column.replace('_', ' ')}: {', '.join(members)}"


def _terms_table(part: Part, *, all_terms: bool) -> Table:
    """Return a table whose last row is the sum of those above."""
    shown = list(part.terms) if all_terms else _largest(part.terms)
    title = "The score as a sum" if part.name == "score" else f"Below it, the score by the {part.name}"
    table = Table(title=title, title_justify="left", header_style="bold", show_footer=True)
    table.add_column("kind", footer="sum")
    table.add_column("term")
    table.add_column("value", justify="right", no_wrap=True, footer=f"{part.score:+.4f}")
    for term in shown:
        table.add_row(term.group, term.what, f"{term.value:+.4f}")
    rest = [term for term in part.terms if term not in shown]
    for group in dict.fromkeys(term.group for term in rest):
        values = [term.value for term in rest if term.group == group]
        table.add_row(group, f"{len(values)} smaller (--all-terms)", f"{sum(values):+.4f}", style="dim")
    return table


def _largest(terms: Sequence[Term]) -> list[Term]:
    """Return the largest terms, in the order of the model."""
    bound = sorted((abs(term.value) for term in terms), reverse=True)[: _N_TERMS + 1]
    return [term for term in terms if abs(term.value) > max(bound[-1] if len(bound) > _N_TERMS else 0.0, _NEGLIGIBLE)]


def _neighbour_table(item: Explanation) -> Table:
    table = Table(title=f"Nearest of {item.n_one_ion_away} known compounds one ion away", title_justify="left", header_style="bold")
    for heading in ("known", "substitution"):
        table.add_column(heading)
    table.add_column("likeness of the ions", justify="right")
    for formula, substitution, alike in item.nearest_known[:_N_SHOWN]:
        table.add_row(formula, substitution, f"{alike:.3f}")
    return table
