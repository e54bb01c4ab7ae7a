"""Where the elements stand in the periodic table."""

from __future__ import annotations

from typing import NamedTuple

from crcrank.chem.elements import ELEMENT_SYMBOLS

_NOBLE_GASES = (0, 2, 10, 18, 36, 54, 86, 118)
_LENGTHS = (2, 8, 8, 18, 18, 32, 32)
_F_BLOCK_GAP = 3  # rows below the period that holds the lanthanides


class Place(NamedTuple):
    """The place of an element in the table of 18 columns, lanthanides and actinides drawn below.

    Attributes
    ----------
    row, column
        From 1; columns are groups, but for the f block.
    group
        1 to 18, 3 for the f block.
    """

    row: int
    column: int
    group: int


def place_of(symbol: str) -> Place:
    """Return the place of an element.

    Examples
    --------
    >>> place_of("O"), place_of("La"), place_of("Hf")
    (Place(row=2, column=16, group=16), Place(row=9, column=3, group=3), Place(row=6, column=4, group=4))
    """
    number = ELEMENT_SYMBOLS.index(symbol) + 1
    period = next(i for i, last in enumerate(_NOBLE_GASES) if number <= last)
    nth, length = number - _NOBLE_GASES[period - 1], _LENGTHS[period - 1]
    if length == 32 and 3 <= nth <= 17:
        return Place(period + _F_BLOCK_GAP, nth, 3)
    if nth <= (1 if length == 2 else 2):
        return Place(period, nth, nth)
    column = 18 - (length - nth)
    return Place(period, column, column)
