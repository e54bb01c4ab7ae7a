"""Readers: what each format yields, how formats are told apart, and every way a file can be unusable."""

import gzip
import io
import json
import logging
import os
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crcrank.chem.formula import parse_formula
from crcrank.errors import ConfigError, InputDataError
from crcrank.sources.columns import FORMULA_COLUMNS
from crcrank.sources.opening import open_source
from crcrank.sources.records import RawRecord, ReadOptions
from crcrank.sources.registry import FORMATS, Reading, detect_format, read_source

ICSD = (
    "CollectionCode\tHMS\tStructuredFormula\tTitle\tPublicationYear\t\n"
    '71031\tP 1\tSr3 (P3 O9)2 (H2 O)7\t"Stray quotes\t1991\t\n'
    "71032\tP 1\tCr2 Te4 O11\tMüller's\t2001\n"
)


@pytest.fixture
def write(tmp_path: Path):
    def _write(content: str | bytes, name: str = "input.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return _write


@pytest.fixture
def write_parquet(tmp_path: Path):
    def _write(columns: dict[str, list]) -> Path:
        path = tmp_path / "input.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    return _write


def read(path: Path | str, format: str | None = None, n_threads: int = 1, **options: str) -> list[RawRecord]:  # noqa: A002
    return list(read_source(path, Reading(format, ReadOptions(**options), n_threads)))


def pipe_to_stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


# ---- what is read ----


def test_plain_list_skips_comments_and_blank_lines(write) -> None:
    path = write("# header\n\n  BaTiO3  \nNaCl # salt\r\nFe2O3")
    assert detect_format(path) == "plain"
    assert read(path) == [RawRecord(3, "BaTiO3"), RawRecord(4, "NaCl"), RawRecord(5, "Fe2O3")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_tables_of_every_delimiter(write, delimiter: str) -> None:
    path = write(delimiter.join(["id", "formula", "year"]) + "\n" + delimiter.join(["7", "NaCl", "1913-05-01"]) + "\n")
    assert detect_format(path) == "table"
    assert read(path) == [RawRecord(2, "NaCl", "7", 1913)]


@pytest.mark.parametrize("name", FORMULA_COLUMNS)
def test_every_usual_formula_column_is_found(write, name: str) -> None:
    assert read(write(f"other,{name.upper()}\nx,NaCl\n")) == [RawRecord(2, "NaCl")]


@pytest.mark.parametrize("header", ["Chemical Formula,Material ID,Publ. Year", "Sum_formula:,Coll. Code,publication-year"])
def test_spaces_and_punctuation_in_the_names_of_columns_do_not_matter(write, header: str) -> None:
    assert read(write(f"{header}\nNaCl,7,1913\n")) == [RawRecord(2, "NaCl", "7", 1913)]


def test_a_column_is_found_as_it_is_written_before_any_like_it(write) -> None:
    assert read(write("*,Formula A,Formula_A\n1,KBr,NaCl\n"), formula_column="Formula_A", id_column="*") == [RawRecord(2, "NaCl", "1")]


def test_a_column_alone_is_a_table(write) -> None:
    assert read(write("Formula\nNaCl\n")) == [RawRecord(2, "NaCl")]


def test_icsd_table_with_stray_quotes_and_trailing_tabs(write) -> None:
    records = [RawRecord(2, "Sr3 (P3 O9)2 (H2 O)7", "71031", 1991), RawRecord(3, "Cr2 Te4 O11", "71032", 2001)]
    for encoding in ("utf-8", "utf-8-sig", "latin-1", "utf-16"):
        assert read(write(ICSD.encode(encoding))) == records


def test_quoted_cells_hold_delimiters_and_line_breaks(write) -> None:
    path = write('# from COD\nfile,title,formula\n1000000,"a, b\nc","- Fe2 O3 -"\n\n1000001,"d ""e""",NaCl\n')
    assert read(path) == [RawRecord(4, "- Fe2 O3 -", "1000000"), RawRecord(6, "NaCl", "1000001")]


def test_a_short_row_gives_an_empty_formula(write) -> None:
    assert read(write("id,formula\n1\n2,NaCl\n")) == [RawRecord(2, "", "1"), RawRecord(3, "NaCl", "2")]


def test_columns_by_option(write) -> None:
    path = write("formula,alloy,key,published\nNaCl,KBr,k1,in 1950\nNaCl,KI,,1951.0\n")
    records = read(path, formula_column="alloy", id_column="key", year_column="published")
    assert records == [RawRecord(2, "KBr", "k1"), RawRecord(3, "KI", None, 1951)]


def test_a_named_column_makes_a_list_a_table(write) -> None:
    assert read(write("stuff\nNaCl\n"), formula_column="stuff") == [RawRecord(2, "NaCl")]


def test_commas_in_brackets_make_no_table(write) -> None:
    assert detect_format(write("(Mg,Fe)2SiO4\n(Ca,Sr)TiO3\n")) == "plain"


def test_json_lines(write) -> None:
    rows = [{"entry_id": "e-1", "formula": "NaCl", "year": 2012}, {"formula": None}, {"formula": float("nan")}]
    path = write("\n".join(map(json.dumps, rows)) + "\n\n")
    assert detect_format(path) == "jsonl"
    assert read(path) == [RawRecord(1, "NaCl", "e-1", 2012), RawRecord(2, ""), RawRecord(3, "nan")]


def test_a_json_array_of_formulas_is_a_list(write) -> None:
    path = write('["BaTiO3",\n "SrTiO3", 7, {"formula": "NaCl"}]')
    assert [(record.text, record.problem) for record in read(path)] == [
        ("BaTiO3", None),
        ("SrTiO3", None),
        ("7", "JSON, but no object"),
        ("NaCl", None),
    ]
    assert read(write('[{"formula": "NaCl"}, "KCl"]'))[1].problem == "JSON, but no object"


def test_amounts_by_element_are_a_formula(write) -> None:
    path = write('[{"composition": {"Ba": 1.0, "Ti": 1.0, "O": 3.0}}, {"composition": {"Fe3+": 2, "O2-": 3}}]')
    assert [parse_formula(record.text).formula for record in read(path)] == ["BaO3Ti", "Fe2O3"]


def test_a_text_that_is_hardly_a_list_is_read_with_a_warning(write, caplog: pytest.LogCaptureFixture, monkeypatch) -> None:
    monkeypatch.setattr(logging.getLogger("crcrank"), "propagate", True)  # commands that other tests ran keep their lines for themselves
    caplog.set_level(logging.WARNING, "crcrank")
    lines = "BaTiO3\n1.0\n4.0 0 0\n0 4.0 0\n0 0 4.0\nDirect\n"
    assert len(read(write(lines, "POSCAR"))) == 6
    assert "POSCAR: read as a list, but most of its first lines are no formulas; --format says what it is" in caplog.text
    caplog.clear()
    read(write(lines, "POSCAR"), format="plain")
    read(write("BaTiO3\n", "list.txt"))
    assert not caplog.text


def test_parquet(write_parquet) -> None:
    path = write_parquet({"entry_id": [5, None], "composition": ["NaCl", None], "year": [1913, None]})
    assert detect_format(path) == "parquet"
    assert read(path) == [RawRecord(1, "NaCl", "5", 1913), RawRecord(2, "")]
    assert read(path, id_column="composition")[0].source_id == "NaCl"


def test_gzip_is_unpacked(write, write_parquet) -> None:
    assert read(write(gzip.compress(b"NaCl\n"), "a.gz")) == [RawRecord(1, "NaCl")]
    parquet = write_parquet({"formula": ["NaCl"]}).read_bytes()
    assert read(write(gzip.compress(parquet), "b.gz")) == [RawRecord(1, "NaCl")]


def test_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe_to_stdin(monkeypatch, b"formula,id\nNaCl,1\n")
    assert read("-") == [RawRecord(2, "NaCl", "1")]


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"NaCl\nKBr\n",))
    writer.start()
    assert [record.text for record in read(path)] == ["NaCl", "KBr"]
    writer.join()


