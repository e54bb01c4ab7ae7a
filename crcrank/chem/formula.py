"""Chemical formulas as people and databases write them, read strictly into gcd-reduced compositions.

How the ambiguous spots are read (what stays ambiguous is rejected, never guessed):

- *A dot* is a decimal point between digits, unless water follows the number: ``CuSO4.5H2O`` is a hydrate,
  ``Li0.5CoO2`` has a fractional amount. ``·``, ``•`` and ``*`` always separate.
- *A number* right after an element or a bracket is an amount; at the start of the text, of a bracket or after a
  separator it multiplies what follows, up to the next separator.
- *Charges* are dropped. Digits before a sign are the charge after a space, a digit after a bracket (``S O4 2-``, ``[Fe(CN)6]4-``),
  after a lone element (``Fe3+``, ``O2-``) and, before ``+``, after a metal within a longer formula (``NaFe3+Si2O6``).
  After the last atom of a polyatomic ion one digit is the amount (``NH4+``, ``NO3-``); of several, the last is the
  charge (``SO42-``). Digits after a bare sign are the charge (``Fe+3``); after a signed number they are the amount
  (``Fe3+2 O2-3``). The two orders in one text, or a sign with more formula behind it, are ambiguous: a mixture, an
  alloy and a chemical system are written alike (``Al2O3+SiO2``, ``Ti-6Al-4V``, ``Ba-Ti-O``).
- *Oxidation states* in Roman numerals are dropped (``Ti(IV)O2``); ``Cu(I)2O`` might hold iodine, ``V(V)2O5`` vanadium.
- *A Greek letter* and a hyphen before the formula name a polymorph and are dropped (``β-Ga2O3``).
- *Spaces and commas* between metals and what they are bound to may stand between formulas (``NaCl KCl``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import gcd
from typing import NamedTuple

from crcrank.errors import InputDataError

MAX_TEXT_LENGTH = 1_000
MAX_AMOUNT = 10_000

_BY_ELECTRONEGATIVITY = (
    "Fr Cs K Rb Ba Ra Na Sr Li Ca Ac La Tb Yb Ce Pm Pr Nd Sm Eu Gd Dy Y Ho Er Tm Lu Pu Am Bk Cf Cm Es Fm Hf Lr Md No Th "
    "Mg Zr Np Sc U Pa Ta Ti Mn Be Nb Al Tl V Zn Cr Cd In Ga Fe Co Cu Re Si Tc Ni Ag Sn Hg Po Ge Bi B Sb Te Mo As P At H "
    "Ir Os Pd Rn Ru Pt Rh Pb W Au C Se S Xe I Br Kr N Cl O F "
    "Ar Bh Cn Db Ds Fl He Hs Lv Mc Mt Ne Nh Og Rf Rg Sg Ts"
)
ELECTRONEGATIVITY_ORDER = tuple(_BY_ELECTRONEGATIVITY.split())
"""All elements by Pauling electronegativity (pymatgen 2026.10's ``Element.X``), then symbol; those without a value last."""

_METALS = (
    "Li Na K Rb Cs Fr Be Mg Ca Sr Ba Ra Sc Y La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr "
    "Ti Zr Hf V Nb Ta Cr Mo W Mn Tc Re Fe Ru Os Co Rh Ir Ni Pd Pt Cu Ag Au Zn Cd Hg Al Ga In Tl Sn Pb Bi Po"
)
METALS = frozenset(_METALS.split())
"""All elements up to Lr but the non-metals, the noble gases and the metalloids B, Si, Ge, As, Sb, Te, At."""

_RANK = {symbol: rank for rank, symbol in enumerate(ELECTRONEGATIVITY_ORDER)}
_SYMBOLS = {symbol: symbol for symbol in ELECTRONEGATIVITY_ORDER} | {"D": "H", "T": "H"}
_LIGAND_ATOMS = frozenset({"H", "D", "C", "N", "O", "F", "S", "Cl", "Br", "I"})
"""The atoms that polyatomic ions end in, so that the digit before their sign is an amount."""

_MISSING = frozenset({"", "?", ".", "-", "--", "none", "None", "NONE", "null", "Null", "NULL", "n/a", "N/A", "<NA>"})
_NOT_NUMBERS = frozenset({"nan", "NaN", "Nan", "NAN", "inf", "Inf", "INF", "+inf", "-inf", "infinity", "Infinity"})
"""How programs write a number that is none; ``NaN`` is therefore no formula, ``InF`` is one."""

EMPTY = "empty"
TOO_LONG = f"longer than {MAX_TEXT_LENGTH:,} characters"
NOT_A_NUMBER = "not a number (NaN or inf)"
NOT_A_FORMULA = "not a chemical formula"
UNBALANCED = "unbalanced brackets"
FRACTIONAL = "fractional amounts (disorder)"
VARIABLE = "variable amounts (x, y, n, δ)"
SHARED_SITE = "elements that share a site (disorder)"
ZERO = "zero amount"
TOO_LARGE = f"an amount above {MAX_AMOUNT:,}"
AMBIGUOUS_SIGN = "ambiguous + or - (a charge, a mixture or a range)"
AMBIGUOUS_NUMBER = "ambiguous number before a part of the formula"
AMBIGUOUS_NUMERAL = "ambiguous (I) or (V) (an oxidation state or an element)"
SEVERAL = "several formulas, or parts without brackets"
ELEMENT = "an element, not a compound"
DISORDER = frozenset({FRACTIONAL, VARIABLE, SHARED_SITE})
"""The reasons that tell of disorder."""


class FormulaError(InputDataError):
    """A text that is no usable formula; the message is a short reason under which such texts can be counted."""


@dataclass(frozen=True, slots=True)
class Composition:
    """Elements with gcd-reduced integer amounts.

    Parameters
    ----------
    elements
        Element symbols in alphabetical order, each once.
    amounts
        Positive amounts in the order of ``elements``, without a common divisor.
    """

    elements: tuple[str, ...]
    amounts: tuple[int, ...]

    @classmethod
    def of(cls, elements: Iterable[str], amounts: Iterable[int]) -> Composition:
        """Return the composition of elements in any order, repeated or not, with unreduced amounts.

        Examples
        --------
        >>> Composition.of(["Ti", "O", "Ba"], [2, 6, 2])
        Composition(elements=('Ba', 'O', 'Ti'), amounts=(1, 3, 1))
        """
        amount_by_element: dict[str, int] = {}
        for element, amount in zip(elements, amounts, strict=True):
            amount_by_element[element] = amount_by_element.get(element, 0) + amount
        return _composition(amount_by_element)

    @property
    def formula(self) -> str:
        """The identity: elements in alphabetical order, 1 left out (``BaO3Ti``)."""
        return _written(zip(self.elements, self.amounts, strict=True))

    @property
    def pretty_formula(self) -> str:
        """For people: elements from the most to the least electropositive (``BaTiO3``)."""
        return _written(sorted(zip(self.elements, self.amounts, strict=True), key=_electronegativity_rank))

    @property
    def chemical_system(self) -> str:
        """Element symbols in alphabetical order, joined by hyphens (``Ba-O-Ti``)."""
        return "-".join(self.elements)


def format_formula(elements: Iterable[str], amounts: Iterable[int]) -> str:
    """Return the ``formula`` of elements in any order and amounts with or without a common divisor.

    Examples
    --------
    >>> format_formula(["Li", "O"], [2, 2])
    'LiO'
    """
    return Composition.of(elements, amounts).formula


def pretty_formula(elements: Iterable[str], amounts: Iterable[int]) -> str:
    """Return the ``pretty_formula`` of elements in any order and amounts with or without a common divisor.

    Examples
    --------
    >>> pretty_formula(["Cl", "Na"], [1, 1])
    'NaCl'
    """
    return Composition.of(elements, amounts).pretty_formula


class Reading(NamedTuple):
    """A formula as it was read.

    Parameters
    ----------
    composition
        At least one element, gcd-reduced.
    has_deuterium
        Whether it names D or T, which were read as H.
    has_parts
        Whether it has parts that were added up: a hydrate, an ammine or another adduct.
    is_rounded
        Whether fractional amounts were taken as the whole numbers next to them.
    """

    composition: Composition
    has_deuterium: bool = False
    has_parts: bool = False
    is_rounded: bool = False


def parse_formula(text: str) -> Composition:
    """Read the formula of a compound as a person or a database wrote it; the module's docstring tells how.

    Parameters
    ----------
    text
        A formula with integer amounts: brackets, hydrates, charges, Hill order with spaces or between dashes,
        Unicode, LaTeX, HTML and CIF subscripts. D and T are H.

    Returns
    -------
    Composition
        At least two elements, gcd-reduced.

    Raises
    ------
    FormulaError
        If the text is not a formula, is ambiguous, disordered, or a single element; the message is the reason.

    Examples
    --------
    >>> parse_formula("Sr3 (P3 O9)2 (H2 O)7").formula
    'H14O25P6Sr3'
    """
    composition = read_formula(text).composition
    if len(composition.elements) < 2:
        raise FormulaError(ELEMENT)
    return composition


def read_formula(text: str, *, round_within: float = 0.0) -> Reading:
    """Read a formula, and say what had to be done to read it.

    Parameters
    ----------
    text
        As for :func:`parse_formula`; it may also be a single element.
    round_within
        Take an element's fractional amount as the nearest whole number, not zero, if it is no farther from it than this.

    Raises
    ------
    FormulaError
        If the text is not a formula, is ambiguous or disordered; the message is the reason.

    Examples
    --------
    >>> read_formula("Li0.98CoO2", round_within=0.05).composition.formula
    'CoLiO2'
    """
    text = text.strip()
    if len(text) > MAX_TEXT_LENGTH:
        raise FormulaError(TOO_LONG)
    _check_present(text)
    text = _without_oxidation_states(_without_dashes_and_quotes(text))
    _check_single(text)
    has_parts = is_rounded = False
    amount_by_element = _read_simple(text) or _read_bracketed(text)
    if amount_by_element is None:
        amounts, has_parts = _read_plain(_without_charges(_with_plain_numbers(_without_markup(text), keep_decimals=round_within > 0)))
        amount_by_element, is_rounded = _whole(amounts, round_within)
    if max(amount_by_element.values()) > MAX_AMOUNT:
        raise FormulaError(TOO_LARGE)
    has_deuterium = ("D" in text or "T" in text) and _DEUTERIUM.search(text) is not None
    return Reading(_composition(amount_by_element), has_deuterium, has_parts, is_rounded)


def _composition(amount_by_element: Mapping[str, int]) -> Composition:
    divisor = reduce(gcd, amount_by_element.values())
    elements = tuple(sorted(amount_by_element))
    return Composition(elements, tuple(amount_by_element[element] // divisor for element in elements))


def _written(parts: Iterable[tuple[str, int]]) -> str:
    return "".join([element if amount == 1 else f"{element}{amount}" for element, amount in parts])  # a list joins faster


def _electronegativity_rank(part: tuple[str, int]) -> int:
    return _RANK[part[0]]


def _check_present(text: str) -> None:
    if text in _MISSING:
        raise FormulaError(EMPTY)
    if text in _NOT_NUMBERS:
        raise FormulaError(NOT_A_NUMBER)


def _without_dashes_and_quotes(text: str) -> str:
    """Return the formula of a COD cell ``- Fe2 O3 -`` or a CIF value ``'Fe2 O3'``."""
    if text.startswith("-") and text.endswith("-"):
        text = text[1:-1]
    return text.strip(" '\"")


_OXIDATION_STATE = re.compile(r"[(\[](?:I{2,3}|IV|VI{1,3})[)\]]")
_AMBIGUOUS_NUMERAL = re.compile(r"[A-Za-z][(\[][IV][)\]]")


def _without_oxidation_states(text: str) -> str:
    """Return ``TiO2`` of ``Ti(IV)O2``."""
    if "I" not in text and "V" not in text:
        return text
    if _AMBIGUOUS_NUMERAL.search(text):
        raise FormulaError(AMBIGUOUS_NUMERAL)
    return _OXIDATION_STATE.sub("", text)


# ---- one formula, or several between spaces or commas ----

_GROUP = re.compile(r"(?<![^\s,;])[A-Z][a-z]?[0-9.]*+[A-Z(\[][^\s,;]*+")
_WRITTEN_SYMBOL = re.compile(r"[A-Z][a-z]?")


def _check_single(text: str) -> None:
    """Refuse ``BaTiO3 SrTiO3``: two or more pieces that each begin with an element and hold a metal and a non-metal."""
    if (" " in text or "," in text or not text.isascii()) and sum(map(_holds_metal_and_other, _GROUP.findall(text))) > 1:
        raise FormulaError(SEVERAL)


def _holds_metal_and_other(group: str) -> bool:
    symbols = set(_WRITTEN_SYMBOL.findall(group))
    return bool(symbols & METALS) and bool(symbols - METALS)


# ---- the common case: elements with integer amounts, with or without spaces ----

_DEUTERIUM = re.compile(r"[DT](?![a-z])")
_SIMPLE = re.compile(r"(?:[A-Z][a-z]?[0-9]*+ ?)++")
_SIMPLE_PART = re.compile(r"([A-Z][a-z]?)([0-9]*)")


def _read_simple(text: str) -> dict[str, int] | None:
    """Return the amounts, or None where the careful way must decide or give the reason."""
    if not _SIMPLE.fullmatch(text):
        return None
    amount_by_element: dict[str, int] = {}
    for written, digits in _SIMPLE_PART.findall(text):
        symbol = _SYMBOLS.get(written)
        amount = int(digits) if digits else 1
        if symbol is None or amount == 0:
            return None
        amount_by_element[symbol] = amount_by_element.get(symbol, 0) + amount
    return amount_by_element


# ---- the next common case: brackets ----

_BRACKETED = re.compile(r"(?:[A-Z][a-z]?[0-9]*+ ?|[(\[] ?|[)\]][0-9]*+ ?)++")
_BRACKETED_PART = re.compile(r"([A-Z][a-z]?|[(\[]|[)\]])([0-9]*)")


def _read_bracketed(text: str) -> dict[str, int] | None:
    """Return the amounts, or None where the careful way must decide or give the reason."""
    if not _BRACKETED.fullmatch(text):
        return None
    amount_by_element: dict[str, int] = {}
    outer: list[dict[str, int]] = []
    for written, digits in _BRACKETED_PART.findall(text):
        amount = int(digits) if digits else 1
        if amount == 0:
            return None
        if written in "([":
            outer.append(amount_by_element)
            amount_by_element = {}
        elif written in ")]":
            if not outer or not amount_by_element:
                return None
            inside, amount_by_element = amount_by_element, outer.pop()
            for symbol, inner in inside.items():
                amount_by_element[symbol] = amount_by_element.get(symbol, 0) + inner * amount
        else:
            element = _SYMBOLS.get(written)
            if element is None:
                return None
            amount_by_element[element] = amount_by_element.get(element, 0) + amount
    return None if outer else amount_by_element


# ---- step 1: markup and typography to ASCII, with "·" as the one separator ----

_PLAIN_CHARACTERS = str.maketrans(
    "₀₁₂₃₄₅₆₇₈₉₊₋ₓₙ\u2013\u2014\u2212\u2010\u2011•∙⋅*・{}[]\xa0\u2009\u202f\t",
    "0123456789+-xn-----·····()()    ",
    "$_~\u200b\ufeff",
)
_SIGNED_SUPERSCRIPT = re.compile(
    r"[⁰¹²³⁴⁵⁶⁷⁸⁹]*+[⁺⁻]|<sup>\s*+\d*+[+\-\u2212]\d*+\s*+</sup>|\^\{?(?:\d++[+\-\u2212]|[+\-\u2212]\d*+)\}?\^?"
)
_SUBSCRIPT_BRACES = re.compile(r"_\{([^{}]*+)\}")
_TAGS = re.compile(r"</?(?:sub|i|b|em)>|\\(?:mathrm|mathregular|text|ce|rm|,)")
_WATER = r"[1-9]\d*+\s*+\(?[HD]2\s*+O(?![a-z])"
_DOT_SEPARATOR = re.compile(rf"([A-Za-z)]\d*+)\s*+\.(?=\s*+(?:[A-Za-z(]|{_WATER}))")


_WITHOUT_MARKUP = re.compile(r"[A-Za-z0-9 ().]++")


def _without_markup(text: str) -> str:
    if _WITHOUT_MARKUP.fullmatch(text):
        return text
    text = _SIGNED_SUPERSCRIPT.sub("", text.replace("\\cdot", "·"))
    text = _TAGS.sub("", _SUBSCRIPT_BRACES.sub(r"\1", text))
    return text.translate(_PLAIN_CHARACTERS).strip()


# ---- step 2: integer amounts only ----

_CHAINED_DECIMALS = re.compile(r"\.\d++\.\d")
_DECIMAL = re.compile(r"(?<=\d)\.(\d*+)")
_FRACTION = re.compile(r"(?<!\d)\.\d|\d\s*+[/\u2044]\s*+\d|[½¼¾⅓⅔%]")
_POLYMORPH = re.compile(r"[\u03b1-\u03c9]['\u2032]?\s*+-\s*+(?=[A-Z(])")
_VARIABLE = re.compile(r"[+\-±]\s*+[a-z]|[\u03b1-\u03c9]")


def _with_plain_numbers(text: str, *, keep_decimals: bool) -> str:
    """Return the text with hydrate dots as separators and without decimals, but for those to be rounded; refuse disorder."""
    polymorph = _POLYMORPH.match(text)
    text = text[polymorph.end() :] if polymorph else text
    if _VARIABLE.search(text):
        raise FormulaError(VARIABLE)
    if "," in text:
        raise FormulaError(SHARED_SITE)
    if _CHAINED_DECIMALS.search(text):
        raise FormulaError(FRACTIONAL)
    text = _DOT_SEPARATOR.sub(r"\1·", text)
    if _FRACTION.search(text):
        raise FormulaError(FRACTIONAL)
    return _DECIMAL.sub(_kept_decimals if keep_decimals else _without_decimals, text)


def _without_decimals(match: re.Match[str]) -> str:
    if match[1].strip("0"):
        raise FormulaError(FRACTIONAL)
    return ""


def _kept_decimals(match: re.Match[str]) -> str:
    return match[0] if match[1].strip("0") else ""


# ---- step 3: no charges ----

_CHARGE = re.compile(r"(?P<atoms>(?:[A-Z][a-z]?\d*+)*+)(?P<space>\s*+)(?P<own>\d*+)(?P<sign>[+-])(?P<after>\d*+)")
_LAST_ATOM = re.compile(r"([A-Z][a-z]?)(\d*+)$")


def _without_charges(text: str) -> str:
    if "+" not in text and "-" not in text:
        return text
    orders: set[str] = set()
    plain = _CHARGE.sub(lambda match: _without_charge(match, orders), text)
    if len(orders) > 1:
        raise FormulaError(AMBIGUOUS_SIGN)
    return plain


def _without_charge(match: re.Match[str], orders: set[str]) -> str:
    """Return a match of ``_CHARGE`` without its charge, noting whether digits or sign came first."""
    atoms, space, own, sign, after = match.group("atoms", "space", "own", "sign", "after")
    kept, digits = _split_charge(atoms, sign) if atoms and not space else (atoms, own)
    if digits or after:
        orders.add("digits first" if digits else "sign first")
    amount = after if digits else ""
    belongs = bool(atoms) or match.string[: match.start()].rstrip("0123456789").endswith(")")
    if not belongs or not _is_clear(match, digits) or (amount and kept[-1:].isdigit()):
        raise FormulaError(AMBIGUOUS_SIGN)
    return kept + amount


def _is_clear(match: re.Match[str], digits: str) -> bool:
    """Say whether what stands around a sign leaves no other reading than a charge."""
    behind = match.string[match.end() :]
    ends = not behind or behind[0] in " )·"
    if match["space"]:
        ends_the_part = not behind.strip() or behind.lstrip()[0] in ")·"
        return ends and (ends_the_part if not digits else not match["after"])
    if digits:
        return (ends or match["sign"] == "+") and len(match["own"]) < 2
    return ends


def _split_charge(atoms: str, sign: str) -> tuple[str, str]:
    """Split the digits before a sign into what belongs to the atoms and the charge: ``SO42`` -> ``SO4``, ``2``."""
    last = _LAST_ATOM.search(atoms)
    if last is None or not last[2]:
        return atoms, ""
    symbol, digits = last.groups()
    is_oxidation_state = last.start() == 0 or (sign == "+" and symbol not in _LIGAND_ATOMS)
    ends_in_charge = is_oxidation_state if len(digits) == 1 else digits[:-1] != "1" and digits[-1] != "0"
    cut = len(atoms) - 1 if ends_in_charge else len(atoms)
    return atoms[:cut], atoms[cut:]


# ---- step 4: elements, amounts, brackets and separators ----

_TOKEN = re.compile(
    r"(?P<element>[A-Z][a-z]?)|(?P<coefficient>(?<=\s)\d++(?=[A-Z(]))|(?P<number>\d++(?:\.\d++)?+)|(?P<open>\()|(?P<close>\))"
    r"|(?P<separator>·)|(?P<space>\s++)|(?P<other>.)"
)
_WATER_AT = re.compile(_WATER)
_VARIABLE_LETTERS = frozenset("mnuvwxyz")


@dataclass(slots=True)
class _Level:
    """An open bracket, or the whole text: where it begins, and its current part (what stands between separators)."""

    start: int
    part_start: int
    coefficient: int | Fraction = 1


class _Tally:
    """Atoms in the order of reading; a number multiplies all atoms from where its unit or part begins."""

    def __init__(self) -> None:
        self.symbols: list[str] = []
        self.amounts: list[int | Fraction] = []
        self.levels = [_Level(0, 0)]
        self.has_parts = False
        self.unit_start: int | None = None
        self.takes_number = True

    def add(self, symbol: str) -> None:
        self.unit_start = len(self.symbols)
        self.takes_number = True
        self.symbols.append(symbol)
        self.amounts.append(1)

    def take_number(self, digits: str) -> None:
        """Multiply the last unit, or note the coefficient where the part has no unit yet."""
        amount = Fraction(digits) if "." in digits else int(digits)
        if amount == 0:
            raise FormulaError(ZERO)
        if not self.takes_number:
            raise FormulaError(NOT_A_FORMULA)
        self.takes_number = False
        if self.unit_start is None:
            self.levels[-1].coefficient = amount
        else:
            self._multiply(self.unit_start, amount)

    def open(self) -> None:
        self.levels.append(_Level(len(self.symbols), len(self.symbols)))
        self._begin_part()

    def close(self) -> None:
        if len(self.levels) == 1:
            raise FormulaError(UNBALANCED)
        self._end_part()
        self.unit_start = self.levels.pop().start
        self.takes_number = True

    def separate(self) -> None:
        self._end_part()
        self.has_parts = True
        self.levels[-1].part_start, self.levels[-1].coefficient = len(self.symbols), 1
        self._begin_part()

    def finish(self) -> dict[str, int | Fraction]:
        if len(self.levels) > 1:
            raise FormulaError(UNBALANCED)
        self._end_part()
        amount_by_element: dict[str, int | Fraction] = {}
        for symbol, amount in zip(self.symbols, self.amounts, strict=True):
            amount_by_element[symbol] = amount_by_element.get(symbol, 0) + amount
        return amount_by_element

    def _begin_part(self) -> None:
        self.unit_start = None
        self.takes_number = True

    def _end_part(self) -> None:
        level = self.levels[-1]
        if level.part_start == len(self.symbols):
            raise FormulaError(NOT_A_FORMULA)
        self._multiply(level.part_start, level.coefficient)

    def _multiply(self, start: int, factor: int | Fraction) -> None:
        if factor != 1:
            self.amounts[start:] = [amount * factor for amount in self.amounts[start:]]


def _read_plain(text: str) -> tuple[dict[str, int | Fraction], bool]:
    """Return the amounts, and whether there were parts to be added up."""
    tally = _Tally()
    for match in _TOKEN.finditer(text):
        kind, token = match.lastgroup, match[0]
        if kind == "element":
            tally.add(_symbol(token))
        elif kind == "number":
            tally.take_number(token)
        elif kind == "coefficient":
            _check_coefficient(tally, match)
            tally.take_number(token)
        elif kind == "separator":
            tally.separate()
        elif kind == "open":
            tally.open()
        elif kind == "close":
            tally.close()
        elif kind == "other":
            raise FormulaError(_reason_for(text[match.start() :]))
    return tally.finish(), tally.has_parts


def _whole(amounts: Mapping[str, Fraction | int], round_within: float) -> tuple[dict[str, int], bool]:
    """Return whole amounts, and whether any had to be rounded."""
    rounded = {symbol: round(amount) for symbol, amount in amounts.items()}
    for symbol, amount in amounts.items():
        if rounded[symbol] == 0 or float(abs(rounded[symbol] - amount)) > round_within:
            raise FormulaError(FRACTIONAL)
    return rounded, rounded != amounts


def _symbol(written: str) -> str:
    symbol = _SYMBOLS.get(written)
    if symbol is None and written[0] in _SYMBOLS and written[1:] in _VARIABLE_LETTERS:
        raise FormulaError(VARIABLE)
    if symbol is None:
        raise FormulaError(f"unknown element {written!r}")
    return symbol


def _check_coefficient(tally: _Tally, match: re.Match[str]) -> None:
    """Let a number after a space and before an atom or bracket begin a new part only if it counts water: ``Na2SO4 10H2O``."""
    if tally.unit_start is None:
        return
    if not _WATER_AT.match(match.string, match.start()):
        raise FormulaError(AMBIGUOUS_NUMBER)
    tally.separate()


def _reason_for(rest: str) -> str:
    if rest.startswith(("nan", "inf")):
        return NOT_A_NUMBER
    is_variable = rest[0] in _VARIABLE_LETTERS and not rest[1:2].islower()
    return VARIABLE if is_variable else NOT_A_FORMULA
