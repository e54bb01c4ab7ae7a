"""Settings: what the configuration files say, checked, with every key and value declared once.

A file overrides the packaged default key by key; ``[space.classes]`` is replaced as a whole. Paths in a file are meant
relative to the folder of that file.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crcrank.errors import ConfigError

_PATH_KEYS = (("space", "ions"), ("space", "elements"), ("run", "known"), ("run", "holdout"))


_Factors = Annotated[int, Field(ge=1)]
FactorsByCations = tuple[_Factors, _Factors, _Factors, _Factors]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassSettings(_Section):
    """A composition class: its number of cations and its largest coefficient."""

    n_cations: int = Field(ge=1, le=4)
    max_coefficient: int = Field(ge=1)


class SpaceSettings(_Section):
    """The candidate space: tables of ions and elements, and the classes in the order of their candidate_ids."""

    ions: Path
    elements: Path
    classes: dict[str, ClassSettings] = Field(min_length=1)


class RuleSettings(_Section):
    """By which rules a line of a list is taken, flagged or left out."""

    experimental_only: bool
    round_within: float = Field(ge=0, lt=0.5)
    deuterium_as_hydrogen: bool
    expand_parts: bool
    exclude: tuple[Literal["elements", "gases", "alloys", "organics"], ...]


class IngestSettings(_Section):
    """How to read users' files (what is left out is detected), and by which rules."""

    format: str | None = None
    formula_column: str | None = None
    id_column: str | None = None
    year_column: str | None = None
    anion: str | None = None
    rules: RuleSettings


class L2Settings(_Section):
    """Weights of the squared norms in the penalty: of each feature group's factors, and of all linear weights."""

    ion: float = Field(ge=0)
    stoichiometry: float = Field(ge=0)
    cation_anion: float = Field(ge=0)
    ion_coefficient: float = Field(ge=0)
    prior: float = Field(ge=0)
    weights: float = Field(ge=0)


class FMSettings(_Section):
    """A Factorization Machine and how it is fitted."""

    features: tuple[Literal["ion", "stoichiometry", "cation_anion", "ion_coefficient", "prior"], ...] = Field(min_length=1)
    n_factors: int = Field(ge=0)
    prior_components: int = Field(ge=0)
    l2: L2Settings
    n_epochs: int = Field(ge=1)
    n_final_epochs: int = Field(ge=0)
    patience: int = Field(ge=0)
    n_batches: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    n_models: int = Field(ge=1)


class SubstitutionSettings(_Section):
    """How known compositions that differ in one ion are counted."""

    similarity: bool
    shrinkage: float = Field(gt=0)


class PopularitySettings(_Section):
    """How frequencies are counted."""

    pseudo_count: float = Field(gt=0)


class ForestSettings(_Section):
    """Boosted trees on compositional descriptors."""

    leave_out: tuple[str, ...]
    n_unlabelled: int = Field(ge=1)
    n_trees: int = Field(ge=1)
    n_leaves: int = Field(ge=2)
    learning_rate: float = Field(gt=0)
    feature_share: float = Field(gt=0, le=1)
    l2: float = Field(ge=0)


class RandomSettings(_Section):
    """The seed decides everything."""


class MachineSettings(_Section):
    """The Factorization Machine that another model begins with."""

    l2: L2Settings
    n_epochs: int = Field(ge=1)
    n_batches: int = Field(ge=1)
    learning_rate: float = Field(gt=0)


class NNMFSettings(_Section):
    """A neural network matrix factorization and how it is fitted."""

    start: Literal["fm", "random"]
    n_concatenated: int = Field(ge=1)
    n_multiplied: int = Field(ge=1)
    n_layers: int = Field(ge=1)
    n_hidden: int = Field(ge=2)
    l2: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=1)
    n_samples: int = Field(ge=0)
    n_steps: int = Field(ge=1)
    n_epochs: int = Field(ge=1)
    n_final_epochs: int = Field(ge=0)
    patience: int = Field(ge=0)
    n_alternate: int = Field(ge=0)
    latent_rate: float = Field(gt=0)
    network_rate: float = Field(gt=0)
    machine: MachineSettings


class TuckerSettings(_Section):
    """Numbers of factors of a Tucker decomposition, where several are given for classes with 1, 2, 3 and 4 cations."""

    n_cation_factors: FactorsByCations
    n_anion_factors: int = Field(ge=1)
    n_ratio_factors: FactorsByCations
    n_iterations: int = Field(ge=0)


class CPSettings(_Section):
    """Numbers of factors of a CP decomposition, for classes with 1, 2, 3 and 4 cations, and how it is fitted."""

    n_factors: FactorsByCations
    n_iterations: int = Field(ge=1)
    l2: float = Field(ge=0)


class SVDSettings(_Section):
    """A matrix of known compositions and its number of factors, for classes with 1, 2, 3 and 4 cations."""

    matrix: Literal["ion_rest", "pair_rest", "system_ratio"]
    n_factors: FactorsByCations


class NMFSettings(_Section):
    """A matrix of known compositions, its number of factors, for classes with 1, 2, 3 and 4 cations, and how it is fitted."""

    matrix: Literal["ion_rest", "pair_rest", "system_ratio"]
    n_factors: FactorsByCations
    n_iterations: int = Field(ge=1)
    l2: float = Field(ge=0)


class TrainSettings(_Section):
    """The model, what it learns, and how each kind of model is fitted; a model's settings are the section of its name."""

    model: Literal["fm", "nnmf", "tucker", "cp", "svd", "nmf", "substitution", "popularity", "forest", "random"]
    classes: tuple[str, ...]
    validation_fraction: float = Field(ge=0, lt=1)
    fm: FMSettings
    nnmf: NNMFSettings
    tucker: TuckerSettings
    cp: CPSettings
    svd: SVDSettings
    nmf: NMFSettings
    substitution: SubstitutionSettings
    popularity: PopularitySettings
    forest: ForestSettings
    random: RandomSettings


