"""The picture of discovery: hits against recommendations examined, beside chance and perfection."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from crcrank.errors import InputDataError
from crcrank.report.canvas import FAINT, QUIET, figure_by_class, label, show_plain_numbers, turning_points, write_pictures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

_ANNOTATED_CUTOFFS = (100, 1000, 3000)
_NAME_WIDTH = 14


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
    return write_pictures(lambda: _draw_figure(curves), out)


def _draw_figure(curves: Sequence[DiscoveryCurve]) -> Figure:
    def finish(figure: Figure) -> None:
        _set_scales(figure.axes[0], curves)
        for panel in figure.axes:
            panel.set(xlabel="Recommendations examined", ylabel="Hits (real compounds unknown to training)")
            panel.label_outer()

    return figure_by_class(curves, _draw_panel, finish, sharex=True)


def _set_scales(panel: Axes, curves: Sequence[DiscoveryCurve]) -> None:
    """Scale all panels, which share their axes, to the longest ranking and the best possible number of hits."""
    n_ranked = max(10, *(len(curve.hits) for curve in curves))
    n_hits = max(10, *(min(len(curve.hits), curve.n_reachable) for curve in curves))
    panel.set_xscale("log")
    panel.set_yscale("symlog", linthresh=1, linscale=0.4)
    panel.set_xlim(1, n_ranked * 1.02)
    panel.set_ylim(0, n_hits * 1.5)
    for axis in (panel.xaxis, panel.yaxis):
        show_plain_numbers(axis)


def _draw_panel(
    panel: Axes, curves: Sequence[DiscoveryCurve], colour_by_holdout: dict[str, str], named_later: set[str]
) -> list[Annotation]:
    """Draw one class and return its labels in the order in which they claim their places; holdouts named later are not named here."""
    panel.set_title(curves[0].composition_class.capitalize())
    panel.grid(axis="y", color=FAINT, linewidth=0.5)
    panel.set_axisbelow(True)
    panel.tick_params(length=3)
    _draw_guides(panel, curves)
    for curve in curves:
        k = turning_points(curve.hits)
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
        panel.plot([1, n_perfect, n_ranked], [1, n_perfect, n_perfect], color=FAINT, linewidth=1.2)
    for base_rate in {curve.base_rate: None for curve in curves}:
        k = np.geomspace(1, n_ranked, 100)
        panel.plot(k, k * base_rate, color=QUIET, linewidth=1.2, linestyle=(0, (4, 3)))


def _label_cutoffs(panel: Axes, curves: Sequence[DiscoveryCurve], colour_by_holdout: dict[str, str]) -> Iterator[Annotation]:
    """Mark the hits among the first 100, 1000, 3000 (or among all of fewer); the numbers stand above the best line, best on top."""
    n_ranked = max(len(curve.hits) for curve in curves)
    for k in [k for k in _ANNOTATED_CUTOFFS if k <= n_ranked] or [n_ranked]:
        rising = sorted((curve for curve in reversed(curves) if len(curve.hits) >= k > 0), key=lambda curve: int(curve.hits[k - 1]))
        for curve in rising:
            n_hits, colour = int(curve.hits[k - 1]), colour_by_holdout[curve.holdout]
            panel.plot(k, n_hits, "o", color=colour, markersize=7, markeredgecolor="white", clip_on=False, zorder=4)
            yield label(panel, f"{n_hits:,} of {k:,}", (k, int(rising[-1].hits[k - 1])), "above left", colour)


def _label_ends(panel: Axes, curves: Sequence[DiscoveryCurve], colour_by_holdout: dict[str, str]) -> Iterator[Annotation]:
    """Name each holdout where its line ends."""
    for curve in sorted(curves, key=lambda curve: curve.hits[-1:].tolist()):
        colour = colour_by_holdout[curve.holdout]
        if len(curve.hits):
            name = textwrap.fill(curve.holdout, _NAME_WIDTH, break_long_words=False)
            yield label(panel, name, (len(curve.hits), int(curve.hits[-1])), "right", colour, weight="bold")
        else:
            yield label(panel, f"{curve.holdout}: nothing ranked", (1, 0), "above right", colour)


def _label_guides(panel: Axes, curves: Sequence[DiscoveryCurve]) -> Iterator[Annotation]:
    """Say what the guides are, and how many hits chance expects in the whole ranking."""
    n_ranked = max(len(curve.hits) for curve in curves)
    n_perfect = min(n_ranked, max(curve.n_reachable for curve in curves))
    expected = sorted(n_ranked * curve.base_rate for curve in curves)
    if n_ranked >= 10:
        text = " to ".join(dict.fromkeys(_readable(number) for number in (expected[0], expected[-1])))
        k, side = (n_ranked, "above left") if expected[-1] < 10 else (n_ranked / expected[-1] ** 0.6, "below right")
        yield label(panel, f"at random: {text}", (k, k * expected[-1] / n_ranked), side, QUIET)
    if n_perfect >= 30:
        yield label(panel, "perfect ranking", (n_perfect**0.75, n_perfect**0.75), "above left", QUIET)


def _readable(expected: float) -> str:
    if expected < 0.001:
        return "< 0.001"
    return f"{expected:,.0f}" if expected >= 10 else f"{expected:.2g}"
