"""Every format as users meet it: the files in tests/data, written by hand in each layout, and what must come out of them."""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import runpy
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crcrank.cli.main import main
from crcrank.errors import ConfigError, InputDataError
from crcrank.sources import blocks, containers, documents, opening, registry
from crcrank.sources.containers import UNUSABLE_FILE
from crcrank.sources.records import RawRecord, ReadOptions
from crcrank.sources.registry import FORMATS, Reading, detect_format, read_source

DATA = Path(__file__).parent / "data"
ROOT = DATA.parent.parent
NOT_NEUTRAL = "charges do not add up to zero (--anion completes cations)"


def read(path: Path, format: str | None = None, **options: str) -> list[RawRecord]:  # noqa: A002
    return list(read_source(path, Reading(format, ReadOptions(**options))))


def theoretical(line: int, text: str, *rest: object) -> RawRecord:
    return RawRecord(line, text, *rest)._replace(is_theoretical=True)


def observed(line: int, text: str, *rest: object) -> RawRecord:
    return RawRecord(line, text, *rest)._replace(is_theoretical=False)


EXPECTED = {
    "plain.txt": [
        RawRecord(2, "BaTiO3"),
        RawRecord(4, "SrTiO3"),
        RawRecord(5, "CuSO4·5H2O"),
        RawRecord(6, "K₃[Fe(CN)₆]"),
        RawRecord(7, "La0.7Sr0.3MnO3"),
        RawRecord(8, "Zr"),
    ],
    "table.csv": [
        RawRecord(3, "LiFePO4", None, 1997),
        RawRecord(4, "Mg3 (Si2 O5) (O H)4", None, 1956),
        RawRecord(5, "Ca10(PO4)6F2"),
        RawRecord(6, "", None, 2001),
        RawRecord(7, "Fe1-xO", None, 1933),
    ],
    "table.parquet": [observed(1, "MgSiO3", "a-1", 1907), theoretical(2, "Mg2SiO4", "a-2", 1926), observed(3, "Si", "a-3")],
    "table.jsonl": [
        RawRecord(1, "Y3Al5O12", "y-1", 1951),
        RawRecord(2, "YAlO3", "y-2", 1956),
        RawRecord(3, '{"compound": "Y4Al2O9", "id":', problem="damaged JSON"),
        RawRecord(4, "", "y-4"),
    ],
    "icsd_web.tsv": [
        RawRecord(2, "Ba (Ti O3)", "67518", 1945),
        RawRecord(3, "Sr3 (P3 O9)2 (H2 O)7", "20881", 1989),
        RawRecord(4, "Cr2 (Te4 O11)", "9985", 1973),
        RawRecord(5, "(Mg0.9 Fe0.1) Al2 O4", "90002", 2004),
        RawRecord(6, "Fe", "76724", 1917),
        RawRecord(7, "Cl1 Na1", "14222", 1913),
    ],
    "icsd_export.cif": [
        RawRecord(3, "Ca1 O3 Ti1", "28832", 1957),
        RawRecord(46, "Al2 Mg1 O4", "15328", 1915),
        RawRecord(89, "Ca0.8 Sr0.2 O3 Ti1", "40001", 1999),
        RawRecord(132, "data_40002-ICSD", problem="damaged CIF block"),
        RawRecord(176, "O2 Ti1", "9852", 1971),
    ],
    "cod_data.csv": [
        RawRecord(2, "- O2 Si -", "1011240", 1926),
        observed(3, "- Cl Na -", "1534899", 1920),
        observed(5, "- C5 H17 Al N2 O8 P2 -", "7011112", 2009),
        theoretical(6, "- H3 Li Mg -", "4124873", 2012),
        observed(7, "- Fe Na O2 -", "2006789", 2007)._replace(problem="retracted entry"),
        observed(8, "- Al2 Fe0.1 Mg0.9 O4 -", "9000123", 1999),
    ],
    "cod_search.json": [
        RawRecord(1, "- O2 Si -", "1011240", 1926),
        theoretical(2, "- H3 Li Mg -", "4124873", 2012),
        RawRecord(3, "- Mg O -", "9008877", 1971),
    ],
    "cod_old.csv": [
        RawRecord(1, "C 5.00 H 17.00 Al 1.00 N 2.00 O 8.00 P 2.00", "2000010", 1998),
        RawRecord(2, "Na 1.00 Cl 1.00", "1000041", 1927),
        RawRecord(3, "Ca 0.90 Sr 0.10 O 3.00 Ti 1.00", "1000055", 2001),
        RawRecord(4, "Fe 2.00 O 3.00", "1008000"),
    ],
    "cifs/1011240.cif": [RawRecord(7, "O2 Si", "1011240", 1926)],
    "cifs/2100858.cif": [RawRecord(7, "Ca C O3", "I", 2001), RawRecord(15, "Na2 (C O3)", "II", 2001)],
    "cifs/more/4124873.cif": [theoretical(1, "H3 Li Mg", "4124873", 2012)],
    "cifs/more/2006789.cif": [RawRecord(1, "Fe Na O2", "2006789", 2007, problem="retracted entry")],
    "cifs/more/cut.cif": [RawRecord(1, "data_cut_short", problem="damaged CIF block")],
    "mp_summary.json": [
        observed(1, "BaTiO3", "mp-2998"),
        observed(2, "Li2O", "mp-1960"),
        theoretical(3, "AcAgO3", "mp-1183053"),
        observed(4, "NaN3", "mp-999498"),
        observed(5, "Fe", "mp-13"),
        observed(6, "Cu2O", "mp-0")._replace(problem="deprecated entry"),
    ],
    "mp_legacy.json": [observed(1, "BaTiO3", "mp-5020"), theoretical(2, "Li2MnO3", "mp-38787"), observed(3, "SnO2", "mp-856")],
    "oqmd.json": [
        observed(1, "Ba1 O3 Ti1", "5137"),
        observed(2, "Cs1 I3 Pb1", "20482"),
        theoretical(3, "Ac1 Al1 O3", "348751"),
        observed(4, "Si1", "8280"),
    ],
    "aflow.json": [
        observed(1, "Be2O2", "aflow:ed51b7b3938f117f"),
        observed(2, "Al4Mg2O8", "aflow:0b1c5a7d8e9f0a1b"),
        theoretical(3, "Ag2Zr1", "aflow:3a531e5b3aa9205f"),
        observed(4, "Si2", "aflow:ff211836be789f69"),
    ],
    "aflow_numbered.json": [observed(1, "Na1Cl1", "aflow:9a10fa5ae3ef05e8"), theoretical(2, "Cl1Na3", "aflow:0123456789abcdef")],
    "optimade_page.json": [
        RawRecord(1, "BaO3Ti", "exmpl-1", is_disordered=False),
        RawRecord(2, "Al2MgO4", "exmpl-2", is_disordered=True),
        RawRecord(3, "Na2O4W", "exmpl-3", 1974, is_disordered=False),
        RawRecord(4, "", "exmpl-4", is_disordered=False),
    ],
    "optimade.jsonl": [RawRecord(3, "ClNa", "s/1", is_disordered=False), RawRecord(5, "F2Mg", "s/2", is_disordered=True)],
    "icdd_table.csv": [
        RawRecord(2, "Al2 O3", "00-046-1212"),
        RawRecord(3, "Ba Ti O3", "00-005-0626"),
        RawRecord(4, "( Mg , Fe )2 Si O4", "04-013-7295"),
        RawRecord(5, "Ca C O3", "00-001-0081", problem="deleted entry"),
    ],
    "icdd_cards.txt": [
        RawRecord(3, "Al2 O3", "00-046-1212"),
        RawRecord(10, "Na Cl", "00-005-0628", problem="deleted entry"),
        RawRecord(15, "Li0.6 Co O2", "04-002-1234"),
        theoretical(20, "Ca Si O3", "01-089-9999"),
        RawRecord(24, "Zn O", "00-036-1451"),
    ],
    "sd_1816951.cif": [RawRecord(28, "Ba2 Ti O4", "sd_1816951", 1993)],
    "sd_1404447.cif": [RawRecord(28, "B4 Na2 O7", "sd_1404447", 1978), RawRecord(69, "MgCu2", "sd_0308014", 1927)],
    "springer_list.txt": [
        RawRecord(2, "Ba2TiO4", "sd_1816951"),
        RawRecord(3, "Na2B4O7", "sd_1404447"),
        RawRecord(4, "Mn0.5Fe0.5Al5Si0.68", "sd_0302719"),
        RawRecord(5, "K2 Zn Cl4", "sd_1250064"),
    ],
    "kyoto_ions.txt": [
        RawRecord(1, "Ge1Mg2O4"),
        RawRecord(2, "Ba1Ti1O3"),
        RawRecord(3, "5 Al+3.00 Li+1.00 1:5", problem=NOT_NEUTRAL),
        RawRecord(4, "3 Ge+4.00 Mg+2.00 1:2", problem=NOT_NEUTRAL),
    ],
    "kyoto_scores.txt": [RawRecord(1, "Al2Ba2O7Si1"), RawRecord(2, "Ba1O3Ti1"), RawRecord(3, "Li2O3Si1")],
}
EXAMPLES = runpy.run_path(str(ROOT / "scripts" / "format_table.py"))["EXAMPLES"]
FORMAT_BY_FILE = {file: name for name, files in EXAMPLES.items() for file in files}


