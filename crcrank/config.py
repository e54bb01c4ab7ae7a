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

_PATH_KEYS = (
    ("space", "ions"),
    ("space", "elements"),
    ("space", "cautions"),
    ("run", "known"),
    ("run", "holdout"),
    ("study", "known"),
    ("study", "holdout"),
)

LIVE_SOURCES = ("optimade", "mp")
"""What stands before the colon in the name of a source over the network."""

_Factors = Annotated[int, Field(ge=1)]
FactorsByCations = tuple[_Factors, _Factors, _Factors, _Factors]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassSettings(_Section):
    """A composition class: its number of cations, its largest coefficient, and how it is widened."""

    n_cations: int = Field(ge=1, le=4)
    max_coefficient: int = Field(ge=1)
    mixed_valence: bool = False
    neutral: bool = True
    n_anions: int = Field(ge=1, le=2, default=1)


class SpaceSettings(_Section):
    """The candidate space: tables of ions and elements, and the classes in the order of their candidate_ids."""

    ions: Path
    elements: Path
    cautions: Path
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
    """Weights in the penalty of the squared norms of each feature group's factors, of all linear weights, and of how ions differ."""

    ion: float = Field(ge=0)
    stoichiometry: float = Field(ge=0)
    cation_anion: float = Field(ge=0)
    ion_coefficient: float = Field(ge=0)
    cation_cation_anion: float = Field(ge=0)
    prior: float = Field(ge=0)
    weights: float = Field(ge=0)
    similarity: float = Field(ge=0)


FeatureGroup = Literal["ion", "stoichiometry", "cation_anion", "ion_coefficient", "cation_cation_anion", "prior"]
SharedGroup = Literal["ion", "cation_anion", "ion_coefficient", "cation_cation_anion", "prior"]


class FMSettings(_Section):
    """A Factorization Machine and how it is fitted."""

    features: tuple[FeatureGroup, ...] = Field(min_length=1)
    per_class: tuple[SharedGroup, ...]
    class_balance: float = Field(ge=0, le=1)
    n_factors: int = Field(ge=0)
    prior_components: int = Field(ge=0)
    l2: L2Settings
    n_epochs: int = Field(ge=1)
    n_final_epochs: int = Field(ge=0)
    n_warm_epochs: int = Field(ge=1)
    n_batches: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    max_candidates: int = Field(ge=1)
    n_models: int = Field(ge=1)


class SubstitutionSettings(_Section):
    """How known compositions that differ in one ion are counted."""

    similarity: bool
    shrinkage: float = Field(gt=0)


class EaseSettings(_Section):
    """A linear autoencoder of what is known in one place."""

    l2: float = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)


class PopularitySettings(_Section):
    """How frequencies are counted."""

    pseudo_count: float = Field(gt=0)


class TreeSettings(_Section):
    """Gradient-boosted decision trees."""

    n_trees: int = Field(ge=1)
    n_leaves: int = Field(ge=2)
    smallest_leaf: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    feature_share: float = Field(gt=0, le=1)
    l2: float = Field(ge=0)


class ForestSettings(TreeSettings):
    """Boosted trees on compositional descriptors."""

    leave_out: tuple[str, ...]
    n_unlabelled: int = Field(ge=1)


class StackSettings(_Section):
    """Models that search, and trees that order what they find; their settings are those of ``[train]`` where it says nothing else."""

    held_back_fraction: float = Field(gt=0, lt=1)
    depth: int = Field(ge=1)
    trees: TreeSettings
    fm: FMSettings
    ease: EaseSettings


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
    """Numbers of factors of a Tucker decomposition, for classes with 1, 2, 3 and 4 cations, and how it is fitted."""

    n_cation_factors: FactorsByCations
    n_anion_factors: FactorsByCations
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

    model: Literal["fm", "nnmf", "tucker", "cp", "svd", "nmf", "ease", "substitution", "popularity", "forest", "random", "stack"]
    classes: tuple[str, ...]
    validation_fraction: float = Field(ge=0, lt=1)
    fm: FMSettings
    nnmf: NNMFSettings
    tucker: TuckerSettings
    cp: CPSettings
    svd: SVDSettings
    nmf: NMFSettings
    ease: EaseSettings
    substitution: SubstitutionSettings
    popularity: PopularitySettings
    forest: ForestSettings
    random: RandomSettings
    stack: StackSettings


