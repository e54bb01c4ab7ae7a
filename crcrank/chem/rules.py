"""The rules by which a line of a user's list becomes a known composition, is flagged, or is left out.

Each rule is a key of ``[ingest.rules]`` in the configuration and a row of the table that ``crcrank ingest`` prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from crcrank.chem.formula import DISORDER, ELEMENT, METALS, Composition, FormulaError, Reading, read_formula
from crcrank.config import RuleSettings

_GASES = (
    "FH ClH BrH HI H2S H2Se H2Te H3N H3P AsH3 H3Sb H4Si H3Si GeH4 H4Sn BH3 CO CO2 COS CN N2O NO NO2 O2S ClO2 Cl2O "
    "BF3 CF4 CF3 F4Si F4Ge F3N F2N F3P F5P AsF5 F4S F6S F6Se F6Te ClF ClF3 ClF5 F2O F6W BCl3 "
    "CF2O CCl2O F2OS F2O2S FNO FNO2 F3OP ClFO3 ClNO ClNO2 CClN"
)
GASES = frozenset(_GASES.split())
"""Inorganic molecules that are gases at 25 degrees Celsius and 1 bar (CRC Handbook of Chemistry and Physics, section 4), by ``formula``."""

_LARGEST_GAS = 3
"""Elements of a gas, at most."""

THEORETICAL = "theoretical, not observed"
DISORDERED = "disordered structure"
DEUTERIUM = "deuterium or tritium"
PARTS = "parts joined by a dot (a hydrate or an adduct)"
GAS = "a molecular gas"
ALLOY = "an alloy, metals only"
ORGANIC = "organic, carbon and hydrogen"

_REASON_BY_KIND = {"elements": ELEMENT, "gases": GAS, "alloys": ALLOY, "organics": ORGANIC}
_FLAGGED = "kept, flagged"
_FLAG_BY_KIND = {"elements": "element", "gases": "gas", "alloys": "alloy", "organics": "organic"}


class Verdict(NamedTuple):
    """What the rules make of a line.

    Parameters
    ----------
    composition
        What the line is, None if it is left out.
    reason
        Why it is left out, None if it is not.
    flags
        What the rules found, kept or not: ``theoretical``, ``disorder``, ``rounded``, ``deuterium``, ``parts``, ``element``, ``gas``,
        ``alloy``, ``organic``.
    """

    composition: Composition | None
    reason: str | None
    flags: tuple[str, ...]


@dataclass(frozen=True)
class RuleRow:
    """A rule, how it is set, the number of lines it found, and what became of them."""

    rule: str
    setting: str
    n_lines: int
    outcome: str


def judge(text: str, rules: RuleSettings, *, is_theoretical: bool = False, is_disordered: bool = False) -> Verdict:
    """Read one line of a list by the rules.

    Parameters
    ----------
    text
        A formula as :func:`read_formula` takes it.
    is_theoretical, is_disordered
        Whether its source says that the structure was only calculated, or that atoms share sites.
    """
    flags: tuple[str, ...] = ("theoretical",) if is_theoretical else ()
    if is_theoretical and rules.experimental_only:
        return Verdict(None, THEORETICAL, flags)
    if is_disordered:
        return Verdict(None, DISORDERED, (*flags, "disorder"))
    try:
        reading = read_formula(text, round_within=rules.round_within)
    except FormulaError as error:
        return Verdict(None, str(error), (*flags, "disorder") if str(error) in DISORDER else flags)
    composition = reading.composition
    kind = kind_of(composition)
    if reading.has_parts or reading.has_deuterium or reading.is_rounded:
        flags += tuple(_reading_flags(reading))
    if kind is not None:
        flags += (_FLAG_BY_KIND[kind],)
    reason = _refusal(reading, kind, rules)
    return Verdict(None if reason else composition, reason, flags)


def kind_of(composition: Composition) -> str | None:
    """Return which of the kinds that ``exclude`` may name a composition is: elements, gases, alloys, organics, or None.

    Examples
    --------
    >>> kind_of(Composition(("Al", "Ni"), (1, 1)))
    'alloys'
    """
    elements = composition.elements
    if len(elements) == 1:
        return "elements"
    if "C" in elements and "H" in elements:
        return "organics"
    if METALS.issuperset(elements):
        return "alloys"
    return "gases" if len(elements) <= _LARGEST_GAS and composition.formula in GASES else None


def rule_table(rules: RuleSettings, n_lines_by_flag: Mapping[str, int]) -> list[RuleRow]:
    """Return what each rule did, given the number of lines with each flag."""

    def row(rule: str, setting: str, flag: str, outcome: str) -> RuleRow:
        return RuleRow(rule, setting, n_lines_by_flag.get(flag, 0), outcome)

    return [
        row("experimental_only", _yes(rules.experimental_only), "theoretical", _outcome(not rules.experimental_only, _FLAGGED)),
        row("round_within", f"{rules.round_within:g}", "rounded", "taken as whole numbers, flagged"),
        row("disorder", "always", "disorder", "rejected"),
        row("deuterium_as_hydrogen", _yes(rules.deuterium_as_hydrogen), "deuterium", _outcome(rules.deuterium_as_hydrogen, "read as H")),
        row("expand_parts", _yes(rules.expand_parts), "parts", _outcome(rules.expand_parts, "parts added up")),
        *(
            row(f"exclude {kind}", _yes(kind in rules.exclude), flag, _outcome(kind not in rules.exclude, _FLAGGED))
            for kind, flag in _FLAG_BY_KIND.items()
        ),
    ]


def _outcome(is_kept: bool, kept: str) -> str:
    return kept if is_kept else "rejected"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _reading_flags(reading: Reading) -> Iterator[str]:
    if reading.is_rounded:
        yield "rounded"
    if reading.has_deuterium:
        yield "deuterium"
    if reading.has_parts:
        yield "parts"


def _refusal(reading: Reading, kind: str | None, rules: RuleSettings) -> str | None:
    if reading.has_deuterium and not rules.deuterium_as_hydrogen:
        return DEUTERIUM
    if reading.has_parts and not rules.expand_parts:
        return PARTS
    return _REASON_BY_KIND[kind] if kind in rules.exclude else None
