"""What the page of a run shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ClassFacts:
    """A class and how it was ranked.

    Parameters
    ----------
    n_candidates, n_known, n_scored, n_listed
        Candidates, those of them that are known, those that were scored one by one, and formulas listed.
    """

    name: str
    n_candidates: int
    n_known: int
    n_scored: int
    n_listed: int


@dataclass(frozen=True)
class Curve:
    """Hits of one holdout among the first k formulas, at some k.

    Parameters
    ----------
    hits
        Counted.
    low, high
        Ends of the 95 % interval of the hits.
    n_reachable, base_rate
        Holdout formulas that could be listed, and their share of all unknown candidates.
    """

    composition_class: str
    holdout: str
    k: Sequence[int]
    hits: Sequence[int]
    low: Sequence[float]
    high: Sequence[float]
    n_reachable: int
    base_rate: float


@dataclass(frozen=True)
class Arm:
    """Hits of another model at a few k, mean over seeds with its standard error."""

    composition_class: str
    name: str
    k: Sequence[int]
    hits: Sequence[float]
    error: Sequence[float | None]


@dataclass(frozen=True)
class ElementCounts:
    """Of ``n`` compounds, how many hold each element."""

    n: int
    elements: Mapping[str, int]


@dataclass(frozen=True)
class IonMap:
    """Learned ions in a plane.

    Parameters
    ----------
    ions, elements, groups, oxidation_states, n_known
        Of each ion: label, element, group of the periodic table, oxidation state, and known compounds that hold it.
    x, y
        Where it lies.
    shares
        Share of the variance along both axes.
    """

    ions: Sequence[str]
    elements: Sequence[str]
    groups: Sequence[int]
    oxidation_states: Sequence[int]
    n_known: Sequence[int]
    x: Sequence[float]
    y: Sequence[float]
    shares: Sequence[float]


@dataclass(frozen=True)
class Histogram:
    """Candidates of a class by score: all of them, the known ones and those of the holdouts, in bins from ``low`` to ``high``."""

    low: Sequence[float]
    high: Sequence[float]
    n_candidates: Sequence[int]
    n_known: Sequence[int]
    n_asked: Sequence[int]


@dataclass(frozen=True)
class RecallSteps:
    """How much of a holdout is found by which rank among all candidates, to the last compound.

    Parameters
    ----------
    ranks, shares
        Ranks at which the share found grows, and the shares, no more points than one can see.
    n_unknown
        Unknown candidates, among which a random order would find them.
    """

    composition_class: str
    holdout: str
    ranks: Sequence[int]
    shares: Sequence[float]
    n_unknown: int


@dataclass(frozen=True)
class RankSpread:
    """Ranks of the compounds of a class of which the same is rare among the known.

    Parameters
    ----------
    rarity
        What is rare.
    n
        Compounds.
    quantiles
        Ranks by which 10, 25, 50, 75 and 90 % of them are found; of no compounds none.
    """

    composition_class: str
    rarity: str
    n: int
    quantiles: Sequence[int]


@dataclass(frozen=True)
class Compound:
    """A compound of the holdouts, its exact rank, and what of it few or no known compounds share, with their numbers."""

    rank: int
    pretty_formula: str
    ions: Sequence[str]
    rare_parts: Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Evidence:
    """What a validation says beyond the hits.

    Parameters
    ----------
    recalls, depths
        Recall to the last compound, and the rows of the ``depths`` artifact; without exact ranks none.
    spreads
        Ranks by what is rare, over all holdouts.
    first, last
        Of each class, the compounds of all holdouts that are ranked best, and worst.
    calibration
        Rows of the ``calibration`` artifact.
    calibration_error
        Mean difference of probability and share found, by class and holdout.
    """

    recalls: Sequence[RecallSteps]
    depths: Sequence[Mapping[str, Any]]
    spreads: Sequence[RankSpread]
    first: Mapping[str, Sequence[Compound]]
    last: Mapping[str, Sequence[Compound]]
    calibration: Sequence[Mapping[str, Any]]
    calibration_error: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Segment:
    """A part of a list: how many lines or compositions, and for those put aside why, most common reason first."""

    label: str
    n: int
    is_used: bool
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class Flow:
    """What became of a list; the segments add up to all of it.

    Parameters
    ----------
    name
        Of the list.
    role
        What it was for.
    n
        Lines read.
    segments
        From what was put aside first to what was used.
    """

    name: str
    role: str
    n: int
    segments: Sequence[Segment]


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Parameters
    ----------
    name, model
        Of the run, and the kind of model.
    metadata
        Of each artifact, by its kind.
    classes
        In the order in which they are shown.
    holdouts
        Names of the lists in which recommendations are looked up.
    hits
        Rows of the ``validation`` artifact.
    notes
        What a reader of the figures should know.
    curves, arms
        Discovery curves of the run, and of what it is compared with.
    evidence
        What the validation says beyond the hits.
    columns
        The recommendations: lists of equal length.
    ions
        What the lists of ions in ``columns`` point to.
    known_elements
        Of the known compounds of each class.
    ion_map
        The learned ions, if the model has vectors of them.
    flows
        What became of each list.
    histograms
        Scores of the whole space by class, as far as they were counted.
    left_out
        For each part that the run has no data for, why.
    """

    name: str
    model: str
    metadata: Mapping[str, Mapping[str, Any]]
    classes: Sequence[ClassFacts]
    holdouts: Sequence[str]
    hits: Sequence[Mapping[str, Any]]
    notes: Sequence[str]
    curves: Sequence[Curve]
    arms: Sequence[Arm]
    evidence: Evidence
    columns: Mapping[str, Sequence[Any]]
    ions: Sequence[str]
    known_elements: Mapping[str, ElementCounts]
    ion_map: IonMap | None
    flows: Sequence[Flow]
    histograms: Mapping[str, Histogram]
    left_out: Mapping[str, str]
