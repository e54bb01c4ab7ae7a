"""Configuration files: what is allowed, what a file overrides, and how each mistake is told."""

from pathlib import Path

import pytest

from crcrank.config import LIVE_SOURCES, load_config, packaged_config_dir
from crcrank.errors import ConfigError
from crcrank.sources.registry import LIVE

CLASSES = "[space.classes.binary]\nn_cations = 1\nmax_coefficient = 3\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_the_default_space_is_the_documented_one():
    classes = load_config().space.classes
    limits = {name: (item.n_cations, item.max_coefficient) for name, item in classes.items()}
    assert limits == {"binary": (1, 20), "ternary": (2, 20), "quaternary": (3, 15), "quinary": (4, 8)}
    assert list(classes) == list(limits)
    assert load_config().space.ions == packaged_config_dir() / "ions.csv"


def test_the_quickstart_names_lists_that_exist():
    run = load_config(packaged_config_dir() / "quickstart.toml").run
    assert [Path(path).name for path in (*run.known, *run.holdout)] == ["oqmd_icsd.csv", "cod.csv"]
    assert all(Path(path).exists() for path in (*run.known, *run.holdout))


def test_a_file_overrides_single_keys(tmp_path):
    default = load_config()
    settings = load_config(write(tmp_path, "[rank]\nk = 7\n[train.fm.l2]\nion = 5\n"))
    assert settings.rank == default.rank.model_copy(update={"k": 7})
    assert settings.train.fm.l2 == default.train.fm.l2.model_copy(update={"ion": 5.0})
    assert settings.space == default.space


def test_of_classes_of_its_own_a_file_trains_those_that_it_names(tmp_path):
    more = CLASSES + CLASSES.replace("binary", "other") + '[train]\nclasses = ["other"]\n'
    assert load_config(write(tmp_path, more)).train.classes == ("other",)


def test_classes_are_replaced_as_a_whole_and_trained(tmp_path):
    settings = load_config(write(tmp_path, CLASSES))
    assert list(settings.space.classes) == ["binary"]
    assert settings.train.classes == ("binary",)


def test_paths_are_relative_to_the_file(tmp_path):
    settings = load_config(write(tmp_path, '[space]\nions = "my.csv"\n[run]\nknown = ["a.csv", "/b.csv"]\n'))
    assert settings.space.ions == tmp_path / "my.csv"
    assert settings.run.known == (str(tmp_path / "a.csv"), "/b.csv")


def test_live_sources_are_no_paths_unless_a_file_has_the_name(tmp_path):
    text = '[run]\nknown = ["optimade:https://example.org/optimade?filter=nelements=3", "mp:Ba-Ti-O", "mp:a.csv", "cif:a"]\n'
    (tmp_path / "mp:a.csv").write_text("BaTiO3\n")
    paths = (str(tmp_path / "mp:a.csv"), str(tmp_path / "cif:a"))
    assert load_config(write(tmp_path, text)).run.known == (
        "optimade:https://example.org/optimade?filter=nelements=3",
        "mp:Ba-Ti-O",
        *paths,
    )
    assert set(LIVE) == set(LIVE_SOURCES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[trian]\nn_factors = 3", "trian: unknown key; did you mean 'train'"),
        ("[train.fm]\nn_factor = 3", "train.fm.n_factor: unknown key; did you mean 'n_factors'"),
        ("[train.fm.l2]\nweight = 3", "train.fm.l2.weight: unknown key; did you mean 'weights'"),
        ('[train.fm]\nper_class = ["stoichiometry"]', "train.fm.per_class.0: input should be 'ion', 'cation_anion'.*found 'stoichiometry'"),
        ("[train.fm]\nclass_balance = 2", "train.fm.class_balance: .*less than or equal to 1, found 2"),
        ("[train.fm]\nclass_balance = -1", "train.fm.class_balance: .*greater than or equal to 0, found -1"),
        ("[validate]\nkk = [3]", "validate.kk: unknown key; did you mean 'k'"),
        ("[run]\nzzz = 1", "run.zzz: unknown key; known are known, holdout, classes"),
        ("[space.classes.a]\nn_cations = 2\nmax_coeficient = 3", "max_coeficient: unknown key; did you mean 'max_coefficient'"),
        ("[space.classes.a]\nn_cations = 2", "space.classes.a.max_coefficient: this key is missing"),
        ("[space.classes.a]\nn_cations = 5\nmax_coefficient = 2", "space.classes.a.n_cations: .*less than or equal to 4, found 5"),
        ('[rank]\nk = "3"', "rank.k: .*valid integer, found '3'"),
        ("[rank]\nk = true", "rank.k: .*valid integer, found True"),
        ("rank = 3", "rank: .*found 3"),
        ("[train.fm]\nlearning_rate = nan", "train.fm.learning_rate: .*greater than 0"),
        ("[train]\nclasses = ['trenary']", "train.classes: no composition class 'trenary'; did you mean 'ternary'"),
        (CLASSES + "[run]\nclasses = ['quinary']\n", "run.classes: no composition class 'quinary'"),
        ("seed = 2020-01-01", "seed: .*found '2020-01-01'"),
        ("[rank\nk = 3", r"not TOML: .*line 1"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="no such configuration file"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)
    path = tmp_path / "latin.toml"
    path.write_bytes(b"# \xe9\n")
    with pytest.raises(ConfigError, match="not TOML"):
        load_config(path)


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_config().rank.k = 3
