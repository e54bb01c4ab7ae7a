"""Print the table of formats in the README: what is read of the examples in tests/data, and what is rejected and why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from crcrank.chem.rules import judge
from crcrank.config import load_config
from crcrank.sources.records import RawRecord
from crcrank.sources.registry import FORMATS, detect_format, read_source

_DATA = Path(__file__).parent.parent / "tests" / "data"
EXAMPLES = {
    "plain": ["plain.txt"],
    "table": ["table.csv"],
    "parquet": ["table.parquet"],
    "jsonl": ["table.jsonl"],
    "icsd": ["icsd_web.tsv"],
    "icsd-cif": ["icsd_export.cif"],
    "cod": ["cod_data.csv", "cod_search.json", "cod_old.csv"],
    "cif": ["cifs"],
    "mp": ["mp_summary.json", "mp_legacy.json"],
    "oqmd": ["oqmd.json"],
    "aflow": ["aflow.json", "aflow_numbered.json"],
    "optimade": ["optimade_page.json", "optimade.jsonl"],
    "icdd": ["icdd_table.csv", "icdd_cards.txt"],
    "springer": ["sd_1816951.cif", "sd_1404447.cif", "springer_list.txt"],
    "kyoto": ["kyoto_ions.txt", "kyoto_scores.txt"],
}
_RULES = load_config().ingest.rules
_HEADINGS = ("format", "shape", "by content", "formulas", "ids", "years", "rejected")


def format_table() -> str:
    """Return the table in Markdown."""
    lines = [_HEADINGS, ["---"] * len(_HEADINGS), *(_row(name, [_DATA / example for example in EXAMPLES[name]]) for name in EXAMPLES)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _row(name: str, examples: list[Path]) -> list[str]:
    records = [(record, _reason(record)) for example in examples for record in read_source(example)]
    usable = [record for record, reason in records if reason is None]
    columns = (usable, [r for r in usable if r.source_id is not None], [r for r in usable if r.year is not None])
    reasons = Counter(reason for _, reason in records if reason is not None)
    rejected = "; ".join(f"{reason}: {count}" for reason, count in sorted(reasons.items()))
    files = [path for example in examples for path in (sorted(example.rglob("*.cif")) if example.is_dir() else [example])]
    is_detected = all(detect_format(path) == name for path in files)
    return [f"`{name}`", FORMATS[name].ABOUT.shape, "yes" if is_detected else "no", *(str(len(column)) for column in columns), rejected]


def _reason(record: RawRecord) -> str | None:
    facts = {"is_theoretical": bool(record.is_theoretical), "is_disordered": bool(record.is_disordered)}
    return record.problem or judge(record.text, _RULES, **facts).reason


if __name__ == "__main__":
    print(format_table(), end="")