def format_of(file: str) -> str:
    return "cif" if file.startswith("cifs/") else FORMAT_BY_FILE[file]


def test_a_cif_without_a_formula_says_so(tmp_path: Path) -> None:
    path = tmp_path / "drawn.cif"
    path.write_text("data_drawn\n_chemical_name_common 'my titanate'\n_cell_length_a 4.0\n")
    assert read(path) == [RawRecord(1, "", "drawn", problem="CIF block without a formula (_chemical_formula_sum)")]


def test_every_format_has_examples_and_every_example_is_expected() -> None:
    assert set(EXAMPLES) == set(FORMATS)
    files = {str(path.relative_to(DATA)) for path in DATA.rglob("*.*") if path.is_file()}
    assert files - {"cifs/notes.txt"} == set(EXPECTED)


@pytest.mark.parametrize("file", EXPECTED)
def test_an_example_is_detected_and_read(file: str) -> None:
    assert detect_format(DATA / file) == format_of(file)
    assert read(DATA / file) == EXPECTED[file]


@pytest.mark.parametrize("file", EXPECTED)
def test_an_example_is_read_by_the_name_of_its_format(file: str) -> None:
    assert read(DATA / file, format_of(file)) == EXPECTED[file]


@pytest.mark.parametrize("file", ["icsd_web.tsv", "icsd_export.cif", "cod_data.csv", "springer_list.txt", "icdd_cards.txt"])
def test_windows_line_ends_and_marks_change_nothing(file: str, tmp_path: Path) -> None:
    text = (DATA / file).read_bytes().decode("latin-1").replace("\r\n", "\n")
    (tmp_path / file).write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert read(tmp_path / file) == EXPECTED[file]


