"""Tiny ion tables, classes and models for tests, and what their twins in ``naive`` are called."""

from typing import NamedTuple

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from crcrank.chem.ions import Ion, IonTable, parse_ion
from crcrank.errors import ConfigError
from crcrank.models.fm import FEATURE_GROUPS, FactorizationMachine
from crcrank.ranking.filters import ElementFilter
from crcrank.space.space import CompositionClass, Space

_ELEMENTS = ("Al", "Fe", "K", "Li", "Na", "P", "S", "Ti")
_ANIONS = (("Cl", -1), ("O", -2), ("S", -2), ("P", -3))
_LARGEST_TABLE = {1: 8, 2: 6, 3: 6, 4: 6}
_LARGEST_COEFFICIENT = {1: 6, 2: 4, 3: 3, 4: 2}


class Case(NamedTuple):
    """Ions as (element, oxidation state), and one class."""

    ions: tuple
    n_cations: int
    max_coefficient: int
    mixed_valence: bool = False
    neutral: bool = True
    n_anions: int = 1


def case(labels, n_cations, max_coefficient, **widened):
    ions = [parse_ion(label) for label in labels.split()]
    return Case(tuple((ion.element, ion.oxidation_state) for ion in ions), n_cations, max_coefficient, **widened)


# One to four slots, with an element that is both cation and anion, two states of one element, and runs of two to four slots.
FIXED_CASES = {
    "one_slot": case("Li1+ Na1+ Ti4+ S4+ Cl1- O2- S2-", 1, 4),
    "two_slots": case("Li1+ Na1+ K1+ Fe2+ Fe3+ S4+ O2- S2- Cl1-", 2, 3),
    "three_slots": case("Li1+ Na1+ K1+ Fe1+ Fe3+ S2+ O2- S2- P3-", 3, 3),
    "four_slots": case("Li1+ Na1+ K1+ Fe1+ S1+ Fe2+ Ti2+ O2- S2- P3-", 4, 3),
}
# Elements in two and three states, one of them an anion too, so that it stays in one state; charges that do not balance; two anions.
WIDENED_CASES = {
    "mixed_one_slot": case("Fe2+ Fe3+ Na1+ O2- S2-", 1, 4, mixed_valence=True),
    "mixed_two_slots": case("Fe2+ Fe3+ Na1+ Ti4+ Ti2+ S4+ S6+ O2- S2- Cl1-", 2, 5, mixed_valence=True),
    "mixed_three_slots": case("Fe1+ Fe2+ Fe3+ Na1+ K1+ S4+ S2+ O2- S2-", 3, 3, mixed_valence=True),
    "mixed_four_slots": case("Fe1+ Fe2+ Fe3+ Na1+ Ti2+ S2+ S2- P3-", 4, 2, mixed_valence=True),
    "charged_one_slot": case("Fe2+ Fe3+ Na1+ S4+ O2- S2- Cl1-", 1, 4, neutral=False),
    "charged_two_slots": case("Fe2+ Fe3+ Na1+ S4+ O2- S2- Cl1-", 2, 3, neutral=False),
    "two_anions_one_slot": case("Li1+ Fe2+ Fe3+ S4+ O2- S2- Cl1- F1-", 1, 5, n_anions=2),
    "two_anions_two_slots": case("Li1+ Na1+ Fe2+ S4+ Cl5+ O2- S2- Cl1- F1-", 2, 3, n_anions=2),
    "two_anions_three_slots": case("Li1+ Na1+ K1+ Fe2+ S2+ O2- S2- P3-", 3, 2, n_anions=2),
    "two_anions_four_slots": case("Li1+ Na1+ K1+ Fe1+ S1+ Ti2+ O2- S2- P3-", 4, 2, n_anions=2),
    "two_anions_mixed": case("Fe1+ Fe2+ Fe3+ Na1+ S4+ O2- S2- Cl1-", 2, 3, mixed_valence=True, n_anions=2),
    "two_anions_charged": case("Fe2+ Fe3+ Na1+ S4+ O2- S2- Cl1-", 2, 2, neutral=False, n_anions=2),
    "charged_mixed": case("Fe2+ Fe3+ Na1+ S4+ S2+ O2- S2-", 2, 3, mixed_valence=True, neutral=False),
}

ALL_CASES = FIXED_CASES | WIDENED_CASES


