"""Race crcrank against what one would use instead, in one run on this machine, and draw it against the size of the space.

Every rate is candidates per second of processor time on one thread: medians of warm repeats. crcrank searches whole classes
for the best k. The others go through a sample of the same class; rows of features and tables of scores are made for them
beforehand, and only those with pair tables list their candidates themselves and keep the best k.
The model is a Factorization Machine of random numbers, spread as in a trained one.
"""

import os

if __name__ == "__main__":  # before the libraries load: one thread for each
    for _library in ("OMP", "OPENBLAS", "MKL", "NUMBA", "RAYON"):
        os.environ[f"{_library}_NUM_THREADS"] = "1"
    os.environ |= {"POLARS_MAX_THREADS": "1", "TQDM_DISABLE": "1"}

import argparse
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np

from crcrank.chem.elements import property_components, read_element_table
from crcrank.chem.ions import read_ion_table
from crcrank.config import Settings, load_config
from crcrank.models.fm import FactorizationMachine
from crcrank.ranking.filters import ElementFilter, search_filter
from crcrank.ranking.search import rank_class
from crcrank.space.space import Candidates, CompositionClass, Space

# Root mean squares of the weights and of the factors of each group, in a model trained with the default settings.
SPREAD = {
    "ion": (0.36, 0.10),
    "ion_coefficient": (0.48, 0.032),
    "cation_anion": (0.59, 0.026),
    "stoichiometry": (0.20, 0.020),
    "prior": (0.08, 0.095),
}
ONE_HOT = frozenset({"ion", "stoichiometry", "cation_anion", "ion_coefficient"})
# Cations and largest coefficient: about 10^6 to 10^12 candidates of the default ions.
SIZES = "2:8 2:20 3:8 3:15 4:8 4:12 4:20 4:24"
EXHAUSTIVE, PRUNED = "crcrank, exhaustive", "crcrank, pruned"
L1_FLOATS = 2048


class Timing(NamedTuple):
    """Candidates, and processor and wall-clock seconds of one run (medians of several)."""

    n_candidates: int
    cpu_seconds: float
    seconds: float

    @property
    def rate(self) -> float:
        """Candidates per second of processor time."""
        return self.n_candidates / max(self.cpu_seconds, 1e-9)


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    what: str
    composition_class: str
    n_candidates: int
    seconds: float
    candidates_per_cpu_second: float


class Sample(NamedTuple):
    """Candidates of a class for the others to score.

    ``features`` int32 (n, n_features) are the columns that are 1 in each row; ``weights`` (n_columns,) and ``factors``
    (n_columns, n_factors) are float32.
    """

    machine: FactorizationMachine
    parameters: dict[str, np.ndarray]
    name: str
    candidates: Candidates
    features: np.ndarray
    weights: np.ndarray
    factors: np.ndarray
    k: int
    seed: int

    @property
    def bias(self) -> float:
        """Bias of the class."""
        return float(self.parameters[f"bias.{self.name}"])


def timed(run: Callable[[], int], repeats: int) -> Timing:
    """Return medians over repeats; ``run`` returns the number of candidates it went through, and is warm already."""
    timings = []
    for _ in range(repeats):
        cpu, wall = time.process_time(), time.perf_counter()
        n_candidates = run()
        timings.append(Timing(n_candidates, time.process_time() - cpu, time.perf_counter() - wall))
    return Timing(*(statistics.median(column) for column in zip(*timings, strict=True)))


# ---- the model and crcrank ----


def machine_of(space: Space, settings: Settings, n_factors: int, *, with_prior: bool) -> FactorizationMachine:
    """Return the shape of a model of all classes of the space."""
    wanted = settings.train.fm.prior_components if with_prior else 0
    components = property_components(read_element_table(settings.space.elements), space.ions.elements, wanted).components
    elements = np.concatenate([space.ions.cation_element, space.ions.anion_element])
    features = ONE_HOT | ({"prior"} if with_prior else set())
    return FactorizationMachine(space, tuple(space.classes), features, n_factors, components[elements])


