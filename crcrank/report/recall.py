"""The picture of recall to the end: how far one must read, of all candidates of a class, to find each share of a holdout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from crcrank.errors import InputDataError
from crcrank.report.canvas import FAINT, QUIET, figure_by_class, label, write_pictures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

_N_POINTS = 400
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class RecallCurve:
    """Ranks of one holdout in one class.

    Parameters
    ----------
    composition_class, holdout
        Each class has its panel, each holdout its line.
    ranks
        Ascending, at least one, int64 (n,).
    n_unknown
        Candidates that the ranking chose from.
    """

    composition_class: str
    holdout: str
    ranks: npt.NDArray[np.int64]
    n_unknown: int


def draw_recall(curves: Sequence[RecallCurve], out: Path) -> list[Path]:
    """Draw recall against rank on a logarithmic axis from 1 to the size of the class, one panel per class.

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
        raise InputDataError(f"{out}: there is no recall curve to draw")
    return write_pictures(lambda: _draw_figure(curves), out)


def _draw_figure(curves: Sequence[RecallCurve]) -> Figure:
    return figure_by_class(curves, _draw_panel, _finish, sharex=False)


def _finish(figure: Figure) -> None:
    for panel in figure.axes:
        panel.set(xlabel="Rank among all candidates", ylabel="Share of the holdout found")
        panel.label_outer()
        panel.tick_params(labelbottom=True)


def _draw_panel(panel: Axes, curves: Sequence[RecallCurve], colour_by_holdout: dict[str, str], _: set[str]) -> list[Annotation]:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

    n_unknown = max(curve.n_unknown for curve in curves)
    panel.set_title(curves[0].composition_class.capitalize())
    panel.set_xscale("log")
    panel.set_xlim(1, max(10, n_unknown))
    panel.set_ylim(0, 1)
    panel.xaxis.set_major_locator(LogLocator(numticks=7))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panel.grid(axis="y", color=FAINT, linewidth=0.5)
    panel.set_axisbelow(True)
    k = np.geomspace(1, n_unknown, 200)
    panel.plot(k, k / n_unknown, color=QUIET, linewidth=1.2, linestyle=(0, (4, 3)))
    for curve in curves:
        panel.plot(*_steps(curve), color=colour_by_holdout[curve.holdout], linewidth=2, drawstyle="steps-post", zorder=3)
    return list(_label_medians(panel, curves, colour_by_holdout))


def _power(value: float) -> str:
    """Return a power of ten as its axis shows it."""
    exponent = round(np.log10(value))
    return f"{10**exponent:,}" if exponent < 4 else "10" + str(exponent).translate(_SUPERSCRIPTS)


def _steps(curve: RecallCurve) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return ranks and shares found by then, no more points than one can see."""
    n = len(curve.ranks)
    rows = np.unique(np.linspace(0, n - 1, min(n, _N_POINTS)).round().astype(np.int64))
    ranks = np.concatenate([[1.0], curve.ranks[rows], [curve.n_unknown]])
    return ranks, np.concatenate([[0.0], (rows + 1) / n, [1.0]])


def _label_medians(panel: Axes, curves: Sequence[RecallCurve], colour_by_holdout: dict[str, str]) -> Iterator[Annotation]:
    for curve in curves:
        median, colour = int(curve.ranks[(len(curve.ranks) - 1) // 2]), colour_by_holdout[curve.holdout]
        panel.plot(median, 0.5, "o", color=colour, markersize=7, markeredgecolor="white", zorder=4)
        yield label(panel, f"{curve.holdout}: median {median:,}", (1, 0.98 - 0.06 * len(curves)), "above right", colour, weight="bold")
    n_unknown = max(curve.n_unknown for curve in curves)
    yield label(panel, "at random", (n_unknown / 3, 1 / 3), "above left", QUIET)
