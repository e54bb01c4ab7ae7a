"""The pictures of a study: what they show, and that nothing covers anything."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import style
from matplotlib.text import Text

from crcrank.errors import InputDataError
from crcrank.report import canvas
from crcrank.report import study as pictures
from crcrank.report.study import StudyLine, StudyPoint, draw_comparison, draw_hits_against_k, draw_hits_by_fraction

ARMS = ("fm", "tucker", "substitution")


def line(arm="fm", name="ternary", n_hits=300.0, n_ranked=3000, base_rate=2.4e-4):
    return StudyLine(name, arm, np.floor(np.linspace(0, n_hits, n_ranked)), base_rate)


def point(arm="fm", name="ternary", k=100, fraction=1.0, n_hits=30.0, error=1.5):
    first = arm == "fm"
    compared = (None, None, None, None) if first else (-3.0, 0.5, 0.9, 0.02)
    return StudyPoint(name, arm, k, fraction, 5997, n_hits, error, (int(n_hits) - 1, int(n_hits) + 2), *compared)


def figure(draw, *arguments, **options):
    with style.context(["default", canvas.STYLE]):
        drawn = draw(*arguments, **options)
        drawn.draw_without_rendering()
    return drawn


def texts(panel):
    return [text.get_text() for text in panel.texts]


@pytest.mark.parametrize(
    ("draw", "items"),
    [(draw_hits_against_k, [line()]), (draw_comparison, [point()]), (draw_hits_by_fraction, [point(fraction=0.1), point()])],
)
def test_png_and_svg_are_written_and_the_same_again(tmp_path, draw, items):
    first, again = (draw(items, tmp_path / name, title="A study") for name in ("first", "again"))
    assert [path.name for path in first] == ["first.png", "first.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    with pytest.raises(InputDataError, match="the study has nothing to draw"):
        draw([], tmp_path / "none")


def test_each_class_has_a_panel_and_each_line_its_name_and_hits():
    drawn = figure(
        pictures._line_figure, [line(arm, name, 300 / (i + 1)) for name in ("ternary", "quinary") for i, arm in enumerate(ARMS)], "A"
    )
    assert [panel.get_title(loc="left") for panel in drawn.axes] == ["Ternary", "Quinary"]
    assert texts(drawn.axes[1]) == ["0.72  at random", "300  fm", "150  tucker", "100  substitution"]


@pytest.mark.parametrize(("n_hits", "said"), [(0, "0"), (1e-5, "< 0.001"), (0.0075, "0.0075"), (9.7, "9.7"), (1234.0, "1,234")])
def test_hits_are_said_in_plain_numbers(n_hits, said):
    assert pictures._readable(n_hits) == said


@settings(deadline=None, max_examples=8)
@given(st.lists(st.floats(0, 3000), min_size=1, max_size=14), st.integers(1, 5000))
def test_labels_of_lines_never_cover_each_other(hits, n_ranked):
    drawn = figure(pictures._line_figure, [line(f"model {i}", n_hits=n, n_ranked=n_ranked) for i, n in enumerate(hits)], "")
    boxes = [Text.get_window_extent(text) for text in drawn.axes[0].texts]  # without the leaders
    heights = [(box.y0, box.y1) for box in boxes]
    assert not any(min(one[1], other[1]) - max(one[0], other[0]) > 1e-6 for one, other in combinations(heights, 2))


@given(st.lists(st.floats(-1e3, 1e3), max_size=30))
def test_pooled_values_never_fall_and_keep_their_mean(values):
    found = canvas._not_falling(values)
    assert all(one <= other + 1e-9 for one, other in pairwise(found))
    assert sum(found) == pytest.approx(sum(values), abs=1e-6)
    if values == sorted(values):
        assert found == values


def test_many_arms_can_be_told_apart():
    styles = pictures._styles([f"model {i}" for i in range(20)])
    assert len(set(styles.values())) == 20


def test_each_k_has_a_panel_and_each_arm_its_numbers():
    drawn = figure(pictures._comparison_figure, [point(arm, k=k) for k in (100, 1000) for arm in ARMS], "")
    assert [panel.get_title(loc="left") for panel in drawn.axes] == ["First 100", "First 1,000"]
    assert [label.get_text() for label in drawn.axes[0].get_yticklabels()] == list(ARMS)
    assert texts(drawn.axes[1]) == ["30.0 ± 1.5"] * 3


def test_several_classes_are_named_and_missing_arms_left_out():
    drawn = figure(pictures._comparison_figure, [point(), point("tucker"), point("tucker", "quinary", n_hits=0.0, error=None)], "")
    assert [panel.get_title(loc="left") for panel in drawn.axes] == ["Ternary, first 100", "Quinary, first 100"]
    assert texts(drawn.axes[1]) == ["0.0"]


@pytest.mark.parametrize(
    ("value", "error", "said"), [(323.4, 2.4, "323 ± 2"), (4.0, None, "4.0"), (-12.04, 0.25, "-12.0 ± 0.2"), (2911.6, 10.2, "2,912 ± 10")]
)
def test_numbers_with_errors(value, error, said):
    assert pictures.number_with_error(value, error) == said


@pytest.mark.parametrize("in_steps", [False, True])
def test_parts_are_in_order_and_ratios_written(in_steps):
    points = [point(arm, fraction=fraction) for fraction in (1.0, 0.1, 0.01) for arm in ARMS]
    drawn = figure(pictures._fraction_figure, points, "", in_steps=in_steps)
    hits, ratio = drawn.axes
    assert hits.get_title(loc="left") == "Ternary: hits in the first 100"
    assert ratio.get_title(loc="left") == "Hits relative to: fm"
    assert [label.get_text().split("\n")[0] for label in hits.get_xticklabels()] == ["1 %", "10 %", "100 %"]
    assert texts(ratio) == ["0.90"] * 6
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == list(ARMS)


def test_of_several_k_the_largest_is_drawn_by_fraction(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(pictures, "_fraction_figure", lambda points, *_, **__: seen.extend(points))
    monkeypatch.setattr(pictures, "write_pictures", lambda draw, _: draw() or [])
    draw_hits_by_fraction([point(k=k, fraction=fraction) for k in (100, 3000, 20) for fraction in (0.1, 1.0)], tmp_path / "x")
    assert [item.k for item in seen] == [3000, 3000]
