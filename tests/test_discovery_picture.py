import subprocess
import sys
from itertools import combinations
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import style
from matplotlib.figure import Figure

from crcrank.errors import InputDataError, OutputError
from crcrank.report import canvas, discovery
from crcrank.report.discovery import DiscoveryCurve, draw_discovery


def _curve(composition_class="ternary", holdout="COD", n_ranked=3000, every=3, n_reachable=1302, base_rate=3.6e-4):
    """Make a curve that hits at every ``every``-th recommendation."""
    return DiscoveryCurve(composition_class, holdout, np.arange(1, n_ranked + 1, dtype=np.int64) // every, n_reachable, base_rate)


def _figure(curves):
    with style.context(["default", canvas.STYLE]):
        return discovery._draw_figure(curves)


def _texts(panel):
    return [text.get_text() for text in panel.texts]


def test_png_and_svg_are_written_beside_each_other(tmp_path):
    paths = draw_discovery([_curve()], tmp_path / "discovery")
    assert paths == [tmp_path / "discovery.png", tmp_path / "discovery.svg"]
    assert sorted(tmp_path.iterdir()) == paths
    png = paths[0].read_bytes()
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20]) == 2400
    assert ET.parse(paths[1]).getroot().tag.endswith("svg")


@pytest.mark.parametrize(("name", "stem"), [("a.png", "a"), ("a.svg", "a"), ("run.v2", "run.v2")])
def test_only_a_picture_suffix_is_replaced(tmp_path, name, stem):
    assert [path.name for path in draw_discovery([_curve(n_ranked=5)], tmp_path / name)] == [f"{stem}.png", f"{stem}.svg"]


def test_same_curves_give_the_same_bytes(tmp_path):
    curves = [_curve(), _curve("quaternary", every=9)]
    first, again = (draw_discovery(curves, tmp_path / name) for name in ("first", "again"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def test_global_settings_are_left_alone(tmp_path):
    before = dict(mpl.rcParams)
    draw_discovery([_curve(n_ranked=5)], tmp_path / "discovery")
    assert dict(mpl.rcParams) == before


def test_a_user_style_does_not_change_the_picture(tmp_path):
    plain = draw_discovery([_curve()], tmp_path / "plain")
    with style.context("dark_background"):
        styled = draw_discovery([_curve()], tmp_path / "styled")
    assert [path.read_bytes() for path in plain] == [path.read_bytes() for path in styled]


def test_importing_the_room_does_not_import_matplotlib():
    code = "import sys, crcrank.report.discovery; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_classes_have_panels_and_hits_are_annotated():
    figure = _figure([_curve(), _curve("quaternary", every=9, n_ranked=1000)])
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["Ternary", "Quaternary"]
    assert {"33 of 100", "333 of 1,000", "1,000 of 3,000", "at random: 1.1", "perfect ranking"} <= set(_texts(figure.axes[0]))
    assert {"11 of 100", "111 of 1,000", "COD"} <= set(_texts(figure.axes[1]))


@pytest.mark.parametrize("n_classes", [1, 2, 3, 4, 5])
def test_any_number_of_classes_fits(n_classes):
    assert len(_figure([_curve(f"class {i}", n_ranked=100) for i in range(n_classes)]).axes) == n_classes


def test_a_holdout_is_named_once_in_a_row_of_panels():
    figure = _figure([_curve(), _curve(holdout="ICDD"), _curve("quaternary")])
    names = [[text for text in _texts(panel) if text in {"COD", "ICDD"}] for panel in figure.axes]
    assert names == [["ICDD"], ["COD"]]


def test_short_ranking_is_annotated_at_its_end():
    assert "3 of 9" in _texts(_figure([_curve(n_ranked=9)]).axes[0])


def test_no_hits_and_no_ranking_are_drawn_and_said():
    figure = _figure([_curve(every=10_000), _curve("quaternary", n_ranked=0)])
    assert {"0 of 100", "0 of 1,000", "0 of 3,000"} <= set(_texts(figure.axes[0]))
    assert _texts(figure.axes[1]) == ["COD: nothing ranked"]


def test_odd_holdouts_are_drawn(tmp_path):
    draw_discovery([_curve(every=10_000, n_reachable=0, base_rate=0.0), _curve(holdout="$x_$ <&>")], tmp_path / "discovery")


@pytest.mark.parametrize(
    ("base_rates", "said"),
    [([1e-9], "at random: < 0.001"), ([2.5e-6], "at random: 0.0075"), ([0.02], "at random: 60"), ([1e-4, 3.6e-4], "at random: 0.3 to 1.1")],
)
def test_random_expectation_is_said_in_plain_numbers(base_rates, said):
    figure = _figure([_curve(holdout=f"holdout {rate}", base_rate=rate) for rate in base_rates])
    assert said in _texts(figure.axes[0])


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.tuples(st.integers(1, 4000), st.integers(1, 2000), st.floats(1e-9, 0.1)), min_size=1, max_size=4), st.integers(1, 12_000)
)
def test_labels_never_cover_each_other(holdouts, n_ranked):
    curves = [_curve("ternary", f"holdout {i}", n_ranked, *holdout) for i, holdout in enumerate(holdouts)]
    (panel,) = _figure(curves).axes
    boxes = [text.get_window_extent() for text in panel.texts]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_step_line_keeps_every_hit_and_both_ends():
    hits = np.array([0, 0, 1, 1, 1, 2, 3, 3], np.int64)
    assert canvas.turning_points(hits).tolist() == [1, 3, 6, 7, 8]


def test_no_curve_is_refused(tmp_path):
    with pytest.raises(InputDataError, match="there is no discovery curve to draw"):
        draw_discovery([], tmp_path / "discovery")


def test_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"discovery\.png: cannot be written"):
        draw_discovery([_curve(n_ranked=5)], tmp_path / "file" / "discovery")


def test_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(_, path, **__):
        path.write_bytes(b"half a picture")
        raise MemoryError

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(MemoryError):
        draw_discovery([_curve(n_ranked=5)], tmp_path / "discovery")
    assert list(tmp_path.iterdir()) == []
