"""Lists of the Kyoto group's recommenders: ``2 Ge+4.00 Mg+2.00 1:2`` and ``Al2Ba2O7Si1   0.74232``.

Lines of ions may name all ions or the cations only; what is missing to neutrality is then the anion that the user names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from math import lcm

from crcrank.errors import ConfigError
from crcrank.sources.opening import Source
from crcrank.sources.records import About, RawRecord, ReadOptions
from crcrank.sources.table import first_lines

ABOUT = About(
    "lists of the Kyoto codes: score, ions, ratio; or formula, score",
    formula="ions times ratio, completed by --anion; the first word",
    source_id="none",
    year="none",
    rejects="charges that do not add up and no --anion to complete them",
)

NOT_NEUTRAL = "charges do not add up to zero (--anion completes cations)"

_CHARGE = r"[+-]\d{1,9}(?:\.\d{1,9})?"  # Python converts no number of thousands of digits
_ION = re.compile(rf"([A-Z][a-z]?)({_CHARGE})")
_IONS = re.compile(rf"\s*(?:[-+.\deE]+\s+)?(?P<ions>(?:[A-Z][a-z]?{_CHARGE}\s+)+)(?P<ratio>\d{{1,9}}(?::\d{{1,9}})*)\s*")
_SCORED = re.compile(r"\s*(?P<formula>(?:[A-Z][a-z]?\d*|[()])+)\s+[-+]?\d*\.\d+(?:[eE][-+]?\d+)?\s*")
_ANION = re.compile(r"([A-Z][a-z]?)(\d*)-")


def recognises(source: Source) -> bool:
    """Say whether most of the first lines are of one of the two kinds."""
    lines = first_lines(source)
    return bool(lines) and sum(_is_known(line) for line in lines) * 2 > len(lines)


def read(source: Source, options: ReadOptions, advance: Callable[[int], None] | None = None) -> Iterator[RawRecord]:
    """Yield one record a line.

    Raises
    ------
    ConfigError
        If ``options.anion`` is no anion.
    """
    anion = None if options.anion is None else _anion_of(options.anion)
    for number, line in enumerate(source.lines(advance), start=1):
        text = line.partition("#")[0].strip()
        if text:
            yield _record(number, text, anion)


def _is_known(line: str) -> bool:
    return _IONS.fullmatch(line) is not None or _SCORED.fullmatch(line) is not None


def _record(number: int, text: str, anion: tuple[str, int] | None) -> RawRecord:
    ions = _IONS.fullmatch(text)
    if ions is None:
        scored = _SCORED.fullmatch(text)
        return RawRecord(number, scored["formula"] if scored else text)
    formula = _formula(ions["ions"], ions["ratio"], anion)
    return RawRecord(number, formula) if formula else RawRecord(number, text, problem=NOT_NEUTRAL)


def _formula(ions: str, ratio: str, anion: tuple[str, int] | None) -> str | None:
    """Return the formula of ions in a ratio, completed by the anion where their charges call for one; None if they do not fit."""
    found = _ION.findall(ions)
    amounts = [Fraction(part) for part in ratio.split(":")]
    if len(found) != len(amounts):
        return None
    parts = [(symbol, amount) for (symbol, _), amount in zip(found, amounts, strict=True)]
    charge = sum(Fraction(charge) * amount for (_, charge), amount in zip(found, amounts, strict=True))
    if charge:
        if anion is None or charge < 0:
            return None
        parts.append((anion[0], charge / anion[1]))
    scale = lcm(*(amount.denominator for _, amount in parts))
    return "".join(f"{symbol}{amount * scale}" for symbol, amount in parts)


def _anion_of(text: str) -> tuple[str, int]:
    match = _ANION.fullmatch(text)
    if match is None or match[2] == "0":
        raise ConfigError(f"--anion: wanted an element and its charge, such as O2-, found {text!r}")
    return match[1], int(match[2] or 1)
