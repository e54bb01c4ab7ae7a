"""Slow and obvious twins of the candidate space, the Factorization Machine, the ranking and the likelihood.

Imports nothing from crcrank. An ion is (element, oxidation state); a candidate is a frozenset of (element, oxidation state,
coefficient), so that it has no order.
"""

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np


def class_candidates(ions, n_cations, max_coefficient, mixed_valence=False, neutral=True, n_anions=1):
    """Return the set of all candidates of ``n_anions`` anions with ``n_cations`` cations, all of different elements or, mixed, ions."""
    anions = [ion for ion in ions if ion[1] < 0]
    found = set()
    for cations in itertools.combinations([ion for ion in ions if ion[1] > 0], n_cations):
        for chosen_anions in itertools.combinations(anions, n_anions):
            chosen = (*cations, *chosen_anions)
            repeated = {element for element, n in Counter(element for element, _ in chosen).items() if n > 1}
            if not repeated or (mixed_valence and repeated.isdisjoint(element for element, _ in anions)):
                found.update(_with_coefficients(chosen, max_coefficient, neutral))
    return found


def _with_coefficients(chosen, max_coefficient, neutral):
    for coefficients in itertools.product(range(1, max_coefficient + 1), repeat=len(chosen)):
        charge = sum(state * n for (_, state), n in zip(chosen, coefficients, strict=True))
        if (charge == 0 or not neutral) and math.gcd(*coefficients) == 1:
            yield frozenset((element, state, n) for (element, state), n in zip(chosen, coefficients, strict=True))


def n_charge_choices(charges, anion_charges, n_cations, max_coefficient, n_anions, neutral):
    """Count the cations' charges and coefficients, or those with anions that balance them (or need not), whichever are more."""

    def choices(states, n):
        numbers = [(state, number) for state in range(len(states)) for number in range(1, max_coefficient + 1)]
        rows = itertools.combinations_with_replacement(numbers, n)
        return [sum(states[state] * number for state, number in row) for row in rows]

    cations, anions = choices(charges, n_cations), choices(anion_charges, n_anions)
    if not neutral:
        return len(cations) * len(anions)
    within = [total for total in cations if total <= n_anions * max(anion_charges) * max_coefficient]
    return max(len(within), sum(total == other for total in within for other in anions))


def formula(candidate):
    return "".join(f"{element}{n if n > 1 else ''}" for element, n in zip(*composition(candidate), strict=True))


