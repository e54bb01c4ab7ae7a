"""The page of a run: what is on it, that nothing in it comes from elsewhere or becomes markup, and what is refused."""

import base64
import hashlib
import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crcrank.artifacts.store import Provenance, read_artifact, sha256_of_file, write_artifact
from crcrank.chem.elements import ELEMENT_SYMBOLS
from crcrank.chem.periodic_table import place_of
from crcrank.cli.main import main
from crcrank.config import load_config
from crcrank.errors import ArtifactError, ConfigError, OutputError
from crcrank.evaluation.familiarity import RARITIES, rarity_of
from crcrank.evaluation.metrics import wilson_interval
from crcrank.models.registry import ion_vectors
from crcrank.report.projection import project
from crcrank.stages.report import run_report
from crcrank.stages.report_evidence import read_evidence
from crcrank.stages.validate import run_validate

_VENDOR = Path(__file__).parent.parent / "crcrank" / "report" / "vendor"
_WICKED = '"><script>alert(1)</script>&amp;'


class Reading(HTMLParser):
    """Collects the tags, the attributes, the text and the scripts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.scripts, self.text = Counter(), [], [], []
        self._inside = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, *pair) for pair in attrs]
        self._inside.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if self._inside and self._inside[-1] == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        else:
            self.text.append(data)

    @property
    def data(self):
        return json.loads(next(text for attributes, text in self.scripts if attributes.get("type") == "application/json"))


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    return tiny.make_world(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def done(config) -> Path:
    return config.parent / "run"


@pytest.fixture(scope="module")
def page(done) -> Reading:
    return Reading((done / "report.html").read_text(encoding="utf-8"))


@pytest.fixture
def copied(done, tmp_path) -> Path:
    return Path(shutil.copytree(done, tmp_path / "copy"))


def rows(path: Path, kind: str) -> list[dict]:
    return read_artifact(path, kind).table.to_pylist()


# ---- what is on it ----


def test_a_run_ends_with_its_page(done, page):
    assert page.tags["html"] == page.tags["title"] == page.tags["h1"] == page.tags["main"] == 1
    assert ("section", "id", "recommendations") in page.attributes
    assert "run: recommended compositions" in "".join(page.text)
    assert (done / "report.html").stat().st_size < 700_000


def test_the_page_needs_nothing_else(page):
    outside = [item for item in page.attributes if item[1] in {"src", "href", "srcset", "action"} and not item[2].startswith("#")]
    assert not outside
    assert not {"link", "img", "iframe", "object", "base"} & set(page.tags)
    assert not [item for item in page.attributes if item[1].startswith("on")]


def test_only_the_scripts_of_the_page_may_run(page):
    policy = dict(item[1:] for item in page.attributes if item[0] == "meta" and item[1] == "content" and "script-src" in item[2])["content"]
    executed = [text for attributes, text in page.scripts if attributes.get("type") != "application/json"]
    allowed = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in executed]
    assert f"script-src {' '.join(allowed)};" in policy
    assert "default-src 'none'" in policy
    assert len(executed) == 3


def test_the_table_holds_the_ranking(done, page):
    ranking = rows(done / "ranking.parquet", "ranking")
    data = page.data
    columns = data["columns"]
    assert {len(column) for column in columns.values()} == {len(ranking)}
    for i, row in enumerate(ranking):
        assert data["classes"][columns["composition_class"][i]]["name"] == row["composition_class"]
        assert [data["ions"][j] for j in columns["ions"][i]] == row["ions"]
        assert columns["score"][i] == pytest.approx(row["score"], abs=1e-5)
        for key in ("rank", "formula", "pretty_formula", "radioactive"):
            assert columns[key][i] == row[key]


def test_hits_are_what_the_holdout_has_and_training_lacked(done, page):
    real = {row["formula"] for row in rows(done / "holdout-1.parquet", "known")} - {
        row["formula"] for row in rows(done / "known.parquet", "known")
    }
    columns, (curve,) = page.data["columns"], page.data["curves"]
    is_hit = [formula in real for formula in columns["formula"]]
    assert [bool(found) for found in columns["found_in"]] == is_hit
    assert any(is_hit)
    for k, hits, low, high in zip(*(curve[key] for key in ("k", "hits", "low", "high")), strict=True):
        assert hits == sum(is_hit[:k])
        assert (low, high) == pytest.approx([k * end for end in wilson_interval(hits, k)], abs=1e-3)
    assert {5, 10, len(is_hit)} <= set(curve["k"])
    for row in rows(done / "validation.parquet", "validation"):
        assert curve["hits"][curve["k"].index(row["k"])] == row["n_hits"]


def test_the_hit_table_has_the_figures_of_the_validation(done, page):
    text = "".join(page.text)
    for row in rows(done / "validation.parquet", "validation"):
        assert f"{row['n_hits']:,}" in text
        assert (f"{10 ** row['log10_p_value']:.2g}" if row["log10_p_value"] > -2 else "10⁻") in text
        assert re.search(r"Ternary, found in holdout, which has \d+\.?\d*\s% of the known ones", text)


def test_elements_are_counted_in_known_compounds(done, page):
    encoded = [row for row in rows(done / "encoded.parquet", "encoded") if row["composition_class"] == "ternary"]
    known = page.data["known_elements"]["ternary"]
    assert known["n"] == len(encoded)
    assert known["elements"]["Ti"] == sum(any(ion.startswith("Ti") for ion in row["ions"]) for row in encoded)


def test_the_ions_lie_where_the_model_puts_them(done, page):
    ions = page.data["ion_map"]
    assert ions["ions"] == ["K1+", "Na1+", "Ba2+", "Fe2+", "Fe3+", "Ti3+", "Ti4+", "U4+", "Cl1-", "O2-", "S2-"]
    assert ions["groups"][:3] == [1, 1, 2]
    assert ions["oxidation_states"][-2:] == [-2, -2]
    vectors = ion_vectors(read_artifact(done / "model.parquet", "model").table)
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    x, y = np.array(ions["x"]), np.array(ions["y"])
    flat = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    assert (flat <= ((directions[:, None] - directions) ** 2).sum(axis=2) + 1e-3).all()
    assert 0 < ions["shares"][1] <= ions["shares"][0] <= 1


def test_the_flow_adds_up(done, page):
    read = [read_artifact(done / f"{name}.parquet", "known").metadata["extra"]["n_in"] for name in ("known", "holdout-1")]
    text = "".join(page.text)
    assert f"Training list, {read[0]:,} lines read" in text
    assert f"Holdout, {read[1]:,} lines read" in text
    parts = [int(found) for _, key, style in page.attributes if key == "style" for found in re.findall(r"flex-grow:(\d+)", style)]
    assert sum(parts) == sum(read)
    assert "no anion (intermetallic)" in text


def test_the_histogram_counts_the_whole_space(done, page):
    found = page.data["histograms"]["ternary"]
    bins = rows(done / "ranking.histogram.parquet", "histogram")
    assert found["low"][1:] == found["high"][:-1]
    assert (found["low"][0], found["high"][-1]) == (bins[0]["low"], bins[-1]["high"])
    for low, high, *counts in zip(*found.values(), strict=True):
        inside = [row for row in bins if low <= row["low"] and row["high"] <= high]
        assert counts == [sum(row[key] for row in inside) for key in ("n_candidates", "n_known", "n_asked")]
    assert sum(found["n_candidates"]) == page.data["classes"][0]["n_candidates"]


def test_a_histogram_of_another_ranking_is_not_shown(copied, tmp_path):
    _write_metadata(copied / "ranking.histogram.parquet", lambda metadata: metadata.update(inputs=[]))
    assert run_report(copied, tmp_path / "r.html").left_out == ("This run has not counted the scores of the whole space.",)


def test_the_same_run_gives_the_same_page(done, tmp_path):
    summary = run_report(done, tmp_path / "again.html")
    assert summary.out.read_bytes() == (done / "report.html").read_bytes()
    assert summary.n_bytes == summary.out.stat().st_size
    assert summary.n_recommended == len(rows(done / "ranking.parquet", "ranking"))


# ---- beyond the hits ----


def test_the_recall_goes_to_the_last_compound(done, page):
    ranks = [row["rank"] for row in rows(done / "ranking.ranks.parquet", "ranks") if row["rank"]]
    (recall,) = page.data["recalls"]
    assert (recall["ranks"][-1], recall["shares"][-1]) == (max(ranks), 1)
    for rank, share in zip(recall["ranks"], recall["shares"], strict=True):
        assert share == pytest.approx(sum(other <= rank for other in ranks) / len(ranks), abs=1e-5)
    depths = rows(done / "validation.depths.parquet", "depths")
    assert page.data["depths"] == [{key: row[key] for key in page.data["depths"][0]} for row in depths]
    assert f"{next(row['rank'] for row in depths if row['recall'] == 0.9):,}" in page.text


def test_ranks_are_spread_by_what_is_rare(done, page):
    compounds = [row for row in rows(done / "validation.compounds.parquet", "compounds") if row["rank"]]
    spreads = page.data["spreads"]
    assert [item["rarity"] for item in spreads] == list(RARITIES)
    assert sum(item["n"] for item in spreads) == len(compounds)
    for item in spreads:
        own = sorted(row["rank"] for row in compounds if rarity_of(row["reason"]) == item["rarity"])
        assert len(own) == item["n"]
        assert item["quantiles"] == [min(rank for rank in own if sum(other <= rank for other in own) >= q * len(own) - 1e-9)
                                     for q in (0.1, 0.25, 0.5, 0.75, 0.9) if own]  # fmt: skip


def test_the_best_and_the_worst_are_named(done):
    evidence, left_out = read_evidence(read_artifact(done / "validation.parquet", "validation"), ["ternary"], "fm")
    compounds = sorted(
        (row for row in rows(done / "validation.compounds.parquet", "compounds") if row["rank"]), key=lambda row: row["rank"]
    )
    assert not left_out
    assert [(item.rank, item.pretty_formula) for item in evidence.first["ternary"]] == [
        (row["rank"], row["pretty_formula"]) for row in compounds[:5]
    ]
    assert [item.rank for item in evidence.last["ternary"]] == [row["rank"] for row in reversed(compounds[-5:])]
    assert evidence.calibration == rows(done / "validation.calibration.parquet", "calibration")


def test_holdouts_are_united_where_there_are_several(config, copied):
    holdout = read_artifact(copied / "holdout-1.parquet", "known")
    for i, table in enumerate((holdout.table.slice(0, 40), holdout.table.slice(30))):
        write_artifact(copied / f"part-{i}.parquet", "known", table, Provenance())
    parts = [copied / "part-0.parquet", copied / "part-1.parquet"]
    run_validate(copied / "ranking.parquet", parts, copied / "validation.parquet", settings=load_config(config), overwrite=True)
    validation = read_artifact(copied / "validation.parquet", "validation")
    evidence, _ = read_evidence(validation, ["ternary"], "fm")
    assert [item.holdout for item in evidence.recalls] == ["part-0", "part-1", "united"]
    ranks = {row["formula"]: row["rank"] for row in rows(copied / "validation.compounds.parquet", "compounds") if row["rank"]}
    assert (
        sum(item.n for item in evidence.spreads) == len(ranks) < sum(row["n_ranked"] for row in evidence.depths if row["recall"] == 1) / 2
    )
    assert evidence.recalls[-1].ranks[0] == min(ranks.values())
    assert len({item.pretty_formula for item in evidence.first["ternary"]}) == 5


def test_a_validation_without_exact_ranks(config, copied, tmp_path):
    (copied / "ranking.ranks.parquet").unlink()
    run_validate(
        copied / "ranking.parquet",
        [copied / "holdout-1.parquet"],
        copied / "validation.parquet",
        settings=load_config(config),
        overwrite=True,
    )
    summary = run_report(copied, tmp_path / "r.html")
    assert summary.left_out == (
        "Without exact ranks the recall ends with the list: crcrank rank --ranks-of and then crcrank validate give them.",
    )
    found = Reading(summary.out.read_text(encoding="utf-8"))
    assert (found.data["recalls"], found.data["spreads"]) == ([], [])
    assert "Found first" in found.text
    assert "Ranked last" not in found.text


def test_details_of_another_validation_are_not_shown(copied, tmp_path):
    for kind in ("depths", "compounds"):
        _write_metadata(copied / f"validation.{kind}.parquet", lambda metadata: metadata.update(inputs=[]))
    (copied / "validation.calibration.parquet").unlink()
    summary = run_report(copied, tmp_path / "r.html")
    reason = "This part is left out: what validate writes beside its table is not in the folder, or is that of another validation."
    assert summary.left_out == (reason,) * 3
    assert Reading(summary.out.read_text(encoding="utf-8")).text.count(reason) == 3


def test_a_model_without_probabilities_is_not_calibrated(copied):
    path = copied / "validation.calibration.parquet"
    table = pq.ParquetFile(path).read()
    pq.write_table(pa.Table.from_batches([], schema=table.schema), path)
    _write_metadata(path, lambda metadata: metadata.update(n_rows=0))
    _, left_out = read_evidence(read_artifact(copied / "validation.parquet", "validation"), ["ternary"], "svd")
    assert left_out == {"calibration": "Model svd gives no probabilities."}


# ---- what stands for missing data ----


def test_a_model_without_vectors_has_no_map(config, tmp_path):
    text = config.read_text().replace('model = "fm"', 'model = "popularity"')
    shutil.copytree(config.parent, tmp_path / "world", ignore=shutil.ignore_patterns("run"))
    other = tmp_path / "world" / "tiny.toml"
    other.write_text(text)
    assert main(["run", str(other), "--out-dir", str(tmp_path / "run"), "-q"]) == 0
    found = Reading((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    assert found.data["ion_map"] is None
    assert "Model popularity has no vectors of ions that could be drawn." in "".join(found.text)


def test_without_the_holdout_there_are_no_curves(copied, tmp_path):
    (copied / "holdout-1.parquet").unlink()
    summary = run_report(copied, tmp_path / "r.html")
    assert (
        summary.left_out[0] == "Discovery curves are left out: a holdout of the validation is not in the folder any more, or has changed."
    )
    found = Reading(summary.out.read_text(encoding="utf-8"))
    assert found.data["curves"] == found.data["holdouts"] == []
    assert summary.left_out[0] in "".join(found.text)


def test_a_run_without_a_validation_has_a_page(done, copied, tmp_path):
    (copied / "validation.parquet").unlink()  # what lies beside it is of no validation now
    summary = run_report(copied, tmp_path / "r.html")
    found = Reading(summary.out.read_text(encoding="utf-8"))
    text = "".join(found.text)
    assert summary.n_recommended == len(rows(done / "ranking.parquet", "ranking"))
    assert summary.left_out == ("This part is left out: the run has no validation.",) * 4
    assert text.count(summary.left_out[0]) == 4
    assert "No validation, so nothing says how often this list is right: name lists to look in, in [run] holdout." in text
    assert "The validation has no rows" not in text
    assert [found.data[key] for key in ("curves", "holdouts", "hits", "recalls", "depths", "spreads", "calibration")] == [[]] * 7
    assert not any(found.data["columns"]["found_in"])


def test_classes_can_be_chosen(done, tmp_path):
    summary = run_report(done, tmp_path / "r.html", classes=["ternary"])
    assert summary.n_recommended == len(rows(done / "ranking.parquet", "ranking"))
    with pytest.raises(ConfigError, match=r"--class: 'binary' is not ranked in .*run; wanted one of ternary"):
        run_report(done, tmp_path / "b.html", classes=["binary"])


def test_vectors_of_members_stand_side_by_side_and_tensors_have_cations_only():
    def model(**arrays):
        columns = {
            "name": [name.replace("_", ".") for name in arrays],
            "shape": [list(np.shape(values)) for values in arrays.values()],
            "values": [np.ravel(values).astype(float) for values in arrays.values()],
        }
        return pa.table(columns)

    members = model(**{"0_factor_ion": [[1, 2], [3, 4]], "1_factor_ion": [[5], [6]], "weight_ion": [0, 0], "state_factor_ion": [[9], [9]]})
    assert ion_vectors(members).tolist() == [[1, 2, 5], [3, 4, 6]]
    by_class = model(**{"0_factor_ion_ternary": [[1, 2], [3, 4]], "0_factor_ion_quinary": [[5], [6]], "0_factor_prior": [[7]]})
    assert ion_vectors(by_class).tolist() == [[1, 2, 5], [3, 4, 6]]
    assert ion_vectors(model(cation_ternary=[[1, 2]], anion_ternary=[[3, 4]])).tolist() == [[1, 2]]
    assert ion_vectors(model(cation_ternary=[1, 2])) is None


# ---- beside a study ----


def study_row(**values):
    empty = dict.fromkeys(("prior_components", "difference", "difference_error", "ratio", "ratio_error"))
    numbers = {
        "hit_rate": 0.1,
        "enrichment": 2.0,
        "n_targets": 9.0,
        "n_known_fitted": 9.0,
        "fit_seconds": 0.0,
        "n_seeds": 2,
        "n_hits_error": 0.5,
    }
    place = {"design": "other_database", "counted": "hidden", "composition_class": "ternary", "fraction": 1.0}
    return empty | numbers | place | values


def write_study(path, found, space_digest):
    columns = {key: [row[key] for row in found] for key in found[0]}
    write_artifact(path, "study", columns, Provenance(space_digest=space_digest))
    return path


def test_models_of_a_study_are_drawn_beside_the_run(done, tmp_path):
    digest = read_artifact(done / "ranking.parquet", "ranking").metadata["space_digest"]
    found = [study_row(variant="popularity", k=k, n_hits=k / 4) for k in (5, 10)]
    found += [study_row(variant="fm", k=5, n_hits=1.0, fraction=0.1), study_row(variant="fm", k=5, n_hits=1.0, design="random_fraction")]
    study = write_study(tmp_path / "study.parquet", found, digest)
    assert main(["report", str(done), "--study", str(study), "-o", str(tmp_path / "r.html"), "-q"]) == 0
    (arm,) = Reading((tmp_path / "r.html").read_text(encoding="utf-8")).data["arms"]
    assert arm == {"composition_class": "ternary", "name": "popularity", "k": [5, 10], "hits": [1.25, 2.5], "error": [0.5, 0.5]}


def test_a_study_of_another_space_is_refused(done, tmp_path):
    study = write_study(tmp_path / "study.parquet", [study_row(variant="fm", k=5, n_hits=1.0)], "0" * 64)
    with pytest.raises(ArtifactError, match=r"study\.parquet: made for another candidate space"):
        run_report(done, tmp_path / "r.html", study=study)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.parquet"]


# ---- markup in the data ----


def test_no_text_of_the_data_becomes_markup(copied, page, tmp_path):
    folder = copied.rename(tmp_path / f"{_WICKED.replace('/', '-')}run")
    _rewrite(folder, "holdout-1", lambda metadata: metadata["config"].update(sources=[_WICKED.replace("/", "-") + ".csv"]))
    _rewrite(folder, "known", lambda metadata: metadata["extra"].update(reasons={_WICKED: 7}, n_rejected=7))
    summary = run_report(folder, tmp_path / "r.html")
    text = summary.out.read_text(encoding="utf-8")
    found = Reading(text)
    assert found.tags["script"] == page.tags["script"]
    assert not [item for item in found.attributes if item[0] == "script" and item[1] not in {"type", "id"}]
    assert "alert(1)" in "".join(found.text)
    assert found.data["name"] == folder.name
    assert "alert(1)" in found.data["holdouts"][0]
    assert "<" not in next(text for attributes, text in found.scripts if attributes.get("type") == "application/json")


def _rewrite(folder, name, change):
    """Change the metadata of an artifact and mend the hashes of what was made from it."""
    path = folder / f"{name}.parquet"
    old = sha256_of_file(path)
    _write_metadata(path, change)
    new = sha256_of_file(path)
    for other in ("encoded", "model", "ranking", "validation"):
        metadata = json.loads(pq.read_metadata(folder / f"{other}.parquet").metadata[b"crcrank"])
        if other != name and any(item["sha256"] == old for item in metadata["inputs"]):
            _rewrite(folder, other, lambda metadata: _replace_hash(metadata, old, new))


def _replace_hash(metadata, old, new):
    for item in metadata["inputs"]:
        if item["sha256"] == old:
            item["sha256"] = new


def _write_metadata(path, change):
    table = pq.ParquetFile(path).read()
    metadata = json.loads(table.schema.metadata[b"crcrank"])
    change(metadata)
    pq.write_table(table.replace_schema_metadata({b"crcrank": json.dumps(metadata).encode()}), path)


# ---- what is refused ----


@pytest.fixture
def refused(tmp_path, capsys):
    """Return a check that the command ends with a status and one line, and writes nothing."""

    def check(status, message, folder, *options):
        before = sorted(tmp_path.rglob("*"))
        assert main(["report", str(folder), "-o", str(tmp_path / "page.html"), *options]) == status
        printed = capsys.readouterr()
        assert printed.err.startswith("crcrank: error: ")
        assert printed.err.count("\n") == 1
        assert message in printed.err
        assert sorted(tmp_path.rglob("*")) == before

    return check


def test_what_is_no_folder_of_a_run(copied, tmp_path, refused):
    refused(4, "nowhere: no such folder; wanted the --out-dir of crcrank run", tmp_path / "nowhere")
    refused(4, "known.parquet: no folder; wanted the --out-dir of crcrank run", copied / "known.parquet")


def test_a_run_without_all_of_its_stages(copied, refused):
    (copied / "encoded.parquet").unlink()
    (copied / "plan.parquet").unlink()
    message = f"{copied}: no encoded.parquet, plan.parquet there; crcrank run CONFIG.toml --out-dir {copied} makes what is missing"
    refused(4, message, copied)


def test_stages_of_different_spaces(copied, refused):
    _write_metadata(copied / "model.parquet", lambda metadata: metadata.update(space_digest="0" * 64))
    refused(4, "model.parquet and ranking.parquet are of different candidate spaces (digests 000000000000 and", copied)


def test_stages_that_were_not_made_from_each_other(copied, refused):
    _write_metadata(copied / "model.parquet", lambda metadata: metadata.update(seed=99))
    refused(4, "ranking.parquet was made from another model.parquet than the one there; crcrank run CONFIG.toml", copied)


def test_a_damaged_stage(copied, refused):
    (copied / "ranking.parquet").write_bytes(b"PAR1")
    refused(4, "ranking.parquet: not a readable Parquet file", copied)


def test_a_page_that_exists_is_kept_unless_forced(done, tmp_path):
    out = tmp_path / "page.html"
    out.write_text("mine")
    with pytest.raises(OutputError, match=r"page\.html exists already: --force replaces it"):
        run_report(done, out)
    assert out.read_text() == "mine"
    assert main(["report", str(done), "-o", str(out), "--force", "-q"]) == 0
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_page_that_cannot_be_written_leaves_nothing(done, tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("crcrank.artifacts.store.os.fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        run_report(done, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


# ---- its parts ----


def test_libraries_are_those_that_their_list_names():
    listed = dict(
        re.findall(r"^\| `(\S+\.js)` \|.*`([0-9a-f]{64})`", (_VENDOR / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    assert listed == {path.name: sha256_of_file(path) for path in _VENDOR.glob("*.js")}
    for name in listed:
        assert "</script" not in (_VENDOR / name).read_text(encoding="utf-8")


def test_each_element_has_a_place_of_its_own():
    places = {symbol: place_of(symbol) for symbol in ELEMENT_SYMBOLS}
    assert len({place[:2] for place in places.values()}) == 118
    assert all(1 <= place.column <= 18 and 1 <= place.group <= 18 for place in places.values())
    groups = {1: "H Li Na K Rb Cs Fr", 2: "Be Mg Ca Sr Ba Ra", 4: "Ti Zr Hf Rf", 11: "Cu Ag Au Rg", 18: "He Ne Ar Kr Xe Rn Og"}
    for group, symbols in groups.items():
        column = [symbol for symbol, place in places.items() if place.column == group and place.row <= 7]
        assert column == symbols.split()
        assert {places[symbol].group for symbol in column} == {group}
    assert [symbol for symbol, place in places.items() if place.row == 9] == list(ELEMENT_SYMBOLS[56:71])


@settings(deadline=None)
@given(arrays(np.float64, (7, 4), elements=st.floats(-5, 5, width=16)), st.lists(st.integers(0, 9), min_size=7, max_size=7).filter(any))
def test_projection_keeps_the_most_variance(vectors, counts):
    weights = np.array(counts, float)
    points, shares = project(vectors, weights)
    parts = weights / weights.sum()
    centred = vectors - sum(part * row for part, row in zip(parts, vectors, strict=True))
    variances = np.linalg.eigvalsh((parts[:, None] * centred).T @ centred)[::-1]
    assert np.allclose(parts @ points, 0, atol=1e-9)
    assert np.allclose(parts @ points**2, variances[:2], atol=1e-8)
    assert abs(parts @ (points[:, 0] * points[:, 1])) < 1e-8
    if variances.sum() > 1e-9:
        assert np.allclose(shares, variances[:2] / variances.sum(), atol=1e-8)


def test_projection_of_vectors_of_one_number_is_a_line():
    points, shares = project(np.array([[1.0], [2.0], [-4.0]]), np.ones(3))
    assert points[:, 1].tolist() == [0, 0, 0]
    assert shares.tolist() == [1, 0]