cells = st.text(st.characters(exclude_characters="\0"))


@settings(deadline=None)
@given(rows=st.lists(st.tuples(cells, st.text('ab,"\n', max_size=5)), min_size=1), bom=st.booleans())
def test_csv_cells_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], bom: bool) -> None:
    path = tmp_path_factory.mktemp("csv") / "input.csv"
    quoted = ['"' + cell.replace('"', "'") + '"' for row in rows for cell in row]
    lines = ["formula,id", *(f"{formula},{name}" for formula, name in zip(quoted[::2], quoted[1::2], strict=True))]
    path.write_bytes("\n".join(lines).encode("utf-8-sig" if bom else "utf-8", "replace"))
    expected = [cell.replace('"', "'").encode("utf-8", "replace").decode().strip() for cell, _ in rows]
    assert [record.text for record in read(path, "table")] == expected


# ---- what is refused ----


def refused(path: Path | str, message: str, **options: str) -> None:
    with pytest.raises(InputDataError, match=message) as caught:
        read(path, **options)
    assert "\n" not in str(caught.value)
    assert (Path(path).name if path != "-" else "stdin") in str(caught.value)


def test_unknown_format(write) -> None:
    with pytest.raises(ConfigError, match=r"unknown format 'parket'; known are parquet, .*; did you mean 'parquet'\?"):
        read(write("NaCl"), "parket")


@pytest.mark.parametrize("content", [b"", b" \n\n", gzip.compress(b"")])
def test_empty_file(write, content: bytes) -> None:
    refused(write(content), "an empty file; wanted formulas")


def test_empty_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe_to_stdin(monkeypatch, b"")
    refused("-", "an empty file")


