"""The picture of discovery: hits against recommendations examined, beside chance and perfection."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from crcrank.artifacts.store import replacing
from crcrank.errors import InputDataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

_ANNOTATED_CUTOFFS = (100, 1000, 3000)
_INK, _QUIET, _FAINT = "#222222", "#6b6b6b", "#d9d9d9"
# Okabe & Ito, https://jfly.uni-koeln.de/color: distinct to colour-blind readers; yellow is left out, too light for lines.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_NAME_WIDTH = 14
_POINTS_PER_INCH, _DPI = 72, 100
# Where a label stands beside its point: offset in points, horizontal and vertical alignment.
_SIDES = {
    "above left": ((-6, 4), "right", "bottom"),
    "above right": ((6, 4), "left", "bottom"),
    "below right": ((8, -2), "left", "top"),
    "right": ((10, 0), "left", "center"),
}
_STYLE = {
    "axes.edgecolor": _QUIET,
    "axes.labelcolor": _INK,
    "axes.labelsize": 12,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 14,
    "axes.titlesize": 14,
    "axes.titleweight": "bold",
    "figure.dpi": _DPI,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",  # comes with matplotlib, hence the same picture everywhere
    "font.size": 11,
    "savefig.dpi": 2 * _DPI,
    "svg.fonttype": "path",
    "svg.hashsalt": "crcrank",
    "text.color": _INK,
    "text.parse_math": False,  # a dollar sign in a holdout's name is just that
    "xtick.color": _QUIET,
    "xtick.labelsize": 11,
    "ytick.color": _QUIET,
    "ytick.labelsize": 11,
}


@dataclass(frozen=True)
class DiscoveryCurve:
    """Hits of one holdout along one ranking.

    Parameters
    ----------
    composition_class
        Class of the ranking; each class has its panel.
    holdout
        Name of the holdout, written beside its line.
    hits
        Hits among the first k = 1, 2, ... recommendations; int64 of shape (n_ranked,), never decreasing.
    n_reachable
        Holdout formulas that the ranking could have listed.
    base_rate
        Hit rate that a random ranking expects.
    """

    composition_class: str
    holdout: str
    hits: npt.NDArray[np.int64]
    n_reachable: int
    base_rate: float


def draw_discovery(curves: Sequence[DiscoveryCurve], out: Path) -> list[Path]:
    """Draw hits against recommendations examined, one panel per composition class, one line per holdout.

    Both axes are logarithmic (hits linear from 0 to 1), so that the height of a line above the random expectation
    is its enrichment. The same curves give the same bytes.

    Parameters
    ----------
    curves
        At least one; panels and colours follow their order.
    out
        Path of the pictures; its suffix, ``.png`` or ``.svg`` or none, is replaced by each of the two.

    Returns
    -------
    The PNG and the SVG written, each complete or absent.

    Raises
    ------
    InputDataError
        If there is no curve.
    OutputError
        If the folder cannot be written.
    """
    if not curves:
        raise InputDataError(f"{out}: there is no discovery curve to draw")
    from matplotlib import style

    stem = out.with_suffix("") if out.suffix in {".png", ".svg"} else out
    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("png", "svg")]
    with style.context(["default", _STYLE]):
        figure = _draw_figure(curves)
        for path, metadata in zip(paths, ({"Software": None}, {"Date": None, "Creator": None}), strict=True):
            with replacing(path) as temporary:
                figure.savefig(temporary, format=path.suffix[1:], metadata=metadata)
    return paths


def _draw_figure(curves: Sequence[DiscoveryCurve]) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    classes = list(dict.fromkeys(curve.composition_class for curve in curves))
    holdouts = list(dict.fromkeys(curve.holdout for curve in curves))
    colour_by_holdout = {holdout: _COLOURS[i % len(_COLOURS)] for i, holdout in enumerate(holdouts)}
    n_columns = len(classes) if len(classes) <= 3 else 2
    n_rows = -(-len(classes) // n_columns)
    height = {1: 6.8, 2: 5.6, 3: 4.9}[n_columns] if n_rows == 1 else 4.8 * n_rows

    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12, wspace=0.03, hspace=0.05)
    figure = Figure(figsize=(12, height), layout=layout)
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).flat
    labels: list[list[Annotation]] = []
    for i, panel in enumerate(panels):
        if i < len(classes):
            own = [curve for curve in curves if curve.composition_class == classes[i]]
            rest_of_row = classes[i + 1 : (i // n_columns + 1) * n_columns]
            named_later = {curve.holdout for curve in curves if curve.composition_class in rest_of_row}
            labels.append(_draw_panel(panel, own, colour_by_holdout, named_later))
        else:
            panel.remove()
    _set_scales(figure.axes[0], curves)
    for panel in figure.axes:
        panel.set(xlabel="Recommendations examined", ylabel="Hits (real compounds unknown to training)")
        panel.label_outer()

    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for panel_labels in labels:
        _move_apart(panel_labels)
    return figure


def _set_scales(panel: Axes, curves: Sequence[DiscoveryCurve]) -> None:
    """Scale all panels, which share their axes, to the longest ranking and the best possible number of hits."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    n_ranked = max(10, *(len(curve.hits) for curve in curves))
    n_hits = max(10, *(min(len(curve.hits), curve.n_reachable) for curve in curves))
    panel.set_xscale("log")
    panel.set_yscale("symlog", linthresh=1, linscale=0.4)
    panel.set_xlim(1, n_ranked * 1.02)
    panel.set_ylim(0, n_hits * 1.5)
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axis.set_minor_locator(NullLocator())