def random_parameters(machine: FactorizationMachine, seed: int) -> dict[str, np.ndarray]:
    """Return random weights and factors with the spread of trained ones."""
    rng = np.random.default_rng(seed)
    parameters = {}
    for name, shape in machine.shapes().items():
        kind, _, group = name.partition(".")
        spread = 0.0 if kind == "bias" else SPREAD[group.partition(".")[0]][kind == "factor"]
        parameters[name] = spread * rng.standard_normal(shape)
    return parameters


def searched(machine: FactorizationMachine, parameters: dict[str, np.ndarray], name: str, k: int, *, prune: bool) -> Callable[[], int]:
    """Return a search of a whole class."""
    program = machine.compile(parameters, name)
    space = machine.space
    nothing, everything = np.empty(0, np.int64), search_filter(space, ElementFilter())
    k = min(k, space.classes[name].n_candidates)
    return lambda: rank_class(space, name, program, k, excluded=nothing, search_filter=everything, prune=prune).n_candidates


# ---- what one would use instead ----


def sample_of(machine: FactorizationMachine, parameters: dict[str, np.ndarray], name: str, n: int, k: int, seed: int) -> Sample:
    """Return the candidates of random blocks, whole, about ``n`` in all, as rows of features."""
    item = machine.space.classes[name]
    blocks = np.random.default_rng(seed).permutation(item.n_blocks)
    blocks = blocks[: 1 + int(np.searchsorted(np.cumsum(item.block_size[blocks]), n))]
    ids = np.concatenate([np.arange(item.block_first[b], item.block_first[b] + item.block_size[b]) for b in blocks])
    candidates = machine.space.decode(name, ids)
    columns = feature_columns(machine, name, candidates)
    groups = list(columns)
    first = np.cumsum([0, *(parameters[f"weight.{group}"].size for group in groups)])
    features = np.hstack([columns[group] + start for group, start in zip(groups, first, strict=False)]).astype(np.int32)
    weights = np.concatenate([parameters[f"weight.{group}"].ravel() for group in groups]).astype(np.float32)
    factors = np.concatenate([parameters[f"factor.{group}"].reshape(-1, machine.n_factors) for group in groups]).astype(np.float32)
    return Sample(machine, parameters, name, candidates, features, weights, factors, min(k, len(ids)), seed)


def feature_columns(machine: FactorizationMachine, name: str, candidates: Candidates) -> dict[str, np.ndarray]:
    """Return the one-hot features of candidates, by group, int64 (n, features of the group)."""
    space, item = machine.space, machine.space.classes[name]
    row, anion = item.block_stoichiometry[candidates.blocks], item.block_anion_set[candidates.blocks]
    ions = np.column_stack([candidates.cations, len(space.ions.cations) + anion])
    amounts = np.column_stack([item.stoichiometries.coefficients[row], item.stoichiometries.anion_coefficients[row]])
    return {
        "ion": ions,
        "ion_coefficient": ions * machine.max_coefficient + amounts - 1,
        "cation_anion": candidates.cations * len(space.ions.anions) + anion[:, None],
        f"stoichiometry.{name}": row[:, None],
    }


@numba.njit(nogil=True, fastmath=True)
def fill_fm_scores(features: np.ndarray, weights: np.ndarray, factors: np.ndarray, bias: float, out: np.ndarray) -> None:
    """Score each row by itself (Rendle 2010, eq. 5)."""
    n_factors = factors.shape[1]
    total = np.empty(n_factors, np.float32)
    for r in range(features.shape[0]):
        total[:] = 0
        score, squares = np.float32(bias), np.float32(0)
        for column in features[r]:
            score += weights[column]
            for f in range(n_factors):
                total[f] += factors[column, f]
                squares += factors[column, f] * factors[column, f]
        product = np.float32(0)
        for f in range(n_factors):
            product += total[f] * total[f]
        out[r] = score + np.float32(0.5) * (product - squares)


def numba_fm(sample: Sample) -> Callable[[], int]:
    """Score candidate by candidate with Numba."""
    scores = np.empty(len(sample.features), np.float32)

    def run() -> int:
        fill_fm_scores(sample.features, sample.weights, sample.factors, sample.bias, scores)
        return len(scores)

    return run