@pytest.mark.parametrize("content", ["# only\n# comments\n", "formula,id\n"])
def test_no_formulas(write, content: str) -> None:
    refused(write(content), "holds no formulas, only comments or a header")


def test_no_formulas_in_parquet(write_parquet) -> None:
    refused(write_parquet({"formula": pa.array([], pa.string())}), "holds no formulas")


def test_missing_file_and_empty_folder(tmp_path: Path) -> None:
    refused(tmp_path / "absent.csv", "no such file")
    refused(tmp_path, "holds no files")
    with pytest.raises(InputDataError, match="wanted a file, found a folder"):
        open_source(tmp_path)


def test_unreadable_file(write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("NaCl")
    monkeypatch.setattr(Path, "open", lambda *_args, **_kwargs: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    refused(path, "cannot be read \\(Permission denied\\)")


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"NaCl\0\1", "a binary file"), (b"SQLite format 3\0", "an SQLite database")],
)
def test_binary_file(write, content: bytes, found: str) -> None:
    refused(write(content), f"wanted a text, found {found}")


def test_parquet_read_as_text(write_parquet) -> None:
    refused(write_parquet({"formula": ["NaCl"]}), "wanted a text, found a Parquet file", format="plain")


def test_damaged_utf16(write) -> None:
    refused(write("NaCl\n".encode("utf-16") + b"\0"), "neither UTF-8, UTF-16 nor Latin-1 text")


def test_truncated_gzip(write) -> None:
    packed = gzip.compress(os.urandom(200).hex().encode())
    refused(write(packed[:-60]), "a damaged or truncated file")
    refused(write(packed[:30] + b"\xff" * 40 + packed[70:]), "a damaged or truncated file")


@pytest.mark.parametrize("cut", [4, 20, -5])
def test_truncated_parquet(write, write_parquet, cut: int) -> None:
    content = write_parquet({"formula": ["NaCl"] * 100}).read_bytes()
    refused(write(content[:cut], "cut.parquet"), "a damaged or truncated Parquet file")


def test_damaged_parquet_page(write, write_parquet) -> None:
    content = bytearray(write_parquet({"formula": [f"Na{i}Cl" for i in range(1000)]}).read_bytes())
    content[4:400] = b"\xff" * 396
    refused(write(bytes(content), "damaged.parquet"), "a damaged or truncated Parquet file")


def test_no_delimiter_gives_a_formula_column(write, write_parquet) -> None:
    refused(write("a:b\nNaCl:1\n"), "no formula column; wanted one of formula, .*; found 'a:b'", format="table")
    refused(write("NaCl,1\nKBr,2\n"), "no formula column; .*found 'NaCl', '1'; the first row must name the columns")
    refused(write("formulas,id\nKBr,2\n"), r"did you mean 'formulas'\? \(--formula-column names it\)")
    refused(write('{"stuff": "NaCl"}\n'), "no formula column; .*found 'stuff'")
    refused(write_parquet({"stuff": ["NaCl"]}), "no formula column; .*found 'stuff'")
    refused(write(",".join(f"c{i}" for i in range(30)) + "\n", "wide.csv"), "'c19', ...; ", format="table")


def test_missing_named_columns(write) -> None:
    path = write("formula,key,when\nNaCl,1,1913\n")
    refused(path, r"no formula column; wanted 'formla'; found 'formula', 'key', 'when'; did you mean 'formula'\?", formula_column="formla")
    refused(path, r"no id column; wanted 'keys'; .*did you mean 'key'\? \(--id-column names it\)", id_column="keys")
    refused(path, "no year column; wanted 'year'", year_column="year")


def test_unclosed_quote(write) -> None:
    refused(write('formula,id\nNaCl,"1\nKBr,2\n'), "line 3: damaged row .*; is a quote not closed")


@pytest.mark.parametrize(("line", "problem"), [("{", "damaged JSON"), ("[" * 100_000, "damaged JSON"), ("[1]", "JSON, but no object")])
def test_a_damaged_json_line_costs_no_other(write, line: str, problem: str) -> None:
    records = read(write('{"formula": "NaCl"}\n' + line + '\n{"formula": "KBr"}\n'))
    assert [record.text for record in (records[0], records[2])] == ["NaCl", "KBr"]
    assert (records[1].line, records[1].problem) == (2, problem)


@settings(deadline=None)
@given(
    content=st.binary(max_size=200) | st.text("formula,;\t\"'{}[]:NaCl1\n\r #|", max_size=80).map(str.encode),
    kind=st.sampled_from([None, *FORMATS]),
)
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes, kind: str | None) -> None:
    path = tmp_path_factory.mktemp("any") / "input"
    path.write_bytes(content)
    try:
        records = read(path, format=kind)
    except InputDataError:
        return
    assert all(isinstance(record, RawRecord) for record in records)


def test_a_source_can_be_opened_again(write) -> None:
    source = open_source(write("NaCl\n"))
    assert list(source.lines()) == list(source.lines()) == ["NaCl\n"]
