"""What several stages need: the space of the settings, compositions of an artifact, columns of candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from crcrank.artifacts.store import Artifact, replacing, sha256_of_file
from crcrank.chem.formula import ELECTRONEGATIVITY_ORDER
from crcrank.chem.ions import IonTable, read_ion_table
from crcrank.config import Settings, check_class
from crcrank.errors import ConfigError, OutputError
from crcrank.space.space import Candidates, CompositionClass, Compositions, Space


def load_space(settings: Settings) -> tuple[Space, IonTable]:
    """Return the candidate space of the settings, and the ion table that it is made from."""
    table = read_ion_table(settings.space.ions)
    classes = [CompositionClass(name=name, **dict(item)) for name, item in settings.space.classes.items()]
    return Space(table, classes), table


def chosen_classes(classes: Sequence[str] | None, available: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """Return the classes asked for in the order of the space, or all available ones.

    Raises
    ------
    ConfigError
        If the space has no such class, or it is not available.
    """
    for name in classes or ():
        check_class(name, settings, "--class")
        if name not in available:
            raise ConfigError(f"--class: {name!r} is not among the classes at hand ({', '.join(available)}); train it first")
    return tuple(name for name in settings.space.classes if name in (classes or available))


def filters_in_words(filters: Mapping[str, Any]) -> str:
    """Return the conditions of a ranking, by their names in the settings, as a person would say them."""
    words: dict[str, Callable[[Any], str]] = {
        "require": lambda symbols: f"require {_enumerated(symbols, 'and')}",
        "allow": lambda symbols: f"only {_enumerated(symbols, 'and')}",
        "exclude": lambda symbols: f"no {_enumerated(symbols, 'or')}",
        "anions": lambda symbols: f"anion {_enumerated(symbols, 'or')}",
        "max_coefficient": "coefficients up to {}".format,
        "exclude_radioactive": lambda _: "no radioactive elements",
        "one_per_family": lambda _: "one of a family of lanthanide look-alikes",
        "max_per_system": "at most {} of a chemical system".format,
    }
    return "; ".join(words[name](value) for name, value in filters.items() if value)


def _enumerated(symbols: Sequence[str], last: str) -> str:
    *first, final = symbols
    return f"{', '.join(first)} {last} {final}" if first else final


def read_compositions(table: pa.Table) -> Compositions:
    """Return (elements, amounts) of each row of a ``known`` artifact."""
    return list(zip(table["elements"].to_pylist(), table["amounts"].to_pylist(), strict=True))


def recorded_known(ranking: Artifact) -> tuple[Path | None, bool]:
    """Return the known compositions that a ranking left out, None if it left out none, and whether the file is still what it was."""
    recorded = ranking.metadata["extra"]["known"]
    if recorded is None:
        return None, True
    path = Path(recorded)
    sha256 = next(item["sha256"] for item in ranking.metadata["inputs"] if item["path"] == recorded)
    return path, path.exists() and sha256_of_file(path) == sha256


def candidate_columns(space: Space, name: str, candidates: Candidates) -> dict[str, Any]:
    """Return the columns that say what candidates are.

    Returns
    -------
    dict
        ``formula``, ``pretty_formula``, ``elements`` and ``amounts`` (both in alphabetical order of the elements), ``ions`` and
        ``coefficients``.
    """
    elements, amounts = space.composition_arrays(name, candidates)
    ions, coefficients = space.ions_of(name, candidates)
    symbols, counts = np.array(space.ions.elements, object)[elements].tolist(), amounts.tolist()
    if not amounts.all():
        symbols = [list(compress(*row)) for row in zip(symbols, counts, strict=True)]
        counts = [list(filter(None, row)) for row in counts]
    rank = [ELECTRONEGATIVITY_ORDER.index(symbol) for symbol in space.ions.elements] + [len(ELECTRONEGATIVITY_ORDER)]
    order = np.argsort(np.array(rank)[elements], axis=1, kind="stable")
    return {
        "formula": _formulas(space, elements, amounts),
        "pretty_formula": _formulas(space, np.take_along_axis(elements, order, axis=1), np.take_along_axis(amounts, order, axis=1)),
        "elements": symbols,
        "amounts": counts,
        "ions": ions,
        "coefficients": coefficients.tolist(),
    }


def _formulas(space: Space, elements: np.ndarray, amounts: np.ndarray) -> list[str]:
    """Join each row; the elements of a candidate are different ones, and its amounts have no common divisor."""
    largest = int(amounts.max(initial=1))
    parts = [["", symbol, *(f"{symbol}{n}" for n in range(2, largest + 1))] for symbol in (*space.ions.elements, "")]
    return ["".join(row) for row in np.array(parts, object)[elements, amounts].tolist()]


@contextmanager
def replacing_all(*paths: Path) -> Iterator[list[Path]]:
    """Yield a temporary path for each; they get their names together when the block ends well, or none does."""
    with ExitStack() as stack:
        temporaries = [stack.enter_context(replacing(path)) for path in paths]
        try:
            yield temporaries
        except OutputError as error:
            message = str(error)
            for path, temporary in zip(paths, temporaries, strict=True):
                message = message.replace(str(temporary), str(path))
            raise OutputError(message) from error