def _draw_panel(
    panel: Axes, curves: Sequence[DiscoveryCurve], colour_by_holdout: dict[str, str], named_later: set[str]
) -> list[Annotation]:
    """Draw one class and return its labels in the order in which they claim their places; holdouts named later are not named here."""
    panel.set_title(curves[0].composition_class.capitalize())
    panel.grid(axis="y", color=_FAINT, linewidth=0.5)
    panel.set_axisbelow(True)
    panel.tick_params(length=3)
    _draw_guides(panel, curves)
    for curve in curves:
        k = _turning_points(curve.hits)
        panel.plot(
            k, curve.hits[k - 1], color=colour_by_holdout[curve.holdout], linewidth=2, drawstyle="steps-post", clip_on=False, zorder=3
        )
    return [
        *_label_cutoffs(panel, curves, colour_by_holdout),
        *_label_ends(panel, [curve for curve in curves if curve.holdout not in named_later], colour_by_holdout),
        *_label_guides(panel, curves),
    ]


def _draw_guides(panel: Axes, curves: Sequence[DiscoveryCurve]) -> None:
    """Draw the best possible ranking (every recommendation a hit until none is left) and the random expectations."""
    n_ranked = max(1, *(len(curve.hits) for curve in curves))
    n_perfect = min(n_ranked, max(curve.n_reachable for curve in curves))
    if n_perfect:
        panel.plot([1, n_perfect, n_ranked], [1, n_perfect, n_perfect], color=_FAINT, linewidth=1.2)
    for base_rate in {curve.base_rate: None for curve in curves}:
        k = np.geomspace(1, n_ranked, 100)
        panel.plot(k, k * base_rate, color=_QUIET, linewidth=1.2, linestyle=(0, (4, 3)))


def _turning_points(hits: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the k at which a step line changes, with both ends: thousands of points would only swell the SVG."""
    is_turn = np.diff(hits, prepend=-1) != 0
    is_turn[-1:] = True
    return np.flatnonzero(is_turn) + 1


def _label_cutoffs(panel: Axes, curves: Sequence[DiscoveryCurve], colour_by_holdout: dict[str, str]) -> Iterator[Annotation]:
    """Mark the hits among the first 100, 1000, 3000 (or among all of fewer); the numbers stand above the best line, best on top."""
    n_ranked = max(len(curve.hits) for curve in curves)
    for k in [k for k in _ANNOTATED_CUTOFFS if k <= n_ranked] or [n_ranked]:
        rising = sorted((curve for curve in reversed(curves) if len(curve.hits) >= k > 0), key=lambda curve: int(curve.hits[k - 1]))
        for curve in rising:
            n_hits, colour = int(curve.hits[k - 1]), colour_by_holdout[curve.holdout]
            panel.plot(k, n_hits, "o", color=colour, markersize=7, markeredgecolor="white", clip_on=False, zorder=4)
            yield _label(panel, f"{n_hits:,} of {k:,}", (k, int(rising[-1].hits[k - 1])), "above left", colour)


def _label_ends(panel: Axes, curves: Sequence[DiscoveryCurve], colour_by_holdout: dict[str, str]) -> Iterator[Annotation]:
    """Name each holdout where its line ends."""
    for curve in sorted(curves, key=lambda curve: curve.hits[-1:].tolist()):
        colour = colour_by_holdout[curve.holdout]
        if len(curve.hits):
            name = textwrap.fill(curve.holdout, _NAME_WIDTH, break_long_words=False)
            yield _label(panel, name, (len(curve.hits), int(curve.hits[-1])), "right", colour, weight="bold")
        else:
            yield _label(panel, f"{curve.holdout}: nothing ranked", (1, 0), "above right", colour)


def _label_guides(panel: Axes, curves: Sequence[DiscoveryCurve]) -> Iterator[Annotation]:
    """Say what the guides are, and how many hits chance expects in the whole ranking."""
    n_ranked = max(len(curve.hits) for curve in curves)
    n_perfect = min(n_ranked, max(curve.n_reachable for curve in curves))
    expected = sorted(n_ranked * curve.base_rate for curve in curves)
    if n_ranked >= 10:
        text = " to ".join(dict.fromkeys(_readable(number) for number in (expected[0], expected[-1])))
        k, side = (n_ranked, "above left") if expected[-1] < 10 else (n_ranked / expected[-1] ** 0.6, "below right")
        yield _label(panel, f"at random: {text}", (k, k * expected[-1] / n_ranked), side, _QUIET)
    if n_perfect >= 30:
        yield _label(panel, "perfect ranking", (n_perfect**0.75, n_perfect**0.75), "above left", _QUIET)


def _readable(expected: float) -> str:
    if expected < 0.001:
        return "< 0.001"
    return f"{expected:,.0f}" if expected >= 10 else f"{expected:.2g}"


def _label(panel: Axes, text: str, point: tuple[float, float], side: str, colour: str, *, weight: str = "normal") -> Annotation:
    from matplotlib.patheffects import withStroke

    offset, horizontal, vertical = _SIDES[side]
    return panel.annotate(
        text,
        point,
        offset,
        textcoords="offset points",
        ha=horizontal,
        va=vertical,
        color=colour,
        weight=weight,
        annotation_clip=False,
        path_effects=[withStroke(linewidth=3, foreground="white")],
        zorder=5,
    )


def _move_apart(labels: Sequence[Annotation]) -> None:
    """Raise each label until it covers none of those before it."""
    placed: list[Bbox] = []
    for label in labels:
        box = label.get_window_extent()
        while blockers := [other for other in placed if other.overlaps(box)]:
            rise = max(other.y1 for other in blockers) - box.y0 + 1
            box = box.translated(0, rise)
            x, y = label.xyann
            label.xyann = (x, y + rise * _POINTS_PER_INCH / _DPI)
        placed.append(box)
