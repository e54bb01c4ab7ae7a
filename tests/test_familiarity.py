"""How many known compounds share the parts of a compound: against the slow twin, and what its words come down to."""

import numpy as np
import pytest
import tiny

from crcrank.config import load_config
from crcrank.evaluation.familiarity import RARITIES, KnownCounts, rare_parts, rarity_of
from crcrank.space.placement import Placer
from crcrank.stages.common import load_space


def twin(candidates):
    """Return what each candidate, as (ions, coefficients), shares with the known ones, by counting one by one; cations come first."""

    def stoichiometry(ions, coefficients):
        return sorted((ion[-1], n, ion[-2]) for ion, n in zip(ions, coefficients, strict=True))

    def parts(ions, coefficients, known):
        yield "this stoichiometry", sum(stoichiometry(*other) == stoichiometry(ions, coefficients) for other in known)
        seen = {ion: sum(ion in other for other, _ in known) for ion in ions}
        yield from seen.items()
        for cation in ions[:-1]:
            if min(seen[cation], seen[ions[-1]]) > 3:
                yield f"{cation} and {ions[-1]}", sum({cation, ions[-1]} <= set(other) for other, _ in known)

    return [{what: n for what, n in parts(*item, candidates) if n <= 3} for item in candidates]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_is_rare_is_what_the_twin_counts(tmp_path, seed):
    config = tiny.make_lists(tmp_path)
    space, ions = load_space(load_config(config))
    item = space.classes["ternary"]
    ids = np.random.default_rng(seed).choice(item.n_candidates, 40, replace=False) + item.first_id
    elements, amounts = space.composition_arrays("ternary", space.decode("ternary", ids))
    compositions = [([space.ions.elements[i] for i in row], own) for row, own in zip(elements.tolist(), amounts.tolist(), strict=True)]
    placed = Placer(space, ions).places(compositions, ["ternary"])["ternary"]
    known = placed.best()
    labels, coefficients = space.ions_of("ternary", known.candidates)
    found = KnownCounts.of(placed).reasons(known.candidate_id.tolist())
    expected = twin(list(zip(labels, coefficients.tolist(), strict=True)))
    assert [dict(rare_parts(reason)) for reason in found] == expected
    assert [reason == "" for reason in found] == [not parts for parts in expected]
    for reason in found:
        counts = [n for _, n in rare_parts(reason)]
        assert counts == sorted(counts)
        assert not reason or reason.startswith("known ternary compounds with ")


@pytest.mark.parametrize(
    ("parts", "rarity"),
    [
        ("", "nothing rare"),
        ("Na1+ and S2-: 0", "a rare pair of ions"),
        ("Na1+ and S2-: 0, this stoichiometry: 3", "a rare stoichiometry"),
        ("this stoichiometry: 0, Na1+ and S2-: 1", "a new stoichiometry"),
        ("this stoichiometry: 0, U4+: 1", "a rare ion"),
        ("U4+: 0, Na1+: 2, this stoichiometry: 2", "a new ion"),
    ],
)
def test_a_reason_comes_down_to_its_rarest_part(parts, rarity):
    assert rarity_of(parts and f"known ternary compounds with {parts}") == rarity
    assert rarity in RARITIES