class RankSettings(_Section):
    """What a ranking lists; empty lists and 0 mean no condition."""

    k: int = Field(ge=1)
    require: tuple[str, ...]
    allow: tuple[str, ...]
    exclude: tuple[str, ...]
    anions: tuple[str, ...]
    max_coefficient: int = Field(ge=0)
    exclude_radioactive: bool
    exhaustive: bool


class ValidateSettings(_Section):
    """Numbers of recommendations at which hits are counted."""

    k: tuple[int, ...] = Field(min_length=1)


class RunSettings(_Section):
    """What ``crcrank run`` reads, and the classes it trains and ranks (none named: those of ``[train]``)."""

    known: tuple[Path, ...]
    holdout: tuple[Path, ...]
    classes: tuple[str, ...]


class Settings(_Section):
    """All settings of all stages."""

    seed: int = Field(ge=0)
    space: SpaceSettings
    ingest: IngestSettings
    train: TrainSettings
    rank: RankSettings
    validation: ValidateSettings = Field(alias="validate")
    run: RunSettings


def with_model(settings: Settings, model: str) -> Settings:
    """Return the settings with another model to train.

    Raises
    ------
    ConfigError
        If there is no such model.
    """
    known = get_args(TrainSettings.model_fields["model"].annotation)
    if model not in known:
        near = get_close_matches(model, known, 1)
        raise ConfigError(f"--model {model}: no such model; " + (f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"))
    return settings.model_copy(update={"train": settings.train.model_copy(update={"model": model})})


def cache_folder() -> Path:
    """Return the folder of what can be made or fetched again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crcrank"


def materials_project_key() -> str | None:
    """Return the user's API key of the Materials Project."""
    return os.environ.get("MP_API_KEY") or None


def packaged_config_dir() -> Path:
    """Return the folder of the default configuration: in a wheel within the package, in a checkout beside it."""
    package = Path(__file__).parent
    in_wheel = package / "configs"
    return in_wheel if in_wheel.is_dir() else package.parent / "configs"


def load_config(path: Path | None = None) -> Settings:
    """Return the settings of a TOML file over the packaged defaults (``None``: the defaults).

    Raises
    ------
    ConfigError
        If the file is missing or no TOML, or a key or value is not allowed; one line names file, key and near miss.
    """
    default_path = packaged_config_dir() / "default.toml"
    values = _read_toml(default_path)
    if path is not None:
        values = _with_defaults(_read_toml(path), values)
    where = path or default_path
    try:
        settings = Settings.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_first_problem(error)}") from error
    _check_classes(where, settings)
    return settings


def _read_toml(path: Path) -> dict[str, Any]:
    """Return the values of a file, paths joined to its folder."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such configuration file") from error
    except OSError as error:
        raise ConfigError(f"{path}: the configuration cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    for section, key in _PATH_KEYS:
        table = values.get(section)
        if isinstance(table, dict) and key in table:
            table[key] = _joined(path.parent, table[key])
    return values


def _joined(folder: Path, value: Any) -> Any:
    if isinstance(value, list):
        return [_joined(folder, item) for item in value]
    return str(folder / value) if isinstance(value, str) else value


def _with_defaults(own: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return ``own`` over ``defaults``; with classes of its own, a file trains all of them unless it says which."""
    merged = _merged(defaults, own)
    classes = _table(own, "space").get("classes")
    if isinstance(classes, dict) and "classes" not in _table(own, "train") and isinstance(merged["train"], dict):
        merged["train"]["classes"] = list(classes)
    return merged


def _merged(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return the tables key by key, but the table of classes as a whole."""
    merged = dict(defaults)
    for key, value in own.items():
        both = key != "classes" and isinstance(value, dict) and isinstance(defaults.get(key), dict)
        merged[key] = _merged(defaults[key], value) if both else value
    return merged


def _table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = values.get(key)
    return found if isinstance(found, dict) else {}


def _first_problem(error: ValidationError) -> str:
    problems = sorted(error.errors(include_url=False), key=lambda problem: problem["type"] != "extra_forbidden")
    problem = problems[0]  # a misspelt key explains a missing one
    key = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        known = list(_keys_beside(problem["loc"]))
        near = get_close_matches(str(problem["loc"][-1]), known, 1)
        return f"{key}: unknown key; " + (f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}")
    if problem["type"] == "missing":
        return f"{key}: this key is missing"
    return f"{key}: {problem['msg'][:1].lower()}{problem['msg'][1:]}, found {problem['input']!r}"


def _keys_beside(location: tuple[int | str, ...]) -> Iterator[str]:
    """Yield the allowed keys where an unknown one was found."""
    section: type[BaseModel] = Settings
    for part in location[:-1]:
        field = next((f for name, f in section.model_fields.items() if part in (name, f.alias)), None)
        if field is not None:  # otherwise ``part`` is the free name of a class
            candidates = [field.annotation, *get_args(field.annotation)]
            section = next(item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel))
    for name, field in section.model_fields.items():
        yield field.alias or name


def _check_classes(where: Path, settings: Settings) -> None:
    for key, names in (("train.classes", settings.train.classes), ("run.classes", settings.run.classes)):
        for name in names:
            check_class(name, settings, f"{where}: {key}")


def check_class(name: str, settings: Settings, where: str) -> None:
    """Raise ConfigError, beginning with ``where``, unless the space has the class."""
    if name not in settings.space.classes:
        near = get_close_matches(name, settings.space.classes, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"the space has {', '.join(settings.space.classes)}"
        raise ConfigError(f"{where}: no composition class {name!r}; {hint}")
