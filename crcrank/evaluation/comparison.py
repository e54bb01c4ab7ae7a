"""Arms of a study compared: means over seeds, and paired differences to a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crcrank.evaluation.statistics import Mean, mean_over, paired_difference


@dataclass(frozen=True)
class Place:
    """Where arms are compared: one design, what is counted, class, fraction of the known compositions, and k."""

    design: str
    counted: str
    composition_class: str
    fraction: float
    k: int


@dataclass(frozen=True)
class Measured:
    """What one seed of one arm gave at one place."""

    place: Place
    arm: str
    seed: int
    n_hits: int
    hit_rate: float
    enrichment: float
    n_targets: int
    n_known_fitted: int
    fit_seconds: float


@dataclass(frozen=True)
class Compared:
    """An arm at one place, over its seeds.

    Parameters
    ----------
    place, arm
        What and where.
    n_hits
        Mean of the hits, with its standard error.
    difference
        Mean difference of the hits to the baseline on the same seeds; None for the baseline itself, and where it was not measured.
    ratio, ratio_error
        Hits over those of the baseline on the same seeds, and the standard error of the difference in units of the baseline; None as
        for the difference, and where the baseline has no hits.
    hits_by_seed
        What the mean is taken over.
    hit_rate, enrichment, n_targets, n_known_fitted, fit_seconds
        Means over the seeds.
    """

    place: Place
    arm: str
    n_hits: Mean
    difference: Mean | None
    ratio: float | None
    ratio_error: float | None
    hits_by_seed: dict[int, int]
    hit_rate: float
    enrichment: float
    n_targets: float
    n_known_fitted: float
    fit_seconds: float


def compare(measured: Sequence[Measured], baseline: str) -> list[Compared]:
    """Compare arms at each place.

    Parameters
    ----------
    measured
        At most one for each place, arm and seed.
    baseline
        The arm that the others are compared with.

    Returns
    -------
    One for each place and arm that has been measured, sorted by place, places and arms in the order of their first appearance.
    """
    groups: dict[tuple[Place, str], dict[int, Measured]] = {}
    for item in measured:
        groups.setdefault((item.place, item.arm), {})[item.seed] = item
    places = _sorted_places(measured)
    names = dict.fromkeys(item.arm for item in measured)
    return [
        _compared(place, arm, groups[place, arm], {} if arm == baseline else groups.get((place, baseline), {}))
        for place in places
        for arm in names
        if (place, arm) in groups
    ]


def _sorted_places(measured: Sequence[Measured]) -> list[Place]:
    """Return the places, each field in the order in which its values appear first."""
    fields = ("design", "counted", "composition_class", "fraction", "k")
    order = {field: list(dict.fromkeys(getattr(item.place, field) for item in measured)) for field in fields}
    return sorted({item.place for item in measured}, key=lambda place: [order[field].index(getattr(place, field)) for field in fields])


def _compared(place: Place, arm: str, by_seed: Mapping[int, Measured], baseline: Mapping[int, Measured]) -> Compared:
    hits = {seed: item.n_hits for seed, item in by_seed.items()}
    base_hits = {seed: item.n_hits for seed, item in baseline.items()}
    shared = hits.keys() & base_hits.keys()
    n_base = sum(base_hits[seed] for seed in shared)
    difference = paired_difference(hits, base_hits)
    error = difference.standard_error if difference else None

    def mean(field: str) -> float:
        return mean_over({seed: getattr(item, field) for seed, item in by_seed.items()}).mean

    return Compared(
        place=place,
        arm=arm,
        n_hits=mean_over(hits),
        difference=difference,
        ratio=sum(hits[seed] for seed in shared) / n_base if n_base else None,
        ratio_error=error * len(shared) / n_base if n_base and error is not None else None,
        hits_by_seed=hits,
        hit_rate=mean("hit_rate"),
        enrichment=mean("enrichment"),
        n_targets=mean("n_targets"),
        n_known_fitted=mean("n_known_fitted"),
        fit_seconds=mean("fit_seconds"),
    )