class Tables(NamedTuple):
    """A block as tables: scores that all share, of each cation of a slot, and of each two; and which choices are candidates."""

    shared: float
    unary: list[np.ndarray]
    pair: dict[tuple[int, int], np.ndarray]
    is_candidate: np.ndarray


def block_tables(sample: Sample) -> Iterator[Tables]:
    """Yield the tables of each block of the sample."""
    n_slots = sample.candidates.cations.shape[1]
    for block in np.unique(sample.candidates.blocks):
        inside = sample.candidates.blocks == block
        cations, features = sample.candidates.cations[inside], sample.features[inside]
        own, slots = [], []
        for slot in range(n_slots):
            _, first, local = np.unique(cations[:, slot], return_index=True, return_inverse=True)
            own.append(features[first][:, [slot, n_slots + 1 + slot, 2 * n_slots + 2 + slot]])
            slots.append(local)
        is_candidate = np.zeros([len(columns) for columns in own], bool)
        is_candidate[tuple(slots)] = True
        common = features[0, [n_slots, 2 * n_slots + 1, 3 * n_slots + 2]]
        yield _tables(sample, common, own, is_candidate)


def _tables(sample: Sample, common: np.ndarray, own: Sequence[np.ndarray], is_candidate: np.ndarray) -> Tables:
    rows = [sample.factors[columns].sum(axis=1) for columns in own]
    context = sample.factors[common].sum(axis=0)
    squares = (sample.factors**2).sum(axis=1)
    unary = [
        (sample.weights - squares / 2)[columns].sum(axis=1) + (row**2).sum(axis=1) / 2 + row @ context
        for columns, row in zip(own, rows, strict=True)
    ]
    shared = sample.bias + float((sample.weights - squares / 2)[common].sum() + (context**2).sum() / 2)
    pair = {(a, b): rows[a] @ rows[b].T for a in range(len(rows)) for b in range(a + 1, len(rows))}
    return Tables(shared, unary, pair, is_candidate)


def table_scores(tables: Tables) -> np.ndarray:
    """Return the scores of a block's candidates."""
    slots = np.nonzero(tables.is_candidate)
    scores = np.full(len(slots[0]), tables.shared, np.float32)
    for table, slot in zip(tables.unary, slots, strict=True):
        scores += table[slot]
    for (a, b), table in tables.pair.items():
        scores += table[slots[a], slots[b]]
    return scores


def numpy_tables(sample: Sample) -> Callable[[], int]:
    """Gather from score tables with NumPy, and keep the best k."""
    blocks = list(block_tables(sample))

    def run() -> int:
        best = np.empty(0, np.float32)
        for tables in blocks:
            best = np.concatenate([best, table_scores(tables)])
            if len(best) > sample.k:
                best = np.partition(best, len(best) - sample.k)[-sample.k :]
        return len(sample.features)

    return run


def polars_tables(sample: Sample) -> Callable[[], int]:
    """Gather from score tables with polars, and keep the best k."""
    import polars as pl

    blocks = list(block_tables(sample))

    def scores_of(tables: Tables) -> pl.Series:
        slots = [pl.Series(slot.astype(np.uint32)) for slot in np.nonzero(tables.is_candidate)]
        scores = sum(pl.Series(table).gather(slot) for table, slot in zip(tables.unary, slots, strict=True)) + tables.shared
        for (a, b), table in tables.pair.items():
            scores += pl.Series(table.ravel()).gather(slots[a] * table.shape[1] + slots[b])
        return scores.cast(pl.Float32)

    def run() -> int:
        best = pl.Series("score", [], pl.Float32)
        for tables in blocks:
            best = pl.concat([best, scores_of(tables).alias("score")]).top_k(sample.k)
        return len(sample.features)

    return run


def sparse_rows(sample: Sample) -> Any:
    """Return the feature rows as the libraries want them."""
    from scipy.sparse import csr_matrix

    n, width = sample.features.shape
    ones = np.ones(n * width)
    return csr_matrix((ones, sample.features.ravel(), np.arange(0, n * width + 1, width)), shape=(n, len(sample.weights)))


