"""Lines between known compounds, against a walk over all pairs in fractions."""

from math import gcd

import naive
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crcrank.ranking.mixtures import KnownSystems

_AMOUNTS = st.dictionaries(st.sampled_from(["Ba", "La", "O", "Ti"]), st.integers(1, 4), min_size=1)


def _pair(composition):
    """Return elements in alphabetical order and their amounts without a common divisor."""
    divisor = gcd(*composition.values())
    elements = sorted(composition)
    return elements, [composition[symbol] // divisor for symbol in elements]


def _distinct(compositions):
    return list({str(one): one for one in map(_pair, compositions)}.values())


def _as_dict(composition):
    return dict(zip(*composition, strict=True))


@settings(deadline=None, max_examples=200)
@given(st.lists(_AMOUNTS, max_size=16), st.lists(_AMOUNTS, max_size=4))
def test_the_closest_of_all_tie_lines_is_found(known, wanted):
    known, wanted = _distinct(known), [_pair(one) for one in wanted]
    lines = KnownSystems(known).tie_lines(wanted)
    assert len(lines.parts) == len(lines.numbers) == len(wanted)
    for composition, parts, numbers in zip(wanted, lines.parts, lines.numbers, strict=True):
        within = sorted((one for one in known if set(one[0]) <= set(composition[0])), key=lambda one: (len(one[0]), one[0]))
        expected = naive.tie_line(_as_dict(composition), [_as_dict(one) for one in within])
        if not expected:
            assert (parts.tolist(), numbers.tolist()) == ([-1, -1], [0, 0])
            continue
        _, *closest = min(expected, key=lambda found: found[0])
        assert [_as_dict(known[part]) for part in parts] == closest
        total = {symbol: sum(n * part.get(symbol, 0) for n, part in zip(numbers, closest, strict=True)) for symbol in composition[0]}
        assert _pair(total) == composition
        assert numbers.min() > 0
        assert np.gcd.reduce(numbers) == 1


_KNOWN = [(["Ba", "O"], [1, 1]), (["Ba", "O", "Ti"], [1, 3, 1]), (["O", "Ti"], [2, 1]), (["Ba", "S"], [1, 1]), (["Ba", "O"], [1, 2])]


def test_known_compounds_of_a_system():
    systems = KnownSystems(_KNOWN)
    assert (systems.within(["Ba", "O"]), systems.within(["Fe", "O"])) == ([0, 4], [])


def test_lines_of_a_list():
    wanted = [
        ([2, 4, 1], "BaO + BaTiO3"),
        ([1, 5, 2], "TiO2 + BaTiO3"),
        ([1, 3, 1], "BaO + TiO2, not itself"),
        ([3, 5, 1], "2 BaO + BaTiO3"),
    ]
    elements = ["Ba", "O", "Ti"]
    lines = KnownSystems(_KNOWN).tie_lines([*((elements, amounts) for amounts, _ in wanted), (["Ba", "O", "S"], [1, 1, 2]), (["Fe"], [1])])
    assert lines.parts.tolist() == [[0, 1], [2, 1], [0, 2], [0, 1], [-1, -1], [-1, -1]]
    assert lines.numbers.tolist() == [[1, 1], [1, 1], [1, 1], [2, 1], [0, 0], [0, 0]]


def test_of_equally_close_lines_the_first_is_named():
    known = [(["Ca", "O"], [1, 1]), (["Ba", "O", "Ti"], [1, 3, 1]), (["Ba", "O"], [1, 1]), (["Ca", "O", "Ti"], [1, 3, 1])]
    lines = KnownSystems(known).tie_lines([(["Ba", "Ca", "O", "Ti"], [1, 1, 4, 1])])
    assert (lines.parts.tolist(), lines.numbers.tolist()) == ([[2, 3]], [[1, 1]])


def test_nothing_known_is_no_line():
    assert KnownSystems([]).tie_lines([(["Ba", "O"], [1, 1])]).parts.tolist() == [[-1, -1]]
