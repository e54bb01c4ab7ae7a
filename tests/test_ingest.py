"""The ingest stage: its account, its artifacts, and what it leaves behind when something goes wrong."""

import io
import json
import random
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crcrank.artifacts.store import read_artifact
from crcrank.chem.formula import ELECTRONEGATIVITY_ORDER
from crcrank.config import load_config
from crcrank.errors import ConfigError, InputDataError, OutputError
from crcrank.stages import ingest
from crcrank.stages.ingest import IngestSummary, run_ingest

KEEP_ALL = load_config().ingest.rules.model_copy(update={"exclude": ()})
SAMPLES = Path(__file__).parent.parent / "data-samples"


def rows(path: Path, kind: str = "known") -> list[dict]:
    return read_artifact(path, kind).table.to_pylist()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text("formula,id,year\nTiO3Ba,a,1999\nNaCl,b,\nBa2Ti2O6,c,1945\nNa0.5CoO2,d,2000\nFe,e,\nCl Na,f,1913\nLi0.1CoO2,g,\n")
    return path


def test_known_and_rejected(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "known.parquet"
    summary = run_ingest([table], out)
    rejected = tmp_path / "known.rejected.parquet"
    reasons = {"fractional amounts (disorder)": 2, "an element, not a compound": 1}
    wanted = IngestSummary(n_in=7, n_kept=2, n_rejected=3, n_duplicate=2, reasons=reasons, rules=summary.rules, out=out, rejected=rejected)
    assert summary == wanted
    done = {row.rule: row.n_lines for row in summary.rules if row.n_lines}
    assert done == {"disorder": 2, "exclude elements": 1, "duplicates": 2, "earliest year": 1}
    assert list(summary.reasons) == list(reasons)
    barium = {"formula": "BaO3Ti", "pretty_formula": "BaTiO3", "elements": ["Ba", "O", "Ti"], "amounts": [1, 3, 1], "n_elements": 3}
    sodium = {"formula": "ClNa", "pretty_formula": "NaCl", "elements": ["Cl", "Na"], "amounts": [1, 1], "n_elements": 2}
    found = {"source": str(table), "flags": []}
    assert rows(out) == [
        barium | found | {"source_id": "a", "source_ids": ["a", "c"], "year": 1945},
        sodium | found | {"source_id": "b", "source_ids": ["b", "f"], "year": 1913},
    ]
    assert rows(rejected, "rejected") == [
        {"source": str(table), "line": 5, "text": "Na0.5CoO2", "reason": "fractional amounts (disorder)"},
        {"source": str(table), "line": 6, "text": "Fe", "reason": "an element, not a compound"},
        {"source": str(table), "line": 8, "text": "Li0.1CoO2", "reason": "fractional amounts (disorder)"},
    ]


def test_provenance_tells_sources_and_counts(table: Path, tmp_path: Path) -> None:
    run_ingest([table], tmp_path / "known.parquet", formula_column="formula")
    metadata = read_artifact(tmp_path / "known.parquet", "known").metadata
    assert metadata["config"]["sources"] == [str(table)]
    assert metadata["config"]["formula_column"] == "formula"
    assert [given["path"] for given in metadata["inputs"]] == [str(table)]
    counts = {"n_in": 7, "n_kept": 2, "n_rejected": 3, "n_duplicate": 2}
    facts = metadata["extra"]
    assert facts | counts | {"reasons": {"fractional amounts (disorder)": 2, "an element, not a compound": 1}} == facts
    assert (facts["rules"]["disorder"], facts["rules"]["duplicates"]) == (2, 2)
    assert metadata["config"]["rules"] == load_config().ingest.rules.model_dump(mode="json")


def test_several_sources_and_stdin(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"NaCl\nKBr\n")))
    summary = run_ingest(["-", table], tmp_path / "known.parquet")
    assert (summary.n_in, summary.n_kept, summary.n_duplicate) == (9, 3, 3)
    sources = {row["formula"]: (row["source"], row["source_id"]) for row in rows(summary.out)}
    assert sources == {"BrK": ("stdin", None), "ClNa": ("stdin", None), "BaO3Ti": (str(table), "a")}


def test_an_artifact_ingested_again_is_the_same(table: Path, tmp_path: Path) -> None:
    first = rows(run_ingest([table], tmp_path / "known.parquet").out)
    again = rows(run_ingest([tmp_path / "known.parquet"], tmp_path / "again.parquet").out)
    assert [row | {"source": None} for row in again] == [row | {"source": None} for row in first]


def test_progress_counts_every_byte(table: Path, tmp_path: Path) -> None:
    class Sink:
        total = done = 0.0

        def start(self, label: str, total: float, unit: str) -> None:
            assert (label, unit) == ("read mine.csv", "bytes")
            self.total += total

        def advance(self, amount: float = 1, note: str = "") -> None:
            self.done += amount
            assert note in {"", "2 compositions"}

    sink = Sink()
    run_ingest([table], tmp_path / "known.parquet", progress=sink)
    assert sink.total == sink.done == table.stat().st_size


lines = st.lists(
    st.sampled_from(["NaCl", "ClNa", "KBr", "Na0.5Cl", "Fe", "Xx", "Ba(O", "\\ud800", "Fe2O3", "H2O \udcff", "-"]) | st.text(max_size=8)
)