def test_the_readme_shows_what_the_examples_give() -> None:
    assert runpy.run_path(str(ROOT / "scripts" / "format_table.py"))["format_table"]() in (ROOT / "README.md").read_text(encoding="utf-8")


# ---- options ----


def test_columns_of_users_beat_those_of_a_format() -> None:
    assert read(DATA / "icsd_web.tsv", formula_column="SumFormula")[4].text == "Fe1"
    assert read(DATA / "icdd_table.csv", formula_column="Compound Name", id_column="QM")[0][1:3] == ("Aluminum Oxide", "S")
    assert read(DATA / "cod_data.csv", formula_column="cellformula")[0].text == "- O6 Si3 -"
    assert read(DATA / "oqmd.json", formula_column="name")[1].text == "CsPbI3"
    assert read(DATA / "mp_summary.json", formula_column="chemsys", id_column="nelements")[0][1:3] == ("Ba-O-Ti", "3")
    assert read(DATA / "optimade_page.json", formula_column="chemical_formula_descriptive", year_column="last_modified")[0][1:4] == (
        "BaTiO3",
        "exmpl-1",
        2020,
    )


def test_an_anion_completes_cations() -> None:
    assert [record.text for record in read(DATA / "kyoto_ions.txt", anion="O2-")] == ["Ge1Mg2O4", "Ba1Ti1O3", "Al1Li5O4", "Ge1Mg2O4"]
    assert [record.text for record in read(DATA / "kyoto_ions.txt", anion="N3-")][2:] == ["Al3Li15N8", "Ge3Mg6N8"]
    assert [record.text for record in read(DATA / "kyoto_ions.txt", anion="F-")][3] == "Ge1Mg2F8"


