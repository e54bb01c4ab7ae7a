"""Print how many known neutral compositions lie in a candidate space, and why the others do not, as a table.

A composition counts as neutral if the ion table has any neutral assignment of it: one or several anions, one element perhaps in two
oxidation states. The lists are those of data-samples, by the rules of the configuration.

    python scripts/reach_of_space.py [--config FILE.toml]
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from crcrank.chem.charges import ChargeBalancer
from crcrank.chem.formula import Composition
from crcrank.chem.rules import judge
from crcrank.config import RuleSettings, load_config
from crcrank.space.placement import Placer, count_reasons
from crcrank.stages.common import load_space

_SAMPLES = Path(__file__).parent.parent / "data-samples"
_LISTS = {"OQMD-ICSD": "oqmd_icsd.csv", "COD": "cod.csv"}
_NAMES = {3: "ternary", 4: "quaternary", 5: "quinary"}


def known(file_name: str, rules: RuleSettings) -> Iterator[Composition]:
    """Yield the compositions of a list that the rules keep."""
    with (_SAMPLES / file_name).open(newline="", encoding="utf-8") as file:
        verdicts = (judge(row["formula"], rules) for row in csv.DictReader(file))
        yield from (verdict.composition for verdict in verdicts if verdict.composition is not None)


def row(label: str, compositions: Sequence[Composition], placer: Placer, balancer: ChargeBalancer) -> str:
    """Return the table's row for compositions of one list and size."""
    pairs = [(item.elements, item.amounts) for item in compositions]
    neutral = [pair for pair in pairs if balancer.plain(*pair) or balancer.mixed(*pair)]
    outside = placer.place(neutral)[1]
    n_inside = len(neutral) - len(outside)
    reasons = "; ".join(f"{reason} {n:,}" for reason, n in count_reasons(outside).items())
    return f"| {label} | {len(pairs):,} | {len(neutral):,} | {n_inside:,} | {n_inside / max(len(neutral), 1):.1%} | {reasons} |"


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=None, help="configuration; the packaged default if left out")
    settings = load_config(parser.parse_args(arguments).config)
    space, table = load_space(settings)
    placer, balancer = Placer(space, table), ChargeBalancer(table)
    print("| list | known | neutral | in the space | share | why not |\n|---|---|---|---|---|---|")
    for name, file_name in _LISTS.items():
        by_size: dict[int, list[Composition]] = {}
        for composition in known(file_name, settings.ingest.rules):
            by_size.setdefault(len(composition.elements), []).append(composition)
        for n, size in _NAMES.items():
            print(row(f"{name}, {size}", by_size.get(n, []), placer, balancer), flush=True)


if __name__ == "__main__":
    main()
