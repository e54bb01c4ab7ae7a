"""The parts of the page that are plain HTML: what a reader without scripts, and a printer, gets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from crcrank.report.page_data import ClassFacts, Flow, Page, Segment

_HEADLINE_CUTOFF = 100
_LEAD = (
    "Every charge-neutral composition of the space was considered, those on the training list are left out, and what remains is "
    "listed best first. A <em>hit</em> is a listed composition that another database reports as a real compound. Hit rates are lower "
    "bounds: what that database lacks may exist all the same."
)
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
GAP = "\u00a0"  # no line breaks here
TO = "\u2013"  # between the ends of an interval, where there is little room
_TIMES = f"{GAP}\u00d7{GAP}"
_KINDS = {"known": "Training list", "encoded": "Placed in the space", "model": "Model", "ranking": "Ranking", "validation": "Validation"}


def text(value: object) -> str:
    """Return a value as text of an element or an attribute."""
    return escape(str(value), quote=True)


def small(words: str) -> str:
    """Return words in small type, below what stands before them."""
    return f"<small>{words}</small>"


def absent(page: Page, part: str) -> str:
    """Return the sentence that stands for a part which the run has no data for, or nothing."""
    return f'<p class="absent">{text(page.left_out[part])}</p>' if part in page.left_out else ""


def head_section(page: Page) -> str:
    """Return the title, what the run was, and how often the first recommendations were right."""
    n_listed = sum(item.n_listed for item in page.classes)
    n_candidates = sum(item.n_candidates for item in page.classes)
    *_, last = page.metadata.values()
    made, version = last["created_at"][:10], last["crcrank_version"]
    lines = [
        f'<p class="overline">crcrank {text(version)} · run <b>{text(page.name)}</b> · model <b>{text(page.model)}</b> · {text(made)}</p>',
        f"<h1>The {n_listed:,} best of {n_candidates:,} candidate compositions</h1>",
        f'<p class="lead">{_LEAD}</p>',
        f'<div class="cards">{"".join(_card(row) for row in _headlines(page))}</div>',
        *(f'<p class="note">{text(note[:1].upper() + note[1:])}.</p>' for note in page.notes),
    ]
    return "\n".join(lines)


def _headlines(page: Page) -> list[Mapping[str, Any]]:
    """Return for each class the row at the cutoff nearest to a hundred, of the last holdout: all united where there are several."""
    chosen = []
    for item in page.classes:
        rows = [row for row in page.hits if row["composition_class"] == item.name]
        if rows:
            rows = [row for row in rows if row["holdout"] == rows[-1]["holdout"]]
            chosen.append(min(rows, key=lambda row: abs(row["k"] - _HEADLINE_CUTOFF)))
    return chosen


def _card(row: Mapping[str, Any]) -> str:
    return (
        f'<div class="card"><p class="big">{percent(row["hit_rate"])}</p>'
        f"<p>of the first {row['k']:,} <b>{text(row['composition_class'])}</b> recommendations are found in {text(row['holdout'])}</p>"
        f'<p class="quiet">{row["n_hits"]:,} hits; 95 %: {_interval(row)}; at random {readable(row["expected_random"])}</p></div>'
    )


def hit_table(page: Page) -> str:
    """Return the rows of the validation as a table, of a run without one nothing."""
    if "validation" not in page.metadata:
        return ""
    if not page.hits:
        return '<p class="absent">The validation has no rows: fewer formulas are listed than its smallest k.</p>'
    heads = ("First k", "Hits", "Hit rate", "Recall", "Enrichment", "At random", "p by chance")
    rows, before = [], None
    for row in page.hits:
        place = (row["composition_class"], row["holdout"])
        if place != before:
            covered = f", which has {percent(row['coverage'])} of the known ones" if row["coverage"] else ""
            label = f"{text(place[0].capitalize())}, found in {text(place[1])}{covered}"
            rows.append(f'<tr class="group"><th scope="rowgroup" colspan="{len(heads)}">{label}</th></tr>')
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _figures(row))}</tr>")
        before = place
    return table("Hits among the first k recommendations; in small type the 95 % intervals", heads, rows, n_text=0)


def _figures(row: Mapping[str, Any]) -> list[str]:
    return [
        f"{row['k']:,}",
        f"{row['n_hits']:,}" + (small(f"{row['hits_low']:,}{TO}{row['hits_high']:,}") if row["n_hits"] else ""),
        percent(row["hit_rate"]) + small(_interval(row, TO)),
        percent(row["recall"]),
        readable(row["enrichment"]),
        readable(row["expected_random"]),
        _power_of_ten(row["log10_p_value"]),
    ]


def space_table(page: Page) -> str:
    """Return how each class was ranked."""
    heads = ("Class", "Candidates", "Known", "Scored one by one", "Listed")
    return table("The candidate space", heads, [_space_row(item) for item in page.classes], n_text=1)


def _space_row(item: ClassFacts) -> str:
    cells = (f"{n:,}" for n in (item.n_candidates, item.n_known, item.n_scored, item.n_listed))
    return f"<tr><th scope='row'>{text(item.name)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def table(caption: str, heads: Sequence[str], rows: Iterable[str], *, n_text: int) -> str:
    """Return a table that scrolls by itself where it is too wide; the first ``n_text`` columns are text, the others numbers."""
    columns = "".join(f'<th scope="col"{"" if i < n_text else " class=number"}>{text(head)}</th>' for i, head in enumerate(heads))
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table class="figures text{n_text}">'
        f"<caption>{text(caption)}</caption><thead><tr>{columns}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def flow_section(page: Page) -> str:
    """Return what became of each list: a bar of its parts, the parts in words, and the reasons."""
    return "\n".join(_flow(flow) for flow in page.flows)


def _flow(flow: Flow) -> str:
    shown = [(style, item) for style, item in zip(_styles(flow.segments), flow.segments, strict=True) if item.n]
    label = f"{flow.name}: {', '.join(f'{item.n:,} {item.label}' for _, item in shown)}"
    bar = "".join(f'<span class="{style}" style="flex-grow:{item.n}"></span>' for style, item in shown)
    keys = "".join(_key(style, item, flow.n) for style, item in shown)
    reasons = "".join(_reasons(item) for _, item in shown if item.reasons)
    return (
        f'<article class="flow"><h3>{text(flow.name)}</h3><p class="quiet">{text(flow.role)}, {flow.n:,} lines read</p>'
        f'<div class="bar" role="img" aria-label="{text(label)}">{bar}</div><ul class="keys">{keys}</ul>{reasons}</article>'
    )


def _styles(segments: Sequence[Segment]) -> list[str]:
    """Return a style for each: greys for what was put aside, blues for what was used."""
    n_aside = sum(not item.is_used for item in segments)
    return [f"used{i - n_aside}" if item.is_used else f"aside{i}" for i, item in enumerate(segments)]


def _key(style: str, item: Segment, n: int) -> str:
    share = percent(item.n / n)
    return f'<li><span class="swatch {style}"></span><b>{item.n:,}</b> {text(item.label)} <span class="quiet">{share}</span></li>'


def _reasons(item: Segment) -> str:
    largest = max(item.reasons.values())
    rows = "".join(
        f'<tr><th scope="row">{text(reason)}</th><td><span class="length" style="width:{100 * n / largest:.1f}%"></span></td>'
        f"<td>{n:,}</td></tr>"
        for reason, n in item.reasons.items()
    )
    summary = f"<summary>{item.n:,} {text(item.label)}: why</summary>"
    return f'<details class="why">{summary}<table class="reasons"><tbody>{rows}</tbody></table></details>'


def origin_section(page: Page) -> str:
    """Return what the figures rest on: when each artifact was made, from which files, with which settings."""
    heads = ("Artifact", "Made", "Digest of its settings")
    rows = [
        f"<tr><th scope='row'>{text(_KINDS[kind])}</th><td>{text(item['created_at'].replace('T', ' ').removesuffix('+00:00'))} UTC</td>"
        f"<td><code>{text(item['config_digest'][:12])}</code></td></tr>"
        for kind, item in page.metadata.items()
    ]
    settings = {kind: item["config"] for kind, item in page.metadata.items() if kind in {"model", "ranking"}}
    digest = page.metadata["ranking"]["space_digest"]
    return (
        table("Artifacts of this run", heads, rows, n_text=1)
        + f"<p>Seed <code>{text(page.metadata['model']['seed'])}</code>, candidate space <code>{text(str(digest)[:12])}</code>.</p>"
        + "<details><summary>Settings of model and ranking</summary>"
        + f"<pre tabindex='0'>{text(json.dumps(settings, indent=1, ensure_ascii=False))}</pre></details>"
    )


def percent(share: float) -> str:
    """Return a share with two digits that mean something.

    Examples
    --------
    >>> [percent(share).replace(GAP, " ") for share in (0.31, 0.0167, 0.00004, 0.0)]
    ['31 %', '1.7 %', '0.0040 %', '0 %']
    """
    digits = 0 if share in {0, 1} or share >= 0.0995 else 1 if share >= 0.00995 else 2 if share >= 0.000995 else 4
    return f"{100 * share:.{digits}f}{GAP}%"


def _power_of_ten(exponent: float | None) -> str:
    """Return a probability given by its logarithm, which may be too small for a number.

    Examples
    --------
    >>> _power_of_ten(-57.3), _power_of_ten(-0.301), _power_of_ten(None)
    ('10⁻⁵⁷', '0.5', '')
    """
    if exponent is None:
        return ""
    return f"{10**exponent:.2g}" if exponent > -2 else f"10{str(round(exponent)).translate(_RAISED)}"


def _interval(row: Mapping[str, Any], to: str = " to ") -> str:
    return f"{percent(row['hit_rate_low']).removesuffix(GAP + '%')}{to}{percent(row['hit_rate_high'])}"


def readable(value: float) -> str:
    """Return a positive number of any size.

    Examples
    --------
    >>> readable(1258.92), readable(12.3), readable(0.7387), readable(0.0), readable(0.0000446)[-4:]
    ('1,259', '12', '0.74', '0', '10⁻⁵')
    """
    if value == 0 or value >= 10:
        return f"{value:,.0f}"
    if value >= 0.001:
        return f"{value:.2g}"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits}{_TIMES}10{str(int(exponent)).translate(_RAISED)}"