def my_fm(sample: Sample) -> Callable[[], int]:
    """Predict with myFM, variational; it is fitted to a few rows, since only its speed matters here."""
    from myfm import VariationalFMRegressor

    rows = sparse_rows(sample)
    model = VariationalFMRegressor(rank=sample.factors.shape[1]).fit(rows[:500], np.arange(min(500, rows.shape[0])) % 2.0, n_iter=2)
    return lambda: len(model.predict(rows))


def modern_fm(sample: Sample) -> Callable[[], int]:
    """Predict with modern-fm; it is fitted to a few rows, since only its speed matters here."""
    from modern_fm import FMRegressor

    rows = sparse_rows(sample)
    model = FMRegressor(n_factors=sample.factors.shape[1], max_iter=1, random_state=0).fit(
        rows[:500], np.arange(min(500, rows.shape[0])) % 2.0
    )
    return lambda: len(model.predict(rows))


def smact_enumeration(sample: Sample) -> Callable[[], int]:
    """Enumerate with SMACT, which scores nothing: neutral compositions that pass its filter, coefficients up to 8."""
    from smact import Element
    from smact.screening import smact_filter

    space = sample.machine.space
    rows = np.random.default_rng(sample.seed).permutation(len(sample.features))[:12]
    elements, _ = space.composition_arrays(sample.name, sample.candidates.take(rows))
    systems = [[Element(space.ions.elements[e]) for e in row] for row in elements.tolist()]
    limit = min(8, space.classes[sample.name].composition_class.max_coefficient)

    def run() -> int:
        return sum(len(smact_filter(system, threshold=limit, oxidation_states_set="icsd24")) for system in systems)

    return run


PEERS: dict[str, Callable[[Sample], Callable[[], int]]] = {
    "FM with Numba, candidate by candidate": numba_fm,
    "NumPy, pair tables and top k": numpy_tables,
    "polars, pair tables and top k": polars_tables,
    "myFM, variational": my_fm,
    "modern-fm": modern_fm,
    "SMACT, enumeration only": smact_enumeration,
}
TABLE_PEERS = ("NumPy, pair tables and top k", "polars, pair tables and top k")
FM_LIBRARIES = ("myFM, variational", "modern-fm")
SMACT = "SMACT, enumeration only"


@numba.njit(nogil=True)
def count_above(x: np.ndarray, y: np.ndarray, thresholds: np.ndarray) -> int:
    """Count sums above each threshold: one addition and one comparison a step, all from the first-level cache."""
    n_above = 0
    for threshold in thresholds:
        n = np.uint32(0)  # of the width of the floats, so that it takes no lanes from them
        for i in range(x.size):
            if x[i] + y[i] > threshold:
                n = np.uint32(n + np.uint32(1))
        n_above += n
    return n_above


def peak() -> Callable[[], int]:
    """Return a run at this machine's limit."""
    rng = np.random.default_rng(0)
    x, y = rng.random((2, L1_FLOATS), np.float32)
    thresholds = rng.random(20_000, np.float32)

    def run() -> int:
        count_above(x, y, thresholds)
        return len(x) * len(thresholds)

    return run


# ---- the race ----


