"""What all pictures share: style, colours, labels beside points, and both formats written or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from crcrank.artifacts.store import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

Curve = TypeVar("Curve", bound="ClassCurve")

INK, QUIET, FAINT = "#222222", "#6b6b6b", "#d9d9d9"
# Okabe & Ito, https://jfly.uni-koeln.de/color: distinct to colour-blind readers; yellow is left out, too light for lines.
COLOURS: tuple[str, ...] = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_POINTS_PER_INCH, _DPI = 72, 100
# Where a label stands beside its point: offset in points, horizontal and vertical alignment.
_SIDES = {
    "above left": ((-6, 4), "right", "bottom"),
    "above right": ((6, 4), "left", "bottom"),
    "below right": ((8, -2), "left", "top"),
    "right": ((10, 0), "left", "center"),
}
STYLE = {
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
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
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a holdout's name is just that
    "xtick.color": QUIET,
    "xtick.labelsize": 11,
    "ytick.color": QUIET,
    "ytick.labelsize": 11,
}


def write_pictures(draw: Callable[[], Figure], out: Path) -> list[Path]:
    """Write a figure, drawn in the style of all pictures, as PNG and SVG; the same figure gives the same bytes.

    Parameters
    ----------
    out
        Path of the pictures; its suffix, ``.png`` or ``.svg`` or none, is replaced by each of the two.

    Returns
    -------
    The PNG and the SVG written, each complete or absent.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    from matplotlib import style

    stem = out.with_suffix("") if out.suffix in {".png", ".svg"} else out
    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("png", "svg")]
    with style.context(["default", STYLE]):
        figure = draw()
        for path, metadata in zip(paths, ({"Software": None}, {"Date": None, "Creator": None}), strict=True):
            with replacing(path) as temporary:
                figure.savefig(temporary, format=path.suffix[1:], metadata=metadata)
    return paths


def show_plain_numbers(axis: Axis) -> None:
    """Label the large ticks of an axis with whole numbers, and no small ones."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.set_minor_locator(NullLocator())


def turning_points(hits: npt.NDArray[np.int64] | npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the k at which a step line changes, with both ends: thousands of points would only swell the SVG."""
    is_turn = np.diff(hits, prepend=-1) != 0
    is_turn[-1:] = True
    return np.flatnonzero(is_turn) + 1


def label(panel: Axes, text: str, point: tuple[float, float], side: str, colour: str, *, weight: str = "normal") -> Annotation:
    """Write a text beside a point, on one of its sides."""
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


class ClassCurve(Protocol):
    """A curve of one holdout in one class."""

    @property
    def composition_class(self) -> str:
        """Whose panel it is in."""

    @property
    def holdout(self) -> str:
        """Whose colour it has."""


def figure_by_class(
    curves: Sequence[Curve],
    draw_panel: Callable[[Axes, list[Curve], dict[str, str], set[str]], list[Annotation]],
    finish: Callable[[Figure], None],
    *,
    sharex: bool,
) -> Figure:
    """Return a figure with one panel per class.

    Parameters
    ----------
    curves
        Panels and colours follow their order.
    draw_panel
        Draws the curves of one class, given the colour of each holdout and the holdouts that panels to the right have too, and returns
        the labels in the order in which they claim their places.
    finish
        What all panels are given before labels are moved apart.
    sharex
        Whether the classes have the same horizontal axis.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    classes = list(dict.fromkeys(curve.composition_class for curve in curves))
    holdouts = list(dict.fromkeys(curve.holdout for curve in curves))
    colour_by_holdout = {holdout: COLOURS[i % len(COLOURS)] for i, holdout in enumerate(holdouts)}
    n_columns = len(classes) if len(classes) <= 3 else 2
    n_rows = -(-len(classes) // n_columns)
    height = {1: 6.8, 2: 5.6, 3: 4.9}[n_columns] if n_rows == 1 else 4.8 * n_rows
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12, wspace=0.03, hspace=0.05)
    figure = Figure(figsize=(12, height), layout=layout)
    panels = figure.subplots(n_rows, n_columns, sharex=sharex, sharey=True, squeeze=False).flat
    labels: list[list[Annotation]] = []
    for i, panel in enumerate(panels):
        if i < len(classes):
            own = [curve for curve in curves if curve.composition_class == classes[i]]
            rest_of_row = classes[i + 1 : (i // n_columns + 1) * n_columns]
            named_later = {curve.holdout for curve in curves if curve.composition_class in rest_of_row}
            labels.append(draw_panel(panel, own, colour_by_holdout, named_later))
        else:
            panel.remove()
    finish(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for panel_labels in labels:
        move_apart(panel_labels)
    return figure


def move_apart(labels: Sequence[Annotation]) -> None:
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


def spread_labels(panel: Axes, labels: Sequence[Annotation]) -> None:
    """Move labels beside a panel up or down until none covers another: in their order, by the least sum of squares."""
    from matplotlib.text import Text

    boxes = [Text.get_window_extent(label) for label in labels]  # without the lines that lead to them
    order = sorted(range(len(labels)), key=lambda i: (boxes[i].y0, -i))
    step = max(box.height for box in boxes) + 1
    wanted = [boxes[i].y0 - place * step for place, i in enumerate(order)]
    low = panel.get_window_extent().y0 - step / 2
    for place, (i, y0) in enumerate(zip(order, _not_falling(wanted), strict=True)):
        rise = max(y0, low) + place * step - boxes[i].y0
        x, y = labels[i].xyann
        labels[i].xyann = (x, y + rise * _POINTS_PER_INCH / _DPI)


def _not_falling(values: Sequence[float]) -> list[float]:
    """Return the nearest values that never fall: neighbours that would are pooled to their mean."""
    pools: list[tuple[float, int]] = []
    for value in values:
        pool = (value, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, n = pools.pop()
            pool = ((mean * n + pool[0] * pool[1]) / (n + pool[1]), n + pool[1])
        pools.append(pool)
    return [mean for mean, n in pools for _ in range(n)]