def composition(candidate):
    amounts = Counter()
    for element, _, n in candidate:
        amounts[element] += n
    divisor = math.gcd(*amounts.values())
    elements, amounts = zip(*sorted(amounts.items()), strict=True)
    return elements, tuple(n // divisor for n in amounts)


def stoichiometry(candidate):
    return tuple(sorted((state, n) for _, state, n in candidate))


def passes(candidate, *, required=(), allowed=(), excluded=(), anions=(), max_coefficient=0):
    elements = {element for element, _, _ in candidate}
    own_anions = {element for element, state, _ in candidate if state < 0}
    return (
        set(required) <= elements
        and (not allowed or elements <= set(allowed))
        and not elements & set(excluded)
        and (not anions or bool(own_anions & set(anions)))
        and (not max_coefficient or max(n for _, _, n in candidate) <= max_coefficient)
    )


def ranking(scored, excluded, k):
    """Rank (score, candidate_id, formula) by score, then id; each formula once; return the first ``k`` (candidate_id, score)."""
    best = {}
    for score, candidate_id, name in sorted(scored, key=lambda row: (-row[0], row[1])):
        if name not in excluded and name not in best:
            best[name] = (candidate_id, score)
    return list(best.values())[:k]


def limited(rows, one_per_family, max_per_system, alike):
    """Go down ranked (candidate, anything) rows and keep what is no look-alike of a kept one and whose chemical system is not full."""
    kept, families, systems = [], set(), Counter()
    for one, about in rows:
        parts = tuple(
            sorted(("alike" if one_per_family and symbol in alike else symbol, n) for symbol, n in zip(*composition(one), strict=True))
        )
        system = tuple(symbol for symbol, _ in parts)
        if (one_per_family and parts in families) or (max_per_system and systems[system] == max_per_system):
            continue
        families.add(parts)
        systems[system] += 1
        kept.append(about)
    return kept


def tie_line(composition, known):
    """Return each two known compositions (dicts) that a composition lies between, after their mean square distance from it."""

    def fractions(one):
        total = sum(one.values())
        return {symbol: Fraction(n, total) for symbol, n in one.items()}

    target, found = fractions(composition), []
    for first, second in itertools.combinations(known, 2):
        a, b = fractions(first), fractions(second)
        symbols = sorted({*a, *b, *target})
        moved = [symbol for symbol in symbols if a.get(symbol, 0) != b.get(symbol, 0)]
        shares = {(target.get(symbol, 0) - b.get(symbol, 0)) / (a.get(symbol, 0) - b.get(symbol, 0)) for symbol in moved}
        still = all(target.get(symbol, 0) == a.get(symbol, 0) for symbol in symbols if symbol not in moved)
        if len(shares) == 1 and still and 0 < (share := shares.pop()) < 1:
            spread = sum(
                part * sum((one.get(symbol, 0) - target.get(symbol, 0)) ** 2 for symbol in symbols)
                for part, one in ((share, a), (1 - share, b))
            )
            found.append((spread, first, second))
    return found


def n_before(scored, target):
    """Count the (score, candidate_id) that come before ``target``, such a pair too, by score, then id."""
    return sum((-score, candidate_id) < (-target[0], target[1]) for score, candidate_id in scored)


def formula_ranks(scored, listed, excluded):
    """Return {formula: rank} from (score, candidate_id, formula) of a class and the formulas that its ranking lists, in order.

    The list goes on with each candidate of the other formulas, by score, then id; a formula's rank is that of its first place.
    """
    order = sorted(scored, key=lambda row: (-row[0], row[1]))
    places = [*listed, *(name for _, _, name in order if name not in excluded and name not in listed)]
    return {name: places.index(name) + 1 for name in places}


def fm_features(candidate, components, groups):
    """Return the features of a candidate as {feature: value}, and {feature: value in the linear term}, which differ for covariances."""
    values = {}
    cations = [(element, state) for element, state, _ in candidate if state > 0]
    anions = [(element, state) for element, state, _ in candidate if state < 0]
    if "ion" in groups:
        values |= {("ion", ion): 1.0 for ion in (*cations, *anions)}
    if "ion_coefficient" in groups:
        values |= {("ion_coefficient", (element, state), n): 1.0 for element, state, n in candidate}
    if "cation_anion" in groups:
        values |= {("cation_anion", cation, anion): 1.0 for cation in cations for anion in anions}
    if "stoichiometry" in groups:
        values["stoichiometry", stoichiometry(candidate)] = 1.0
    linear = dict(values)
    if "prior" in groups:
        means, seconds = _moments(candidate, components)
        values |= means | seconds
        linear |= means
        linear |= {key: second - means["mean", key[1]] * means["mean", key[2]] for key, second in seconds.items()}
    return values, linear


def _moments(candidate, components):
    n_atoms = sum(n for _, _, n in candidate)
    n_components = len(next(iter(components.values())))
    means = {("mean", p): 0.0 for p in range(n_components)}
    seconds = {("second", p, q): 0.0 for p in range(n_components) for q in range(p, n_components)}
    for element, state, n in candidate:
        own = components[element, state]
        for p in range(n_components):
            means["mean", p] += n / n_atoms * own[p]
            for q in range(p, n_components):
                seconds["second", p, q] += n / n_atoms * own[p] * own[q]
    return means, seconds


def fm_score(candidate, components, groups, bias, weights, factors):
    """Rendle, ICDM 2010, eq. 1: a bias, a weight per feature, and the product of the factors of each two different features.

    With ``cation_cation_anion``, also a product for each two cations, every factor times exp of the anion's scale, for each anion.
    """
    values, linear = fm_features(candidate, components, groups)
    score = bias + sum(weights[feature] * value for feature, value in linear.items())
    for (one, x), (other, y) in itertools.combinations(values.items(), 2):
        score += float(factors[one] @ factors[other]) * x * y
    if "cation_cation_anion" in groups:
        cations = [(element, state) for element, state, _ in candidate if state > 0]
        anions = [(element, state) for element, state, _ in candidate if state < 0]
        for (one, other), anion in itertools.product(itertools.combinations(cations, 2), anions):
            score += float((factors["third", one] * factors["third", other]) @ np.exp(factors["scale", anion]))
    return score


def sum_of_rates(scores, weights):
    return math.fsum(weight * math.exp(score) for score, weight in zip(scores, weights, strict=True))


def known_loss(scores, weights):
    """Return minus the weighted sum of log(exp(rate) - 1)."""
    return -math.fsum(weight * math.log(math.expm1(math.exp(score))) for score, weight in zip(scores, weights, strict=True))


def slope_along(function, point, direction, step=1e-4):
    """Return the derivative of ``function`` at the arrays ``point`` along ``direction``, by central differences."""

    def value(sign):
        return function([array + sign * step * toward for array, toward in zip(point, direction, strict=True)])

    return (value(1) - value(-1)) / (2 * step)


def inner(arrays, others):
    """Return the sum of all products of two lists of arrays, in float64."""
    return math.fsum(float(np.sum(np.asarray(a, np.float64) * b)) for a, b in zip(arrays, others, strict=True))


def norm(arrays):
    return math.sqrt(inner(arrays, arrays))


def replacements(candidate, ions):
    """Yield (old ion, new ion, new candidate) for all candidates that differ in one ion of the same charge."""
    elements = {element for element, _, _ in candidate}
    for element, state, n in candidate:
        for other, other_state in ions:
            if other_state == state and other not in elements:
                yield (element, state), (other, state), candidate - {(element, state, n)} | {(other, state, n)}


def replacement_counts(known_by_class, ions):
    """Return {ion: number of the known with it}, and {(old, new): number of those with ``old`` that are also known with ``new``}."""
    n_known = {ion: sum((*ion, n) in one for known in known_by_class for one in known for n in range(1, 99)) for ion in ions}
    n_both = {(old, new): 0 for old in ions for new in ions}
    for known in known_by_class:
        for one in known:
            for old, new, other in replacements(one, ions):
                n_both[old, new] += other in known
    return n_known, n_both


def replacement_probabilities(known_by_class, ions, shrinkage):
    """Return {(old, new): share of the known with ``old`` that are also known with ``new``}, shrunk to the share of ``new``."""
    n_known, n_both = replacement_counts(known_by_class, ions)
    of_charge = {state: 1 + sum(n for (_, other), n in n_known.items() if other == state) for _, state in ions}
    return {(old, new): (n + shrinkage * n_known[new] / of_charge[new[1]]) / (n_known[old] + shrinkage) for (old, new), n in n_both.items()}


def foretelling(known_by_class, ions, l2, odds):
    """Return {(old, new): weight} of least squares that foretell each ion known in a place from the others known there, one by one."""
    places = {}
    for number, known in enumerate(known_by_class):
        for one in known:
            for part in one:
                places.setdefault((number, one - {part}, *part[1:]), set()).add(part[:2])
    return _foretelling(places, ions, l2, odds)


def element_foretelling(compositions, elements, l2, odds):
    """Return {(old, new): weight} for elements, where a place is all other elements with their amounts and its own amount."""
    places = {}
    for one in compositions:
        for element, amount in one:
            places.setdefault((one - {(element, amount)}, amount), set()).add(element)
    return _foretelling(places, elements, l2, odds)


def _foretelling(places, items, l2, odds):
    """Return {(old, new): weight}, given the items known in each place."""
    marks = np.array([[float(item in here) for item in items] for here in places.values()]).reshape(-1, len(items))
    weights = {(item, item): 0.0 for item in items}
    for j, new in enumerate(items):
        others = np.delete(marks, j, axis=1)
        penalty = np.diag(l2 + odds * (others**2).sum(axis=0))
        solution = np.linalg.solve(others.T @ others + penalty, others.T @ marks[:, j])
        weights |= {(old, new): weight for old, weight in zip((item for item in items if item != new), solution, strict=True)}
    return weights


def without_charges(candidate):
    """Return the composition of a candidate, {(element, amount)}."""
    return frozenset((element, amount) for element, _, amount in candidate)


def one_element_away(composition, element, compositions):
    """Yield (other element, composition) for each of some compositions that has another element in place of ``element``."""
    (amount,) = (n for symbol, n in composition if symbol == element)
    rest = composition - {(element, amount)}
    for other in compositions:
        changed = other - rest
        if rest <= other and len(changed) == 1 and {n for _, n in changed} == {amount} and other != composition:
            yield next(iter(changed))[0], other


def background_rate(known, ions, n_candidates):
    """Return the share of the candidates that are known and have no known neighbour; one at least."""
    alone = [one for one in known if not any(other in known for _, _, other in replacements(one, ions))]
    return max(len(alone), 1) / n_candidates


def ease_score(candidate, known, ions, weights, n_candidates):
    """Return log(rate): the weights of all known neighbours, if they add up to more than nothing, and the background."""
    total = sum(weights[old, new] for new, old, other in replacements(candidate, ions) if other in known)
    return math.log(background_rate(known, ions, n_candidates) + max(total, 0.0))


def substitution_score(candidate, known, ions, probabilities, n_candidates):
    """Return log(rate): what each known neighbour adds, and a background by the known candidates without neighbours."""
    rate = background_rate(known, ions, n_candidates)
    for new, old, other in replacements(candidate, ions):
        if other in known:
            rate -= math.log1p(-probabilities[old, new])
    return math.log(rate)


def popularity_score(candidate, known, n_of_kind, pseudo_count):
    """Return the sum of log frequencies of cations, anion and stoichiometry; ``n_of_kind`` says how many there are of each."""
    cations = [(element, state) for one in known for element, state, _ in one if state > 0]
    anions = [(element, state) for one in known for element, state, _ in one if state < 0]
    stoichiometries = [stoichiometry(one) for one in known]
    own = [((element, state), cations if state > 0 else anions) for element, state, _ in candidate]
    own.append((stoichiometry(candidate), stoichiometries))
    totals = {id(cations): n_of_kind[0], id(anions): n_of_kind[1], id(stoichiometries): n_of_kind[2]}
    return sum(math.log((seen.count(item) + pseudo_count) / (len(seen) + pseudo_count * totals[id(seen)])) for item, seen in own)


def shuffled(number, n, keys):
    """Return the place of ``number`` in a random order of 0..n-1: a Feistel network of SplitMix64 rounds, repeated while outside."""
    half = 1
    while 4**half < n:
        half += 1
    while True:
        left, right = divmod(number, 2**half)
        for key in keys:
            left, right = right, left ^ (_splitmix(right + key * 0x9E3779B97F4A7C15) % 2**half)
        number = left * 2**half + right
        if number < n:
            return number


def _splitmix(bits):
    bits %= 2**64
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB % 2**64
    return bits ^ (bits >> 31)


def charge_assignments(ions, composition):
    """Return {ions and amounts of the smallest number of formula units: product of shares} of a composition's neutral assignments.

    Every element has one state, or one element two positive ones; ``ions`` maps (element, oxidation state) to a share.
    """
    found = {}
    for element in (None, *composition):
        for units in range(1, 13):
            for split in _splits(ions, composition, element, units):
                amounts = [n for _, n in split]
                if sum(state * n for (_, state), n in split) == 0 and (units == 1 or math.gcd(units, *amounts) == 1):
                    found[frozenset(split)] = math.prod(ions[ion] for ion, _ in split)
    return found


def _splits(ions, composition, mixed, units):
    """Yield every choice of states for ``units`` formula units, the element ``mixed`` (if any) in two positive ones."""
    choices = []
    for element, n in composition.items():
        states = [ion for ion in ions if ion[0] == element]
        if element == mixed:
            positive = sorted(ion for ion in states if ion[1] > 0)
            pairs = itertools.combinations(positive, 2)
            choices.append([((low, k), (high, n * units - k)) for low, high in pairs for k in range(1, n * units)])
        elif mixed is not None or units == 1:
            choices.append([((ion, n * units),) for ion in states])
        else:
            return
    for chosen in itertools.product(*choices):
        yield tuple(itertools.chain.from_iterable(chosen))


def descriptors(elements, amounts, properties):
    """Return means, standard deviations and covariances of the properties over the atoms, written out atom by atom."""
    atoms = [properties[element] for element, n in zip(elements, amounts, strict=True) for _ in range(n)]
    columns = [np.array(column) for column in zip(*atoms, strict=True)]
    means = [column.mean() for column in columns]
    covariances = [np.mean(a * b) - a.mean() * b.mean() for a, b in itertools.combinations(columns, 2)]
    return [*means, *(column.std() for column in columns), *covariances]


def nnmf_score(candidate, latents, n_concatenated, network, bias):
    """Dziugaite & Roy, arXiv:1511.06443, section 3, with sums over the cations; ``network`` maps names to arrays."""

    def total(features):
        return np.sum([latents[feature] for feature in features], axis=0)

    (anion,) = [(element, state, n) for element, state, n in candidate if state < 0]
    cations = [
        total([("ion", ion[:2]), ("ion_coefficient", ion[:2], ion[2]), ("cation_anion", ion[:2], anion[:2])])
        for ion in candidate
        if ion != anion
    ]
    parts = np.sum(cations, axis=0), total([("ion", anion[:2]), ("ion_coefficient", anion[:2], anion[2])])
    r, a, s = (part[n_concatenated:] for part in (*parts, latents["stoichiometry", stoichiometry(candidate)]))
    units = network["first_bias"].copy()
    for part, weights in zip((*parts, latents["stoichiometry", stoichiometry(candidate)]), network["concatenated"], strict=True):
        units += part[:n_concatenated] @ weights
    for part, weights in zip((r * r / 2, a * r, s * (r + a)), network["multiplied"], strict=True):
        units += part @ weights
    for weights, offset in zip(network["hidden"], network["hidden_bias"], strict=True):
        units = np.maximum(units, 0) @ weights + offset
    return float(np.maximum(units, 0) @ network["last"]) + bias


def around(candidate, known):
    """Return numbers of known candidates around one: in all, or for each of its ions by its element.

    A candidate is a set of (element, charge, amount).
    """

    def but(one, part):
        return frozenset(one - {part})

    def roles(one):
        return sorted((charge, amount) for _, charge, amount in one)

    def plain(one):
        return frozenset((element, amount) for element, _, amount in one)

    alike = [other for other in known if roles(other) == roles(candidate)]
    counts = {"stoichiometry": len(alike)}
    for part in candidate:
        element, _, amount = part
        counts["stoichiometry_ion", element] = sum(part in other for other in alike)
        counts["ion_amount", element] = sum(part in other for other in known)
        counts["element_substitution", element] = sum(
            plain(but(candidate, part)) == plain(but(other, gone)) and gone[2] == amount for other in known for gone in other
        )
    return counts


def ion_similarity(known, shrinkage=3.0):
    """Return a function of two ions (element, charge): the shrunk cosine of the surroundings in which each is known."""
    places = {}
    for one in known:
        for element, charge, amount in one:
            places.setdefault((element, charge), set()).add((frozenset(one - {(element, charge, amount)}), charge, amount))

    def similarity(ion, other):
        if ion == other or ion not in places or other not in places:
            return 0.0
        shared = len(places[ion] & places[other])
        return shared / ((len(places[ion]) + shrinkage) * (len(places[other]) + shrinkage)) ** 0.5

    return similarity


def likeness(candidate, part, known, similarity):
    """Return how alike the ion of ``part`` is to those that known candidates have in its place, all else the same."""
    element, charge, amount = part
    rest = candidate - {part}
    found = [gone for other in known for gone in other if other - {gone} == rest and gone[1:] == (charge, amount)]
    return sum(similarity((element, charge), gone[:2]) for gone in found)