class RankSettings(_Section):
    """What a ranking lists; empty lists and 0 mean no condition."""

    k: int = Field(ge=1)
    require: tuple[str, ...]
    allow: tuple[str, ...]
    exclude: tuple[str, ...]
    anions: tuple[str, ...]
    max_coefficient: int = Field(ge=0)
    exclude_radioactive: bool
    one_per_family: bool
    max_per_system: int = Field(ge=0)
    exhaustive: bool
    rerank_depth: int = Field(ge=1)


class ValidateSettings(_Section):
    """Numbers of recommendations at which hits are counted."""

    k: tuple[int, ...] = Field(min_length=1)


class RunSettings(_Section):
    """What ``crcrank run`` reads, paths or live sources, the classes it trains and ranks, and how it trains again.

    No class named: those of ``[train]``. ``ranks`` says whether every compound of the holdouts gets its exact rank.
    """

    known: tuple[str, ...]
    holdout: tuple[str, ...]
    classes: tuple[str, ...]
    warm_start: bool
    ranks: bool


# Models that cannot search a class, and what searches for them in a study unless it says otherwise.
_FIRST_STAGES = {"forest": "fm"}


class VariantSettings(_Section):
    """A model of a study with settings of its own, which override those of its section of ``[train]`` key by key."""

    name: str = Field(min_length=1)
    model: str
    first: str = ""
    learn: Literal["each", "together"] | None = None
    settings: dict[str, Any] = Field(default_factory=dict)

    @property
    def first_stage(self) -> str:
        """Kind of model that searches for this one to order anew what it finds; none if this one searches itself."""
        return self.first or _FIRST_STAGES.get(self.model, "")


class StudySettings(_Section):
    """What ``crcrank study`` compares: every combination is a cell."""

    name: str
    known: tuple[Path, ...]
    holdout: tuple[Path, ...]
    models: tuple[str, ...]
    variants: tuple[VariantSettings, ...]
    baseline: str
    classes: tuple[str, ...]
    learn: Literal["each", "together"]
    designs: tuple[Literal["other_database", "random_fraction", "leave_system_out", "by_year", "class_transfer"], ...] = Field(min_length=1)
    learn_from: tuple[str, ...]
    year: int = Field(ge=0)
    fractions: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(min_length=1)
    prior_components: tuple[Annotated[int, Field(ge=0)], ...]
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    k: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)
    count: Literal["hidden", "all", "both"]

    @property
    def counted(self) -> tuple[str, ...]:
        """What is counted: ``hidden``, ``all``."""
        return ("hidden", "all") if self.count == "both" else (self.count,)

    def all_variants(self) -> tuple[VariantSettings, ...]:
        """Return the models as they stand in ``[train]`` (all of them for ``*``), then the variants."""
        names = [name for item in self.models for name in (model_names() if item == "*" else [item])]
        return (*(VariantSettings(name=name, model=name) for name in names), *self.variants)


class Settings(_Section):
    """All settings of all stages."""

    seed: int = Field(ge=0)
    space: SpaceSettings
    ingest: IngestSettings
    train: TrainSettings
    rank: RankSettings
    validation: ValidateSettings = Field(alias="validate")
    run: RunSettings
    study: StudySettings


def model_names() -> tuple[str, ...]:
    """Return the names of all kinds of models."""
    return tuple(get_args(TrainSettings.model_fields["model"].annotation))


def with_model(settings: Settings, model: str, where: str | None = None) -> Settings:
    """Return the settings with another model to train.

    Raises
    ------
    ConfigError
        If there is no such model; the message begins with ``where``, the option if left out.
    """
    known = model_names()
    if model not in known:
        near = get_close_matches(model, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        raise ConfigError(f"{where or f'--model {model}'}: no such model; {hint}")
    return settings.model_copy(update={"train": settings.train.model_copy(update={"model": model})})


def with_variant(settings: Settings, variant: VariantSettings, where: str = "study.variants") -> Settings:
    """Return the settings with the model of a variant to train, and what the variant overrides.

    Raises
    ------
    ConfigError
        If there is no such model, or it has no such setting.
    """
    settings = with_model(settings, variant.model, f"{where}: model {variant.model!r}")
    section: BaseModel = getattr(settings.train, variant.model)
    values = _merged(section.model_dump(mode="json"), variant.settings)
    try:
        own = type(section).model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        raise ConfigError(f"{where}: {variant.name}: settings.{_first_problem(error, type(section))}") from error
    return settings.model_copy(update={"train": settings.train.model_copy(update={variant.model: own})})


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
    _fill_first_stage(values)
    try:
        settings = Settings.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_first_problem(error, Settings)}") from error
    _check_classes(where, settings)
    _check_study(where, settings)
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
    if not isinstance(value, str) or is_live(value, folder):
        return value
    return str(folder / value)


