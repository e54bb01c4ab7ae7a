"""Known compounds that differ in one ion, against a walk over all pairs."""

import naive
import numpy as np
import pytest
from small_spaces import ALL_CASES, as_sets, class_ids, space_of

from crcrank.ranking.novelty import one_ion_away


@pytest.mark.parametrize("chosen", ALL_CASES.values(), ids=ALL_CASES)
def test_pairs_are_the_twins(chosen):
    space, rng = space_of(chosen), np.random.default_rng(7)
    known, asked = (space.decode("first", np.sort(rng.permutation(class_ids(space))[:n])) for n in (80, 50))
    pairs = one_ion_away(space, "first", known, asked)
    known_sets, asked_sets = as_sets(space, "first", known), as_sets(space, "first", asked)
    similarity = naive.ion_similarity(known_sets)
    expected = []
    for row, candidate in enumerate(asked_sets):
        own = []
        for i, other in enumerate(known_sets):
            (gone, came) = (other - candidate, candidate - other)
            if len(gone) == len(came) == 1 and [part[2] for part in gone] == [part[2] for part in came]:
                (old, new) = (next(iter(gone)), next(iter(came)))
                if old[1] == new[1]:
                    own.append((-similarity(old[:2], new[:2]), i, old[:2], new[:2]))
        expected += [(row, i, old, new, -alike) for alike, i, old, new in sorted(own)]
    ions = [(ion.element, ion.oxidation_state) for ion in space.ions.cations + space.ions.anions]
    assert [(row, i, ions[old], ions[new]) for row, i, old, new in zip(pairs.row, pairs.known, pairs.old, pairs.new, strict=True)] == [
        (row, i, old, new) for row, i, old, new, _ in expected
    ]
    np.testing.assert_allclose(pairs.alike, [alike for *_, alike in expected])
    assert expected
    assert pairs.counts(len(asked)).tolist() == [sum(row == r for row, *_ in expected) for r in range(len(asked))]
    assert {row: expected[i][:2] for row, i in pairs.first().items()} == {
        row: next(item[:2] for item in expected if item[0] == row) for row in {item[0] for item in expected}
    }