@pytest.mark.parametrize("line", ["Mg+2 O-2 1:{}", "Mg+{} O-2 1:1", "Mg+2.{} O-2 1:1"])
def test_numbers_of_thousands_of_digits_are_no_ratio(tmp_path, line):
    (tmp_path / "long.txt").write_text(line.format("1" * 5000) + "\nMg+2 O-2 1:1\n")
    assert [record.text for record in read(tmp_path / "long.txt", format="kyoto")] == [line.format("1" * 5000), "Mg1O1"]


@pytest.mark.parametrize("anion", ["O", "O2+", "2-", "O0-", ""])
def test_an_anion_needs_its_charge(anion: str) -> None:
    with pytest.raises(ConfigError, match=r"--anion: wanted an element and its charge, such as O2-, found"):
        read(DATA / "kyoto_ions.txt", anion=anion)


# ---- folders and archives ----

FOLDER = [
    ("1011240.cif", "O2 Si", None),
    ("2100858.cif", "Ca C O3", None),
    ("2100858.cif", "Na2 (C O3)", None),
    ("notes.txt", "of no known format; --format names one", UNUSABLE_FILE),
    ("more/2006789.cif", "Fe Na O2", "retracted entry"),
    ("more/4124873.cif", "H3 Li Mg", None),
    ("more/cut.cif", "data_cut_short", "damaged CIF block"),
]
FILES = list(dict.fromkeys(name for name, *_ in FOLDER))


def shown(records: list[RawRecord], root: str) -> list[tuple[str, str, str | None]]:
    return [(record.source.removeprefix(f"{root}/"), record.text, record.problem) for record in records]


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes], packing: str) -> Path:
    with tarfile.open(path, f"w:{packing}") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def contents() -> dict[str, bytes]:
    return {name: (DATA / "cifs" / name).read_bytes() for name in FILES}


@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_folder(n_threads: int) -> None:
    records = list(read_source(DATA / "cifs", Reading(n_threads=n_threads)))
    assert shown(records, str(DATA / "cifs")) == FOLDER
    assert [record.line for record in records] == [7, 7, 15, 0, 1, 1, 1]


@pytest.mark.parametrize("packing", ["", "gz", "xz", "bz2"])
def test_tar_archives(tmp_path: Path, packing: str) -> None:
    path = tarred(tmp_path / "cifs.tar", contents(), packing)
    assert shown(read(path), str(path)) == FOLDER


def test_a_zip_archive_from_a_file_and_from_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "cifs.zip", contents())
    assert shown(read(path), str(path)) == FOLDER
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    assert shown(read("-"), "stdin") == FOLDER