@dataclass(frozen=True)
class Race:
    """What is measured, and how often."""

    settings: Settings
    n_factors: int
    k: int
    n_sample: int
    repeats: int
    longest: float
    seed: int

    def crcrank_rows(self, names: Sequence[str], spaces: dict[bool, tuple[FactorizationMachine, dict[str, np.ndarray]]]) -> Iterator[Row]:
        """Yield exhaustive and pruned searches of whole classes, with and without prior; the smallest class warms up."""
        for with_prior, (machine, parameters) in spaces.items():
            smallest = min(names, key=lambda name: machine.space.classes[name].n_candidates)
            for prune in (False, True):
                searched(machine, parameters, smallest, self.k, prune=prune)()
                what = f"{PRUNED if prune else EXHAUSTIVE}, {'with' if with_prior else 'without'} prior"
                for name in names:
                    yield row(what, name, timed(searched(machine, parameters, name, self.k, prune=prune), self.repeats))

    def peer_rows(self, sample: Sample, chosen: Sequence[str]) -> Iterator[Row | str]:
        """Yield the others, or why one was left out."""
        for what in chosen:
            try:
                run = PEERS[what](sample)
            except ImportError as error:
                yield f"{what}: left out ({error}); pip install 'crcrank[bench]'"
                continue
            run()
            yield row(what, sample.name, timed(run, self.repeats))

    def sizes(self, sizes: Sequence[tuple[int, int]]) -> Iterator[Row]:
        """Yield searches of ever larger spaces, as long as the next one should not take too long."""
        table = read_ion_table(self.settings.space.ions)
        last = {EXHAUSTIVE: math.inf, PRUNED: math.inf}
        for n_cations, max_coefficient in sizes:
            space = Space(table, [CompositionClass("class", n_cations, max_coefficient)])
            machine = machine_of(space, self.settings, self.n_factors, with_prior=False)
            parameters = random_parameters(machine, self.seed)
            for what, rate in last.items():
                if space.n_candidates / rate > self.longest:
                    continue
                timing = timed(searched(machine, parameters, "class", self.k, prune=what == PRUNED), 1)
                last[what] = timing.rate
                yield row(what, f"{n_cations} cations, coefficients to {max_coefficient}", timing)


def row(what: str, name: str, timing: Timing) -> Row:
    """Return a timing as a line of the table."""
    return Row(what, name, int(timing.n_candidates), timing.seconds, timing.rate)


def ratios(rows: Sequence[Row], name: str, limit: Row) -> dict[str, float]:
    """Return how many times faster the exhaustive search of a class is than each group of others, and what share of the limit it has."""
    rate = {item.what: item.candidates_per_cpu_second for item in rows if item.composition_class == name}
    own = rate[f"{EXHAUSTIVE}, without prior"]
    found = {f"times {what}": own / rate[what] for what in PEERS if what in rate}
    for title, group in (("times the faster of the pair tables", TABLE_PEERS), ("times the fastest FM library", FM_LIBRARIES)):
        if any(what in rate for what in group):
            found[title] = own / max(rate.get(what, 0.0) for what in group)
    pruned = rate[f"{PRUNED}, without prior"]
    return found | {"share of the measured peak": own / limit.candidates_per_cpu_second, "times itself when pruned": pruned / own}


def shown(rows: Iterable[Row | str]) -> tuple[list[Row], list[str]]:
    """Print rows as a Markdown table while they come; return them, and the notes among them."""
    found: list[Row] = []
    notes: list[str] = []
    print("\n| what | class | candidates | seconds | candidates/s and thread |\n|---|---|---|---|---|")
    for item in rows:
        if isinstance(item, str):
            notes.append(item)
            continue
        found.append(item)
        rate = f"{item.candidates_per_cpu_second:,.0f}"
        print(f"| {item.what} | {item.composition_class} | {item.n_candidates:,} | {item.seconds:,.2f} | {rate} |", flush=True)
    return found, notes


def machine_facts() -> dict[str, str]:
    """Return what the rates depend on."""
    cpu_info = Path("/proc/cpuinfo")
    names = (
        [line.partition(":")[2].strip() for line in cpu_info.read_text().splitlines() if line.startswith("model name")]
        if cpu_info.exists()
        else []
    )
    facts = {"processor": names[0] if names else platform.processor(), "python": platform.python_version()}
    for package in ("crcrank", "numpy", "numba", "polars", "myfm", "modern-fm", "smact"):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    return facts


# ---- the picture ----

COLOURS = {EXHAUSTIVE: "#0072B2", PRUNED: "#D55E00"}
PEER_COLOURS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6b6b6b", "#222222")


