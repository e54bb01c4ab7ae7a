"""A run as one HTML page: its data as JSON, what needs no script as HTML, style and scripts inline, and no network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from string import Template
from typing import Any

from crcrank.chem.elements import ELEMENT_SYMBOLS
from crcrank.chem.periodic_table import place_of
from crcrank.report.page_data import Page
from crcrank.report.page_evidence import compound_lists, depth_table
from crcrank.report.page_parts import absent, flow_section, head_section, hit_table, origin_section, space_table, text

_FOLDER = Path(__file__).parent
# Observable Plot draws the charts: a tenth of the bytes of plotly and of its time to the pictures, in SVG with the colours of the page.
_VENDORED = ("vendor/d3.min.js", "vendor/plot.umd.min.js")
# Of one scope, in this order: each file uses what those before it define.
_OWN = ("common", "table", "charts", "evidence", "elements", "ions", "scores", "start")
_OF_DEPTH = ("composition_class", "holdout", "recall", "rank", "rank_low", "rank_high")


def page_text(page: Page) -> str:
    """Return a page; the same data give the same text.

    No text of the data can become markup: in HTML it is escaped, in JSON no ``<`` is left, and the scripts insert it as text.
    A content security policy lets only the page's own scripts run and forbids all connections.
    """
    scripts = [*map(_read, _VENDORED), _own_script()]
    return Template(_read("page.html")).substitute(
        policy=_policy(scripts),
        title=text(f"{page.name}: recommended compositions"),
        style=_read("page.css"),
        head=head_section(page),
        hits=hit_table(page),
        space=space_table(page),
        flows=flow_section(page),
        origin=origin_section(page),
        depths=depth_table(page),
        compounds=compound_lists(page.evidence),
        no_curves=absent(page, "curves"),
        no_recall=absent(page, "recall"),
        no_compounds=absent(page, "compounds"),
        no_calibration=absent(page, "calibration"),
        no_ions=absent(page, "ions"),
        scores=absent(page, "scores"),
        data=_json(_payload(page)),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _own_script() -> str:
    parts = "\n".join(_read(f"script/{name}.js") for name in _OWN)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def _payload(page: Page) -> dict[str, Any]:
    return {
        "name": page.name,
        "classes": [asdict(item) for item in page.classes],
        "holdouts": page.holdouts,
        "curves": [asdict(item) for item in page.curves],
        "arms": [asdict(item) for item in page.arms],
        "hits": [{key: row[key] for key in ("composition_class", "holdout", "k", "n_hits")} for row in page.hits],
        "recalls": [asdict(item) for item in page.evidence.recalls],
        "depths": [{key: row[key] for key in _OF_DEPTH} for row in page.evidence.depths],
        "spreads": [asdict(item) for item in page.evidence.spreads],
        "calibration": [dict(row) for row in page.evidence.calibration],
        "calibration_error": page.evidence.calibration_error,
        "columns": page.columns,
        "ions": page.ions,
        "elements": [[symbol, *place_of(symbol)[:2]] for symbol in ELEMENT_SYMBOLS],
        "known_elements": {name: asdict(item) for name, item in page.known_elements.items()},
        "histograms": {name: asdict(item) for name, item in page.histograms.items()},
        "ion_map": page.ion_map and asdict(page.ion_map),
    }


def _json(value: Any) -> str:
    """Return JSON that no HTML parser finds a tag in."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _policy(scripts: Sequence[str]) -> str:
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {allowed}; base-uri 'none'; form-action 'none'"
