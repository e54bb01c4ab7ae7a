"""Compare the charge assignments of known formulas with those of pymatgen and SMACT, and print how often they agree.

pymatgen: the first of ``Composition.oxi_state_guesses()``. SMACT: of the neutral combinations of its ``icsd24`` oxidation
states that pass its Pauling test, the one of the highest ``compound_probability``; no answer where there are several without one.
Formulas are drawn from the lists in data-samples, by the packaged rules of ``ingest``; those without an assignment by the ion table
(cyanides among them, unless the space can hold them), with more than five elements or more than ``--max-atoms`` atoms are passed over
(both peers try every combination).

    python scripts/compare_oxidation_states.py [-n 5000] [--seed 0] [--show 20]
"""

from __future__ import annotations

import argparse
import csv
import random
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from crcrank.chem.bonding import has_cyanide, kind_of
from crcrank.chem.charges import Assignment, ChargeBalancer
from crcrank.chem.formula import parse_formula
from crcrank.chem.ions import read_ion_table
from crcrank.chem.rules import judge
from crcrank.config import load_config

_ROOT = Path(__file__).parent.parent
States = dict[str, float]


@dataclass(frozen=True)
class Answers:
    """The mean oxidation state of each element, by each program; None where it has no answer."""

    formula: str
    kind: str
    ours: States
    pymatgen: States | None
    smact: States | None

    def agrees(self, peer: str) -> bool | None:
        """Say whether a peer (or either) gives the same states, None if it has no answer."""
        answers = {"pymatgen": [self.pymatgen], "SMACT": [self.smact], "either": [self.pymatgen, self.smact]}
        theirs = [states for states in answers[peer] if states is not None]
        return any(_equal(self.ours, states) for states in theirs) if theirs else None


def sampled_formulas(seed: int) -> list[str]:
    """Return the formulas of both lists in random order."""
    formulas: set[str] = set()
    for name in ("oqmd_icsd", "cod"):
        with (_ROOT / "data-samples" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            formulas |= {row["formula"] for row in csv.DictReader(file)}
    return random.Random(seed).sample(sorted(formulas), len(formulas))  # noqa: S311  (a sample, no secret)


def assigned(formulas: list[str], n: int, max_atoms: int) -> Iterator[tuple[str, Assignment]]:
    """Yield the first ``n`` formulas that have an assignment and are small enough, with the likeliest one."""
    balancer = ChargeBalancer(read_ion_table(_ROOT / "configs" / "ions.csv"))
    rules = load_config().ingest.rules
    for formula in formulas:
        composition = judge(formula, rules).composition
        if n == 0:
            return
        if composition and len(composition.elements) <= 5 and sum(composition.amounts) <= max_atoms:
            found = balancer.assignments(composition.elements, composition.amounts)
            amount_by_element = dict(zip(composition.elements, composition.amounts, strict=True))
            if found and not (kind_of(found[0]) and has_cyanide(amount_by_element)):
                n -= 1
                yield formula, found[0]


def compared(item: tuple[str, Assignment]) -> Answers:
    """Ask both peers about a formula."""
    formula, assignment = item
    kind = (kind_of(assignment) or "one anion").partition(": ")[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Answers(formula, kind, _mean_states(assignment), _pymatgen_states(formula), _smact_states(formula))


def _mean_states(assignment: Assignment) -> States:
    charges: Counter[str] = Counter()
    amounts: Counter[str] = Counter()
    for ion, n in assignment.ions:
        charges[ion.element] += n * ion.oxidation_state
        amounts[ion.element] += n
    return {element: charges[element] / amounts[element] for element in amounts}


def _equal(ours: States, theirs: States) -> bool:
    return all(abs(state - theirs[element]) < 1e-6 for element, state in ours.items())


def _pymatgen_states(formula: str) -> States | None:
    from pymatgen.core import Composition

    guesses = Composition(formula).oxi_state_guesses()
    return dict(guesses[0]) if guesses else None


def _smact_states(formula: str) -> States | None:
    from smact import Element
    from smact.screening import smact_filter

    composition = parse_formula(formula)
    elements = [Element(symbol) for symbol in composition.elements]
    stoichs = [(n,) for n in composition.amounts]
    allowed = smact_filter(elements, threshold=max(composition.amounts), stoichs=stoichs, oxidation_states_set="icsd24")
    rows = [(states, _smact_probability(elements, states)) for elements, states, _ in allowed]
    rows = [(states, p) for states, p in rows if p is not None] if len(rows) > 1 else rows
    if not rows:
        return None
    best = max(rows, key=lambda row: row[1] or 0.0)[0]
    return dict(zip(composition.elements, best, strict=True))


def _smact_probability(elements: tuple[str, ...], states: tuple[int, ...]) -> float | None:
    """Return SMACT's probability of the ions together, None if its table lacks a pair of them."""
    from smact import Species

    try:
        return _smact_finder().compound_probability([Species(element, state) for element, state in zip(elements, states, strict=True)])
    except KeyError:
        return None


@cache
def _smact_finder() -> Any:
    from smact.oxidation_states import OxidationStateProbabilityFinder

    return OxidationStateProbabilityFinder()


def table(answers: list[Answers]) -> str:
    """Return the shares of agreement, by kind and in all."""
    lines = ["| likeliest assignment | formulas | pymatgen | SMACT | either |", "|---|---|---|---|---|"]
    kinds = Counter(item.kind for item in answers)
    for kind in (*[kind for kind, _ in kinds.most_common()], "all"):
        rows = [item for item in answers if kind in (item.kind, "all")]
        lines.append(f"| {kind} | {len(rows):,} | " + " | ".join(_share(rows, peer) for peer in ("pymatgen", "SMACT", "either")) + " |")
    return "\n".join(lines)


def _share(rows: list[Answers], peer: str) -> str:
    verdicts = [verdict for item in rows if (verdict := item.agrees(peer)) is not None]
    return f"{sum(verdicts) / len(verdicts):.1%} of {len(verdicts):,}" if verdicts else "no answers"


def main(arguments: list[str] | None = None) -> list[Answers]:
    """Compare and print; return the answers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=5_000, help="formulas to compare")
    parser.add_argument("--max-atoms", type=int, default=30, help="atoms in a formula, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=0, help="print this many that differ from both")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args(arguments)
    items = list(assigned(sampled_formulas(options.seed), options.n, options.max_atoms))
    if options.jobs > 1:
        with ProcessPoolExecutor(options.jobs) as pool:
            answers = list(pool.map(compared, items, chunksize=50))
    else:
        answers = [compared(item) for item in items]
    print(table(answers))
    for item in [item for item in answers if item.agrees("either") is False][: options.show]:
        print(item.formula, "ours", item.ours, "pymatgen", item.pymatgen, "SMACT", item.smact)
    return answers


if __name__ == "__main__":
    main()