def draw(series: Sequence[Row], peers: Sequence[Row], path: Path) -> None:
    """Draw rate and time against the size of the space; what was not measured at a size is dashed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6), layout="constrained")
    rate, seconds = figure.subplots(1, 2)
    largest = max((item.n_candidates for item in series), default=10**6)
    span = np.array([min((item.n_candidates for item in series), default=10**5), max(largest, 10**12)], float)
    for what, colour in COLOURS.items():
        points = [item for item in series if item.what == what]
        n = np.array([item.n_candidates for item in points], float)
        rates = np.array([item.candidates_per_cpu_second for item in points])
        rate.plot(n, rates, "o-", color=colour, label=what)
        seconds.plot(n, n / rates, "o-", color=colour, label=what)
    for item, colour in zip((item for item in peers if item.what in PEERS), PEER_COLOURS, strict=False):
        rate.plot(span, [item.candidates_per_cpu_second] * 2, "--", color=colour, label=item.what)
        seconds.plot(span, span / item.candidates_per_cpu_second, "--", color=colour, label=item.what)
    for axes, title in ((rate, "Candidates per second and thread"), (seconds, "Seconds on one thread")):
        axes.set(xscale="log", yscale="log", xlabel="candidates in the space", title=title)
        axes.grid(color="#d9d9d9", linewidth=0.6)
    for height, text in ((60, "a minute"), (3600, "an hour"), (86400, "a day"), (365 * 86400, "a year")):
        seconds.axhline(height, color="#b0b0b0", linewidth=0.6, zorder=0)
        seconds.annotate(text, (span[0], height), color="#6b6b6b", va="bottom", fontsize=9)
    handles, labels = rate.get_legend_handles_labels()
    title = "points: measured on whole spaces; dashed: extrapolated from a sample"
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, title=title)
    figure.savefig(path, dpi=150)


# ---- the command ----


def arguments_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, help="settings that say what the space is (default: the packaged ones)")
    parser.add_argument("--classes", nargs="+", help="classes that crcrank searches (default: those of [train])")
    parser.add_argument("--peer-class", help="the class of the sample for the others (default: quaternary, or the last class)")
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=list(PEERS), help="the others (default: all)")
    parser.add_argument("--sizes", default=SIZES, help=f"spaces for the picture as CATIONS:LARGEST_COEFFICIENT (default: {SIZES})")
    parser.add_argument("--factors", type=int, default=32)
    parser.add_argument("-k", type=int, default=10_000, help="formulas to find per class")
    parser.add_argument("--sample", type=int, default=1_000_000, help="candidates that the others score")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--longest", type=float, default=180, help="no space that should take more seconds than this")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write all figures")
    parser.add_argument("--picture", type=Path, help="draw them: .png or .svg")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the race."""
    options = arguments_of(arguments)
    settings = load_config(options.config)
    race = Race(settings, options.factors, options.k, options.sample, options.repeats, options.longest, options.seed)
    names = tuple(options.classes or settings.train.classes)
    classes = [CompositionClass(name, *settings.space.classes[name].model_dump().values()) for name in names]
    space = Space(read_ion_table(settings.space.ions), classes)
    models = {}
    for with_prior in (False, True):
        machine = machine_of(space, settings, race.n_factors, with_prior=with_prior)
        models[with_prior] = machine, random_parameters(machine, race.seed)
    peer_class = options.peer_class or ("quaternary" if "quaternary" in names else names[-1])
    peak_run = peak()
    peak_run()
    limit = row("peak: add and compare from cache", "", timed(peak_run, max(3, race.repeats)))
    sample = sample_of(*models[False], peer_class, race.n_sample, race.k, race.seed)
    peers, notes = shown(chain([limit], race.peer_rows(sample, options.peers)))
    rows, _ = shown(race.crcrank_rows(names, models))
    compared = ratios([*rows, *peers], peer_class, limit)
    print(
        f"\n{EXHAUSTIVE}, without prior, {peer_class}:", *(f"  {value:,.3g} {what}" for what, value in compared.items()), *notes, sep="\n"
    )
    series, _ = shown(race.sizes([tuple(map(int, size.split(":"))) for size in options.sizes.split()]))
    if options.json:
        facts = {"machine": machine_facts(), "rows": [asdict(item) for item in [*rows, *peers]], "ratios": compared}
        facts |= {"series": [asdict(item) for item in series], "notes": notes}
        options.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    if options.picture:
        draw(series, peers, options.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
