"""The parts of the page about exact ranks that are plain HTML: how far one must read, and single compounds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crcrank.report.page_data import Compound, Evidence, Page
from crcrank.report.page_parts import GAP, TO, readable, small, table, text

_SHARES = {0.25: "25 %", 0.5: "half", 0.9: "90 %", 1.0: "all of them"}
_ION = re.compile(r"\b([A-Z][a-z]?)(\d+)([+-])")
_MINUS = "\u2212"
_LARGE = ((1e9, "billion"), (1e6, "million"))


def depth_table(page: Page) -> str:
    """Return by which rank each share of a holdout is found: classes side by side, holdouts one below the other."""
    rows = page.evidence.depths
    if not rows:
        return ""
    names = [item.name for item in page.classes if any(row["composition_class"] == item.name for row in rows)]
    body = [line for holdout in dict.fromkeys(row["holdout"] for row in rows) for line in _depths_of(holdout, rows, names)]
    heads = ("Found by rank", *(name.capitalize() for name in names))
    return table("How far one must read; in small type the 95 % intervals", heads, body, n_text=1)


def _depths_of(holdout: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Iterator[str]:
    own = {(row["recall"], row["composition_class"]): row for row in rows if row["holdout"] == holdout}
    of_class = {name: row for (_, name), row in own.items()}
    yield f'<tr class="group"><th scope="rowgroup" colspan="{len(names) + 1}">Compounds of {text(holdout)}</th></tr>'
    yield _line("within reach", [f"{of_class[name]['n_ranked']:,}" if name in of_class else "" for name in names])
    for recall, words in _SHARES.items():
        yield _line(words, [_depth(own.get((recall, name))) for name in names])
    yield _line("half, in random order", [short(own[0.5, name]["rank_random"]) if (0.5, name) in own else "" for name in names])


def _line(head: str, cells: Sequence[str]) -> str:
    return f"<tr><th scope='row'>{head}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _depth(row: Mapping[str, Any] | None) -> str:
    return short(row["rank"]) + small(_range(short(row["rank_low"]), short(row["rank_high"]))) if row else ""


def _range(low: str, high: str) -> str:
    """Return both ends, a word that they share once."""
    number, _, word = low.partition(GAP)
    return f"{number if word and high.endswith(word) else low}{TO}{high}"


def short(rank: float) -> str:
    """Return a rank in words where its digits are too many to be read.

    Examples
    --------
    >>> [short(rank).replace("\u00a0", " ") for rank in (30752, 511208, 6758702, 5507334364, 3.77e6)]
    ['30,752', '511,208', '6.76 million', '5.51 billion', '3.77 million']
    """
    for size, word in _LARGE:
        if rank >= size:
            digits = 2 if rank < 10 * size else 1 if rank < 100 * size else 0
            return f"{rank / size:.{digits}f}{GAP}{word}"
    return readable(rank)


def compound_lists(evidence: Evidence) -> str:
    """Return for each class the compounds that are found first, and those that are ranked last with what is rare about them."""
    return "".join(_compounds_of(name, evidence) for name in evidence.first)


def _compounds_of(name: str, evidence: Evidence) -> str:
    parts = [
        _ranked("Found first", [_compound(item) for item in evidence.first[name]]),
        _ranked("Ranked last", [_compound(item) + small(_rare(item)) for item in evidence.last.get(name, ())]),
    ]
    return f"<article><h3>{text(name.capitalize())}</h3>{''.join(parts)}</article>"


def _ranked(caption: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{line}</li>" for line in lines)
    return f'<h4>{caption}</h4><ol class="compounds">{items}</ol>' if lines else ""


def _compound(item: Compound) -> str:
    ions = " ".join(ion_html(ion) for ion in item.ions)
    formula = f"<b>{formula_html(item.pretty_formula)}</b>"
    return f'<span class="number">{short(item.rank)}</span><span>{formula} <span class="quiet">{ions}</span></span>'


def _rare(item: Compound) -> str:
    """Return what about a compound is new, and what is rare, with the number of known compounds that share it."""
    words = [(ion_html(what).replace(" and ", " with "), n) for what, n in item.rare_parts]
    new = ", ".join(what for what, n in words if not n)
    rare = ", ".join(f"{what}{GAP}({n})" for what, n in words if n)
    return "; ".join(f"{kind}: {parts}" for kind, parts in (("new", new), ("rare", rare)) if parts) or "nothing rare"


def formula_html(formula: str) -> str:
    """Return a formula with its amounts as subscripts.

    Examples
    --------
    >>> formula_html("BaTiO3")
    'BaTiO<sub>3</sub>'
    """
    return re.sub(r"(\d+)", r"<sub>\1</sub>", text(formula))


def ion_html(words: str) -> str:
    r"""Return words with the charges of the ions in them as superscripts.

    Examples
    --------
    >>> ion_html("Na1+ and S2-")
    'Na<sup>+</sup> and S<sup>2\u2212</sup>'
    """
    return _ION.sub(lambda found: _charged(*found.groups()), text(words))


def _charged(element: str, number: str, sign: str) -> str:
    return f"{element}<sup>{'' if number == '1' else number}{_MINUS if sign == '-' else '+'}</sup>"