@settings(deadline=None, max_examples=50)
@given(texts=lines)
def test_every_line_is_accounted_for(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("ingest")
    source = folder / "list.jsonl"
    texts = ["NaCl", *texts]
    source.write_text("".join(json.dumps({"formula": text}) + "\n" for text in texts))
    summary = run_ingest([source], folder / "known.parquet")
    assert summary.n_in == len(texts) == summary.n_kept + summary.n_rejected + summary.n_duplicate
    known, rejected = rows(summary.out), rows(summary.rejected, "rejected")
    assert (len(known), len(rejected)) == (summary.n_kept, summary.n_rejected)
    formulas = [row["formula"] for row in known]
    assert formulas == sorted(set(formulas))
    assert sum(summary.reasons.values()) == summary.n_rejected
    assert list(summary.reasons.values()) == sorted(summary.reasons.values(), reverse=True)


@pytest.mark.parametrize(("name", "n_kept"), [("oqmd_icsd", 21_004), ("cod", 26_831)])
def test_the_packaged_rules_on_the_open_lists(tmp_path: Path, name: str, n_kept: int) -> None:
    summary = run_ingest([SAMPLES / f"{name}.csv"], tmp_path / "known.parquet")
    assert summary.n_kept == n_kept
    assert set(summary.reasons) == {"an alloy, metals only", "organic, carbon and hydrogen", "a molecular gas"}


def test_a_kind_that_is_not_excluded_is_flagged(tmp_path: Path) -> None:
    source = tmp_path / "list.txt"
    source.write_text("NiAl\nCO2\nBaTiO3\nCu(HCO2)2\nFe\n")
    run_ingest([source], tmp_path / "known.parquet", rules=KEEP_ALL)
    flags = {row["pretty_formula"]: row["flags"] for row in rows(tmp_path / "known.parquet")}
    assert flags == {"AlNi": ["alloy"], "CO2": ["gas"], "BaTiO3": [], "CuH2C2O4": ["organic"], "Fe": ["element"]}


def test_flags_are_those_of_all_lines(tmp_path: Path) -> None:
    source = tmp_path / "list.txt"
    source.write_text("LiOD\nLiOH\nNaOD\nKOD\nCuSO4.5H2O\nCuSO9H10\n")
    run_ingest([source], tmp_path / "known.parquet")
    flags = {row["formula"]: row["flags"] for row in rows(tmp_path / "known.parquet")}
    assert flags == {"HLiO": [], "HNaO": ["deuterium"], "HKO": ["deuterium"], "CuH10O9S": []}


@pytest.mark.parametrize(("name", "n_compositions"), [("oqmd_icsd", 26_574), ("cod", 36_398)])
def test_the_open_lists_are_kept_whole(tmp_path: Path, name: str, n_compositions: int) -> None:
    summary = run_ingest([SAMPLES / f"{name}.csv"], tmp_path / "known.parquet", rules=KEEP_ALL)
    assert (summary.n_in, summary.n_kept, summary.n_rejected, summary.n_duplicate) == (n_compositions, n_compositions, 0, 0)


def test_a_quarter_of_a_million_lines_take_seconds(tmp_path: Path) -> None:
    pick = random.Random(7)
    texts = (" ".join(f"{symbol}{pick.randint(1, 9)}" for symbol in pick.sample(ELECTRONEGATIVITY_ORDER, 4)) for _ in range(250_000))
    source = tmp_path / "long.csv"
    source.write_text("formula,id,year\n" + "".join(f"- {text} -,{i},2001\n" for i, text in enumerate(texts)))
    started = time.process_time()
    summary = run_ingest([source], tmp_path / "known.parquet", rules=KEEP_ALL)
    assert time.process_time() - started < 30
    assert (summary.n_in, summary.n_rejected) == (250_000, 0)


# ---- what goes wrong ----


def left_behind(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_nothing_usable(tmp_path: Path) -> None:
    source = tmp_path / "bad.txt"
    source.write_text("Fe\nNi\nLi0.5CoO2\nFe(\nXx\n")
    message = (
        f"{source}: none of 5 lines is a usable composition (an element, not a compound: 2; fractional amounts (disorder): 1; "
        "unbalanced brackets: 1); is it the right column or format?"
    )
    with pytest.raises(InputDataError, match=f"^{re.escape(message)}$"):
        run_ingest([source], tmp_path / "known.parquet")
    assert left_behind(tmp_path) == {"bad.txt"}


def test_a_bad_source_or_format_leaves_nothing(table: Path, tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="no such file"):
        run_ingest([table, tmp_path / "absent"], tmp_path / "known.parquet")
    with pytest.raises(ConfigError, match="unknown format"):
        run_ingest([table], tmp_path / "known.parquet", format="excel")
    assert left_behind(tmp_path) == {"mine.csv"}


def test_existing_output_is_kept_without_overwrite(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "known.parquet"
    run_ingest([table], out)
    before = out.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        run_ingest([table], out)
    assert out.read_bytes() == before
    assert run_ingest([table], out, overwrite=True).n_kept == 2


@pytest.mark.parametrize("name", ["known.parquet", "known.rejected.parquet"])
def test_a_folder_is_no_output(table: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match="wanted a file to write, found a folder"):
        run_ingest([table], tmp_path / "known.parquet", overwrite=True)
    assert left_behind(tmp_path) == {"mine.csv", name}


@pytest.mark.parametrize("kind", ["known", "rejected"])
@pytest.mark.parametrize("problem", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_both_artifacts_or_neither(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, problem: BaseException) -> None:
    write_artifact = ingest.write_artifact

    def failing(path: Path, written_kind: str, *rest: object) -> None:
        write_artifact(path, written_kind, *rest)
        if written_kind == kind:
            raise problem

    monkeypatch.setattr(ingest, "write_artifact", failing)
    with pytest.raises((KeyboardInterrupt, OutputError)):
        run_ingest([table], tmp_path / "known.parquet")
    assert left_behind(tmp_path) == {"mine.csv"}


def test_an_interrupt_while_reading_leaves_nothing(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ingest, "judge", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_ingest([table], tmp_path / "known.parquet")
    assert left_behind(tmp_path) == {"mine.csv"}