def test_archives_within_archives(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", contents())
    middle = tarred(tmp_path / "middle.tar", {"inner.zip": inner.read_bytes(), "a.txt": b"NaCl\n"}, "xz")
    (tmp_path / "folder").mkdir()
    outer = zipped(tmp_path / "folder" / "outer.zip", {"middle.tar.xz": middle.read_bytes()})
    found = read(tmp_path / "folder")
    assert shown(found[:-1], f"{outer}/middle.tar.xz/inner.zip") == FOLDER
    assert found[-1] == RawRecord(1, "NaCl", source=f"{outer}/middle.tar.xz/a.txt")


def test_what_systems_leave_behind_is_passed_over(tmp_path: Path) -> None:
    left = {"__MACOSX/._a.txt": b"\0\1", ".DS_Store": b"\0", "Thumbs.db": b"\0", "a/.hidden/b.txt": b"KBr", "a.txt": b"NaCl"}
    assert [record.text for record in read(zipped(tmp_path / "a.zip", left))] == ["NaCl"]
    (tmp_path / "a.zip").unlink()
    for name, content in left.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    assert [record.text for record in read(tmp_path / "folder")] == ["NaCl"]


# ---- what is bounded ----


def refused(path: Path, message: str, format: str | None = None) -> None:  # noqa: A002
    with pytest.raises(InputDataError, match=message) as caught:
        read(path, format)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.fixture
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_ALWAYS_UNPACKED", 1 << 20)


@pytest.mark.usefixtures("small_budget")
@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_a_packed_bomb_is_refused(tmp_path: Path, pack) -> None:
    (tmp_path / "bomb").write_bytes(pack(b"NaCl\n" * 4_000_000))
    refused(tmp_path / "bomb", "unpacks to more than 200 times its size; is it a zip bomb?")


@pytest.mark.usefixtures("small_budget")
def test_a_bomb_in_an_archive_is_refused_and_beside_other_files_reported(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    bomb = zipped(folder / "bomb.zip", {"a.txt": b"NaCl\n", "b.txt": b"\n" * 20_000_000})
    refused(bomb, "unpacks to more than 200 times its size")
    refused(tarred(tmp_path / "bomb.tar", {"b.txt": b"\n" * 20_000_000}, "xz"), "unpacks to more than 200 times its size")
    zipped(folder / "outer.zip", {"bomb.zip": bomb.read_bytes(), "c.txt": b"KBr\n"})
    (folder / "d.txt").write_text("LiF\n")
    found = read(folder)
    assert [record.text for record in found if record.problem is None] == ["NaCl", "LiF", "NaCl", "KBr"]
    problems = [(record.source, record.text) for record in found if record.problem == UNUSABLE_FILE]
    assert [name for name, _ in problems] == [str(bomb), str(folder / "outer.zip/bomb.zip")]
    assert all("unpacks to more than 200 times its size" in text for _, text in problems)


@pytest.mark.parametrize("format", ["plain", "table", "kyoto", "icdd", "jsonl"])
def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str) -> None:  # noqa: A002
    monkeypatch.setattr(opening, "MAX_LINE_LENGTH", 100_000)
    (tmp_path / "long").write_text('{"formula": "NaCl"}\n' + "NaCl " * 40_000)
    refused(tmp_path / "long", "line 2: longer than" if format != "table" else "no formula column", format)
    (tmp_path / "long").write_text("formula,id\n" + "NaCl " * 40_000)
    refused(tmp_path / "long", "line 2: longer than" if format != "jsonl" else "damaged JSON", format)


def test_a_document_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_MAX_DOCUMENT", 100_000)
    (tmp_path / "long.json").write_text('[{"formula": "NaCl"}, {"formula": "' + "Na" * 3_000_000)
    refused(tmp_path / "long.json", "damaged JSON .no value within")


def test_a_block_without_end_is_damaged_and_the_next_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_MAX_BLOCK_LENGTH", 100_000)
    block = "data_{}\n_cell_length_a 1\n_chemical_formula_sum 'Na Cl'\n"
    (tmp_path / "long.cif").write_text(block.format("a") + "loop_\n_x\n_y\n1\n" + "1 2\n" * 50_000 + block.format("b"))
    assert [(record.text, record.problem) for record in read(tmp_path / "long.cif")] == [("data_a", "damaged CIF block"), ("Na Cl", None)]


def test_archives_too_deep_are_reported(tmp_path: Path) -> None:
    path = zipped(tmp_path / "0.zip", {"a.txt": b"NaCl\n"})
    for depth in range(1, 5):
        path = zipped(tmp_path / f"{depth}.zip", {f"{depth - 1}.zip": path.read_bytes(), "b.txt": b"KBr\n"})
    found = read(path)
    assert [record.text for record in found] == ["archives within archives, more than 3 deep", "KBr", "KBr", "KBr", "KBr"]


# ---- files that cannot be used ----


def test_archives_that_cannot_be_read(tmp_path: Path) -> None:
    good = zipped(tmp_path / "good.zip", contents()).read_bytes()
    (tmp_path / "cut.zip").write_bytes(good[:-30])
    refused(tmp_path / "cut.zip", "a damaged or truncated file")
    whole = tarred(tmp_path / "good.tar", contents(), "gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "cut.tar.gz", "a damaged or truncated file")
    refused(
        zipped(tmp_path / "book.xlsx", {"[Content_Types].xml": b"<xml/>", "xl/workbook.xml": b"<xml/>"}), "an Excel workbook or another"
    )
    refused(zipped(tmp_path / "none.zip", {".hidden": b"NaCl"}), "holds no files")
    refused(zipped(tmp_path / "bad.zip", {"a.bin": b"\0\1\2", "b.bin": b""}), "none of its files can be used, 2 tried; the last: .*b.bin")


def test_a_damaged_member_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in ("a.txt", "b.txt", "c.txt"):
            archive.writestr(name, "NaCl\n" * 50 + name)
    path.write_bytes(path.read_bytes().replace(b"NaCl\nb.txt", b"NaBr\nb.txt"))
    found = read(path)
    assert {record.source.rsplit("/")[-1] for record in found if record.problem is None} == {"a.txt", "c.txt"}
    (problem,) = (record for record in found if record.problem == UNUSABLE_FILE)
    assert "a damaged or truncated file (Bad CRC-32" in problem.text


def test_a_password_is_reported(tmp_path: Path) -> None:
    path = zipped(tmp_path / "secret.zip", {"a.txt": b"NaCl\n", "b.txt": b"KBr\n"})
    content = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + offset] |= 1
    path.write_bytes(content)
    assert [(record.text, record.problem) for record in read(path)] == [("protected by a password", UNUSABLE_FILE), ("KBr", None)]


def test_what_is_no_file_is_reported_and_links_out_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("NaCl\n")
    (tmp_path / "b.txt").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "c.txt")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [(record.text, record.problem) for record in read(tmp_path)] == [
        ("NaCl", None),
        ("neither a file nor a folder", UNUSABLE_FILE),
    ]