def table_of(ions):
    """Return an ion table with counts that differ between the states of an element."""
    made = [Ion(*ion) for ion in ions]
    counts = {ion: 10 * abs(ion.oxidation_state) + len(ion.element) for ion in made}
    cations = tuple(ion for ion in made if ion.oxidation_state > 0)
    return IonTable(cations, tuple(ion for ion in made if ion.oxidation_state < 0), counts)


def space_of(chosen, *more):
    """Return the space of a case, its class named ``first``, and with the other classes (n_cations, max_coefficient) before it."""
    classes = [CompositionClass(f"more{i}", *item) for i, item in enumerate(more)]
    return Space(table_of(chosen.ions), [*classes, CompositionClass("first", *chosen[1:])])


@st.composite
def cases(draw):
    """Draw a case; few charges, so that runs of equal slots are frequent."""
    n_cations = draw(st.integers(1, 4))
    charges = st.sampled_from(draw(st.sampled_from([(1,), (1, 2), (2, 3), (1, 3), (1, 2, 4)])))
    ions = st.tuples(st.sampled_from(_ELEMENTS), charges)
    cations = draw(st.lists(ions, unique=True, min_size=n_cations, max_size=_LARGEST_TABLE[n_cations]))
    anions = draw(st.lists(st.sampled_from(_ANIONS), unique=True, min_size=1, max_size=3))
    widened = draw(st.sampled_from([(False, True), (False, True), (True, True), (False, False), (True, False)]))
    n_anions = draw(st.sampled_from([1, 1, 2]))
    largest = max(2, _LARGEST_COEFFICIENT[n_cations] // n_anions)
    return Case((*cations, *anions), n_cations, draw(st.integers(1, largest)), *widened, n_anions)


@st.composite
def spaces(draw):
    """Draw a space with at least one candidate."""
    try:
        return space_of(draw(cases()))
    except ConfigError:
        return reject()


@st.composite
def filters(draw, space):
    """Draw conditions on the formulas of a space; they may be impossible."""
    symbols = st.lists(st.sampled_from(space.ions.elements), unique=True, max_size=2)
    anions = st.lists(st.sampled_from(sorted({ion.element for ion in space.ions.anions})), unique=True, max_size=2)
    kind = draw(st.sampled_from(["none", "required", "excluded", "allowed", "anions", "coefficient", "all"]))
    kept = draw(st.lists(st.sampled_from(space.ions.elements), unique=True, min_size=2)) if kind == "allowed" else ()
    return ElementFilter(
        required=tuple(draw(symbols)) if kind in {"required", "all"} else (),
        allowed=tuple(kept),
        excluded=tuple(draw(symbols)) if kind in {"excluded", "all"} else (),
        anions=tuple(draw(anions)) if kind in {"anions", "all"} else (),
        max_coefficient=draw(st.integers(1, 3)) if kind in {"coefficient", "all"} else 0,
    )


def class_ids(space, name="first"):
    """Return all candidate_ids of a class."""
    chosen = space.classes[name]
    return np.arange(chosen.first_id, chosen.first_id + chosen.n_candidates)


def as_sets(space, name, candidates):
    """Return candidates as the twins write them."""
    labels, amounts = space.ions_of(name, candidates)
    ions = [[parse_ion(label) for label in row] for row in labels]
    return [
        frozenset((ion.element, ion.oxidation_state, n) for ion, n in zip(row, counts, strict=True))
        for row, counts in zip(ions, amounts.tolist(), strict=True)
    ]


def machine(space, features=FEATURE_GROUPS, *, n_factors=3, n_components=2, seed=0, per_class=()):
    """Return a Factorization Machine over all classes of a space, with random components."""
    n_ions = len(space.ions.cations) + len(space.ions.anions)
    components = np.random.default_rng(seed).standard_normal((n_ions, n_components))
    return FactorizationMachine(space, tuple(space.classes), frozenset(features), n_factors, components, frozenset(per_class))


def random_parameters(model, seed, scale=0.5):
    """Return normal parameters for every group of a model."""
    rng = np.random.default_rng(seed)
    parameters = {group: rng.standard_normal(shape) for group, shape in model.shapes().items()}
    return {group: (min(scale, 1) if group.startswith("scale.") else scale) * values for group, values in parameters.items()}


def tied_parameters(model, seed, largest):
    """Return parameters that are quarters up to ``largest`` quarters, so that equal scores are equal to the last bit."""
    rng = np.random.default_rng(seed)
    quarters = {group: rng.integers(-largest, largest + 1, shape) / 4 for group, shape in model.shapes().items()}
    return {group: 0.0 * values if group.startswith("scale.") else values for group, values in quarters.items()}


def twin_arguments(model, parameters, name):
    """Return what ``naive.fm_score`` wants: components, groups, bias, weights, factors."""
    ions = [(ion.element, ion.oxidation_state) for ion in (*model.space.ions.cations, *model.space.ions.anions)]
    own = {group.removesuffix(f".{name}"): values for group, values in parameters.items() if group.endswith(f".{name}")}
    parameters = parameters | own
    weights, factors = {}, {}
    for group, keys in _feature_keys(model, ions, name).items():
        if f"weight.{group}" in parameters:
            n_factors = parameters[f"factor.{group}"].shape[-1]
            weights |= dict(zip(keys, parameters[f"weight.{group}"].ravel(), strict=True))
            factors |= dict(zip(keys, parameters[f"factor.{group}"].reshape(len(keys), n_factors), strict=True))
    third = {"third": parameters.get("factor.cation_cation_anion", ()), "scale": parameters.get("scale.cation_cation_anion", ())}
    for kind, own in (("third", ions[: len(third["third"])]), ("scale", ions[len(third["third"]) :])):
        factors |= {(kind, ion): vector for ion, vector in zip(own, third[kind], strict=False)}
    components = dict(zip(ions, model.components, strict=True))
    return components, model.features, float(parameters[f"bias.{name}"]), weights, factors


def _feature_keys(model, ions, name):
    """Return the twins' names of each group's features, in the order of the group's array."""
    n_cations = len(model.space.ions.cations)
    n_components = model.components.shape[1]
    pairs = zip(*np.triu_indices(n_components), strict=True)
    return {
        "ion": [("ion", ion) for ion in ions],
        "ion_coefficient": [("ion_coefficient", ion, n + 1) for ion in ions for n in range(model.max_coefficient)],
        "cation_anion": [("cation_anion", cation, anion) for cation in ions[:n_cations] for anion in ions[n_cations:]],
        "prior": [("mean", p) for p in range(n_components)] + [("second", int(p), int(q)) for p, q in pairs],
        "stoichiometry": [("stoichiometry", key) for key in _stoichiometry_keys(model.space, name)],
    }


def _stoichiometry_keys(space, name):
    rows = space.classes[name].stoichiometries
    charges = space.ions.group_charge[rows.groups].tolist()
    anions = (-rows.anion_charges).tolist(), rows.anion_coefficients.tolist()
    for states, amounts, anion_states, numbers in zip(charges, rows.coefficients.tolist(), *anions, strict=True):
        yield tuple(sorted([*zip(states, amounts, strict=True), *zip(anion_states, numbers, strict=True)]))


def twin_latents(network, parameters, name):
    """Return what ``naive.nnmf_score`` wants: the latents of each feature, their concatenated part, the network and the bias."""
    ions = [(ion.element, ion.oxidation_state) for ion in (*network.space.ions.cations, *network.space.ions.anions)]
    n_cations = len(network.space.ions.cations)
    keys = {
        "ion": [("ion", ion) for ion in ions],
        "ion_coefficient": [("ion_coefficient", ion, n + 1) for ion in ions for n in range(network.max_coefficient)],
        "cation_anion": [("cation_anion", cation, anion) for cation in ions[:n_cations] for anion in ions[n_cations:]],
        f"stoichiometry.{name}": [("stoichiometry", key) for key in _stoichiometry_keys(network.space, name)],
    }
    latents = {}
    for group, features in keys.items():
        values = parameters[f"latent.{group}"]
        latents |= dict(zip(features, values.reshape(len(features), values.shape[-1]), strict=True))
    weights = {group.removeprefix("network."): values for group, values in parameters.items() if group.startswith("network.")}
    return latents, network.n_concatenated, weights, float(parameters[f"bias.{name}"][0])


class InterruptedProgressError(Exception):
    """What :class:`BrokenProgress` raises."""


class BrokenProgress:
    """A progress sink that interrupts the work at its first step."""

    def start(self, *_):
        pass

    def advance(self, _):
        raise InterruptedProgressError
