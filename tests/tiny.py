"""A world small enough for tests: a few ions, a known list and a holdout drawn from its space, and every artifact."""

import random
from pathlib import Path

import numpy as np

from crcrank.cli.main import main
from crcrank.config import load_config
from crcrank.stages.common import candidate_columns, load_space

IONS = """ion,element,oxidation_state,role,icsd_count
Na1+,Na,1,cation,900
K1+,K,1,cation,700
Ba2+,Ba,2,cation,800
Fe2+,Fe,2,cation,400
Fe3+,Fe,3,cation,600
Ti3+,Ti,3,cation,100
Ti4+,Ti,4,cation,900
U4+,U,4,cation,300
O2-,O,-2,anion,5000
S2-,S,-2,anion,900
Cl1-,Cl,-1,anion,700
"""

CONFIG = """
[space]
ions = "ions.csv"
[space.classes.binary]
n_cations = 1
max_coefficient = 4
[space.classes.ternary]
n_cations = 2
max_coefficient = 4
[ingest.rules]
exclude = []
[train]
model = "fm"
classes = ["ternary"]
[train.fm]
n_factors = 3
n_epochs = 2
n_final_epochs = 1
n_batches = 2
[rank]
k = 12
[validate]
k = [5, 10, 1000]
[run]
known = ["known.csv"]
holdout = ["holdout.csv"]
"""

OUTSIDE = ("CNaO3", "FeTi", "Na4O", "BaClFeO")


def formulas_of(config: Path, name: str) -> list[str]:
    """Return all formulas of a class, sorted."""
    space, _ = load_space(load_config(config))
    item = space.classes[name]
    ids = np.arange(item.first_id, item.first_id + item.n_candidates)
    return sorted(set(candidate_columns(space, name, space.decode(name, ids))["formula"]))


def make_lists(folder: Path) -> Path:
    """Write the ions, the configuration, a known list and a holdout that shares a few formulas; return the configuration."""
    (folder / "ions.csv").write_text(IONS)
    config = folder / "tiny.toml"
    config.write_text(CONFIG)
    formulas = formulas_of(config, "ternary")
    random.Random(2).shuffle(formulas)
    third = len(formulas) // 3
    write_list(folder / "known.csv", [*formulas[:third], *formulas_of(config, "binary")[:5], *OUTSIDE])
    write_list(folder / "holdout.csv", [*formulas[third - 3 : 2 * third], *OUTSIDE])
    return config


def write_list(path: Path, formulas: list[str]) -> Path:
    """Write a table of formulas."""
    path.write_text("formula\n" + "".join(f"{formula}\n" for formula in formulas))
    return path


def make_world(folder: Path) -> Path:
    """Write the lists and all artifacts (in ``folder / "run"``); return the configuration."""
    config = make_lists(folder)
    assert main(["run", str(config), "--out-dir", str(folder / "run"), "-q", "--threads", "1"]) == 0
    return config