def test_candidates_are_not_taken_for_real_compositions(tmp_path: Path) -> None:
    (tmp_path / "ranking.csv").write_text("rank,formula,score,candidate_id\n1,NaCl,0.5,7\n")
    refused(tmp_path / "ranking.csv", "candidates of crcrank, not real compositions")
    pq.write_table(pa.table({"formula": ["NaCl"], "candidate_id": [7]}), tmp_path / "candidates.parquet")
    refused(tmp_path / "candidates.parquet", "candidates of crcrank, not real compositions")


def test_large_members_and_long_files_are_read_as_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "_KEPT_IN_MEMORY", 100)
    monkeypatch.setattr(opening, "_SPOOLED_BYTES", 1_000)
    monkeypatch.setattr(registry, "_MAX_RECORDS_HELD", 10)
    files = {"a.txt": b"NaCl\n" * 500, "b.txt": b"KBr\n", "c.txt": b"LiF\n" * 300, "d.txt": b"CsI\n" * 30}
    expected = ["NaCl"] * 500 + ["KBr"] + ["LiF"] * 300 + ["CsI"] * 30
    packed = [zipped(tmp_path / "a.zip", files), tarred(tmp_path / "a.tar", files, "gz")]
    for path in packed:
        assert [record.text for record in read(path)] == expected
    for name, content in files.items():
        (tmp_path / "folder" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    assert [record.text for record in read(tmp_path / "folder")] == expected
    assert not list(Path(tempfile.gettempdir()).glob("crcrank-*"))


# ---- JSON as a stream ----

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
rows = st.lists(st.dictionaries(st.text("abc", min_size=1, max_size=3), values, min_size=1, max_size=3), min_size=1, max_size=8)


@settings(deadline=None)
@given(rows=rows, indent=st.sampled_from([None, 1]), key=st.sampled_from(["", "data", "response"]), block=st.integers(1, 40))
def test_documents_are_those_that_json_reads(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict], indent: int | None, key: str, block: int
) -> None:
    path = tmp_path_factory.mktemp("json") / "input.json"
    whole = {"meta": {"n": 1}, key: rows, "links": {"next": None}} if key else rows
    path.write_text(json.dumps(whole, indent=indent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "_BLOCK", block)
        found = list(documents.documents(opening.open_source(path)))
    assert [document.content for document in found] == rows
    assert [document.line for document in found] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[{"formula": "NaCl"} {"formula": "KBr"}]', "wanted , or ]"),
        ('[{"formula": "NaCl"},', "Expecting value"),
        ('{"data": [{"formula": "NaCl"}], "links" 3}', "wanted :"),
        ('{"data": [{"formula": "NaCl"}] 3}', "wanted , or }"),
        ('[{"formula": "NaCl"}] 3', "wanted an object or an array"),
        ('[{"formula": "NaCl"}, ' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_damaged_array_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.json").write_text(text)
    refused(tmp_path / "a.json", rf"damaged JSON \({re.escape(reason)}", "jsonl")


# ---- what users see, and how long they wait ----


def test_every_format_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ingest", "--list-formats"]) == 0
    printed = capsys.readouterr().out
    for name, reader in FORMATS.items():
        about = reader.ABOUT
        assert f"{name}: {about.shape}\n  formula: {about.formula}\n  id: {about.source_id}\n  year: {about.year}\n" in printed


def test_a_folder_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "known.parquet")
    assert main(["ingest", str(DATA / "cifs"), "-o", out]) == 0
    shown = capsys.readouterr()
    assert "files that cannot be used: 1; the rejected lines say why" in shown.err
    assert "in: 7\nkept: 3\nrejected: 4" in shown.out
    assert main(["ingest", str(DATA / "cifs"), "-o", out, "--force", "-q", "--include-theoretical", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_kept"] == 4
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.bin").write_bytes(b"\0")
    assert main(["ingest", str(tmp_path / "bad"), "-o", out, "--force", "-q"]) == 3
    message = capsys.readouterr().err
    assert message.startswith(f"crcrank: error: {tmp_path / 'bad'}: none of its files can be used, 1 tried")
    assert message.count("\n") == 1


def test_thousands_of_cif_files_take_seconds(tmp_path: Path) -> None:
    """20,000 in 2 minutes on 2 cores is 12 ms of one core for each; and that is what it may take."""
    atoms = "".join(f"Si{i} 0.4{i}(3) 0.1{i}(3) 0.{i}(3)\n" for i in range(800))
    for number in range(400):
        text = (DATA / "cifs/1011240.cif").read_text().replace("#END\n", atoms)
        (tmp_path / f"{number}.cif").write_text(text)
    started = time.process_time()
    records = list(read_source(tmp_path, Reading(n_threads=2)))
    assert time.process_time() - started < 400 * 0.012
    assert [record.text for record in records] == ["O2 Si"] * 400