def is_live(name: Path | str, folder: Path = Path()) -> bool:
    """Say whether a name stands for a source over the network, and not for a path in ``folder``."""
    kind, colon, _ = str(name).partition(":")
    return bool(colon) and kind in LIVE_SOURCES and not (folder / name).exists()


def _with_defaults(own: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return ``own`` over ``defaults``; with classes of its own, a file trains all of them unless it says which."""
    merged = _merged(defaults, own)
    classes = _table(own, "space").get("classes")
    if isinstance(classes, dict) and "classes" not in _table(own, "train") and isinstance(merged["train"], dict):
        merged["train"]["classes"] = list(classes)
    return merged


def _fill_first_stage(values: dict[str, Any]) -> None:
    """Take what ``[train.stack.NAME]`` leaves out from ``[train.NAME]``."""
    train = _table(values, "train")
    stack = _table(train, "stack")
    if isinstance(stack, dict):
        for name in ("fm", "ease"):
            if isinstance(stack.get(name, {}), dict):
                stack[name] = _merged(dict(_table(train, name)), stack.get(name, {}))


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


def _first_problem(error: ValidationError, root: type[BaseModel]) -> str:
    problems = sorted(error.errors(include_url=False), key=lambda problem: problem["type"] != "extra_forbidden")
    problem = problems[0]  # a misspelt key explains a missing one
    key = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        known = list(_keys_beside(problem["loc"], root))
        near = get_close_matches(str(problem["loc"][-1]), known, 1)
        return f"{key}: unknown key; " + (f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}")
    if problem["type"] == "missing":
        return f"{key}: this key is missing"
    return f"{key}: {problem['msg'][:1].lower()}{problem['msg'][1:]}, found {problem['input']!r}"


def _keys_beside(location: tuple[int | str, ...], section: type[BaseModel]) -> Iterator[str]:
    """Yield the allowed keys where an unknown one was found, below ``section``."""
    for part in location[:-1]:
        field = next((f for name, f in section.model_fields.items() if part in (name, f.alias)), None)
        if field is not None:  # otherwise ``part`` is the free name of a class
            candidates = [field.annotation, *get_args(field.annotation)]
            section = next(item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel))
    for name, field in section.model_fields.items():
        yield field.alias or name


def _check_classes(where: Path, settings: Settings) -> None:
    study = settings.study
    named = {"train": settings.train.classes, "run": settings.run.classes, "study": study.classes}
    for key, names in {**{f"{section}.classes": names for section, names in named.items()}, "study.learn_from": study.learn_from}.items():
        for name in names:
            check_class(name, settings, f"{where}: {key}")


def _check_study(where: Path, settings: Settings) -> None:
    """Raise ConfigError unless the parts of a study go together, if the settings describe one."""
    study = settings.study
    variants = study.all_variants()
    if not variants:
        return
    names = [variant.name for variant in variants]
    for variant in variants:
        with_variant(settings, variant, f"{where}: study.variants")
        if variant.first:
            with_model(settings, variant.first, f"{where}: study.variants: {variant.name}: first {variant.first!r}")
    wrong = {
        "two variants have the same name": len(set(names)) < len(names),
        f"baseline {study.baseline!r} is none of the variants {', '.join(names)}": study.baseline not in {"", *names},
        "known names no list": not study.known,
        "design 'other_database' needs a list in holdout": "other_database" in study.designs and not study.holdout,
        "design 'by_year' needs year, the last one to train on": "by_year" in study.designs and not study.year,
        "design 'class_transfer' needs learn_from, the classes to train on": "class_transfer" in study.designs and not study.learn_from,
        'a fraction of 1 leaves nothing to look for: count = "all", or a list in holdout': (
            study.count == "hidden"
            and 1 in study.fractions
            and not study.holdout
            and bool({"random_fraction", "leave_system_out"} & set(study.designs))
        ),
        "learn_from and classes share a class": bool(set(study.learn_from) & set(study.classes)),
    }
    for problem, is_so in wrong.items():
        if is_so:
            raise ConfigError(f"{where}: study: {problem}")


def check_class(name: str, settings: Settings, where: str) -> None:
    """Raise ConfigError, beginning with ``where``, unless the space has the class."""
    if name not in settings.space.classes:
        near = get_close_matches(name, settings.space.classes, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"the space has {', '.join(settings.space.classes)}"
        raise ConfigError(f"{where}: no composition class {name!r}; {hint}")
