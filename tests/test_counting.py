import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crcrank.space.counting import count_tuples


@st.composite
def blocks(draw):
    """Draw a table of ions and some blocks; groups ascend, so that equal ones may form a run."""
    n_groups, n_elements, n_slots = draw(st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 4)))
    has_ion = draw(st.lists(st.lists(st.booleans(), min_size=n_elements, max_size=n_elements), min_size=n_groups, max_size=n_groups))
    groups = np.sort(draw(st.lists(st.lists(st.integers(0, n_groups - 1), min_size=n_slots, max_size=n_slots), min_size=1, max_size=4)))
    may_run = np.diff(groups, axis=1, prepend=-1) == 0
    runs = may_run & np.array(draw(st.lists(st.booleans(), min_size=groups.size, max_size=groups.size))).reshape(groups.shape)
    n_anions = draw(st.integers(1, min(2, n_elements)))
    different = st.lists(st.integers(0, n_elements - 1), unique=True, min_size=n_anions, max_size=n_anions)
    anions = draw(st.lists(different, min_size=len(groups), max_size=len(groups)))
    return np.array(has_ion), groups, runs, np.array(anions)


def listed(has_ion, groups, runs, anions):
    """Write out all tuples of a block."""
    choices = [[e for e in np.flatnonzero(has_ion[group]) if e not in anions] for group in groups]
    return [
        elements
        for elements in itertools.product(*choices)
        if len(set(elements)) == len(elements) and all(elements[s - 1] < elements[s] for s in np.flatnonzero(runs))
    ]


@given(blocks())
def test_counts_are_those_of_the_tuples_written_out(drawn):
    has_ion, groups, runs, anions = drawn
    expected = [len(listed(has_ion, *block)) for block in zip(groups, runs, anions, strict=True)]
    assert count_tuples(has_ion, groups, runs, anions).tolist() == expected
