"""The pictures of a study: hits against k, arms side by side at each k, and hits against the part trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from crcrank.errors import InputDataError
from crcrank.report.canvas import COLOURS, FAINT, INK, QUIET, show_plain_numbers, spread_labels, turning_points, write_pictures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

_AT_RANDOM = "at random"
_SMALL = 9.5
_SOLID, _DASHED = "solid", (0, (3, 1.4))
# Tol, https://sronpersonalpages.nl/~pault: five more that go with the common six.
_MORE_COLOURS = (*COLOURS, "#882255", "#999933", "#332288", "#44AA99", "#661100")


@dataclass(frozen=True)
class StudyLine:
    """Hits of an arm along the rankings of a class.

    Parameters
    ----------
    hits
        Mean over the seeds of the hits among the first k = 1, 2, ...; float64 of shape (n_ranked,), never decreasing.
    base_rate
        Hit rate that a random ranking expects.
    """

    composition_class: str
    arm: str
    hits: npt.NDArray[np.float64]
    base_rate: float


@dataclass(frozen=True)
class StudyPoint:
    """Hits of an arm at one k, over its seeds; what has no error has None.

    Parameters
    ----------
    fraction, n_known_fitted
        Part of the known compositions trained on, and their number.
    n_hits, error, by_seed
        Mean, its standard error, and what it is the mean of.
    difference, difference_error
        Mean difference to the first arm on the same seeds, and its standard error; None where there is nothing to compare with.
    relative, relative_error
        Hits in units of the first arm's on the same seeds, and the standard error of the difference in the same unit; None as before.
    """

    composition_class: str
    arm: str
    k: int
    fraction: float
    n_known_fitted: float
    n_hits: float
    error: float | None
    by_seed: tuple[int, ...]
    difference: float | None
    difference_error: float | None
    relative: float | None
    relative_error: float | None


def draw_hits_against_k(lines: Sequence[StudyLine], out: Path, *, title: str = "") -> list[Path]:
    """Draw a panel for each class and a line for each arm, both axes logarithmic (hits linear from 0 to 1).

    Parameters
    ----------
    lines
        At least one; panels and colours follow their order, and the first arm is drawn strongest.
    out
        Path of the pictures, as of :func:`crcrank.report.canvas.write_pictures`.

    Returns
    -------
    The PNG and the SVG written.

    Raises
    ------
    InputDataError
        If there is nothing to draw.
    OutputError
        If the folder cannot be written.
    """
    _check_any(lines, out)
    return write_pictures(lambda: _line_figure(lines, title), out)


def draw_comparison(points: Sequence[StudyPoint], out: Path, *, title: str = "") -> list[Path]:
    """Draw a row of panels for each class, a panel for each k, and in it the hits of each arm with standard errors and seeds.

    Parameters, returns and errors are those of :func:`draw_hits_against_k`; the first arm is what the others are compared with.
    """
    _check_any(points, out)
    return write_pictures(lambda: _comparison_figure(points, title), out)


def draw_hits_by_fraction(points: Sequence[StudyPoint], out: Path, *, title: str = "", in_steps: bool = False) -> list[Path]:
    """Draw hits against the part of the known compositions trained on, and beside it the same in units of the first arm.

    Parameters, returns and errors are those of :func:`draw_hits_against_k`; of several k the largest is drawn. ``in_steps`` says
    that the arms are steps of one thing, such as the number of prior components.
    """
    _check_any(points, out)
    largest = max(point.k for point in points)
    shown = [point for point in points if point.k == largest]
    return write_pictures(lambda: _fraction_figure(shown, title, in_steps=in_steps), out)


def _check_any(items: Sequence[object], out: Path) -> None:
    if not items:
        raise InputDataError(f"{out}: the study has nothing to draw")


def _styles(arms: Sequence[str]) -> dict[str, tuple[str, Any]]:
    """Return colour and dashes of each arm; arms beyond the colours are dashed."""
    n = len(_MORE_COLOURS)
    return {arm: (_MORE_COLOURS[i % n], _SOLID if i < n else _DASHED) for i, arm in enumerate(arms)}


def _shades(arms: Sequence[str]) -> dict[str, str]:
    """Return grey for the first arm and blues that darken for the others, which are steps of one thing."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    blues = colormaps["Blues"](np.linspace(0.4, 0.95, max(1, len(arms) - 1)))
    return dict(zip(arms, ["#a8a8a8", *(to_hex(blue) for blue in blues)], strict=False))


def _new_figure(width: float, height: float, title: str) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12, wspace=0.03, hspace=0.06))
    if title:
        figure.suptitle(title, x=0.012, ha="left", fontsize=15, weight="bold")
    return figure


def _order(items: Sequence[StudyLine] | Sequence[StudyPoint], field: str) -> list[Any]:
    return list(dict.fromkeys(getattr(item, field) for item in items))


# ---- hits against k ----


def _line_figure(lines: Sequence[StudyLine], title: str) -> Figure:
    classes, styles = _order(lines, "composition_class"), _styles(_order(lines, "arm"))
    n_columns = len(classes) if len(classes) <= 3 else 2
    n_rows = -(-len(classes) // n_columns)
    width = {1: 9.0, 2: 12.5, 3: 15.5}[n_columns]
    figure = _new_figure(width, 0.4 + 5.2 * n_rows, title)
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).flat
    labels = []
    for i, panel in enumerate(panels):
        if i < len(classes):
            labels.append(_draw_lines(panel, [line for line in lines if line.composition_class == classes[i]], styles))
        else:
            panel.remove()
    _scale_lines(figure.axes[0], lines)
    for panel in figure.axes:
        panel.set(xlabel="Recommendations examined", ylabel="Hits")
        panel.label_outer()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for panel, panel_labels in zip(figure.axes, labels, strict=True):
        spread_labels(panel, panel_labels)
    return figure


def _draw_lines(panel: Axes, lines: Sequence[StudyLine], styles: Mapping[str, tuple[str, Any]]) -> list[Annotation]:
    """Draw a class and return the labels at the ends of its lines."""
    panel.set_title(lines[0].composition_class.capitalize())
    panel.grid(axis="y", color=FAINT, linewidth=0.5)
    panel.set_axisbelow(True)
    panel.tick_params(length=3)
    longest = max(lines, key=lambda line: len(line.hits))
    k = np.geomspace(1, len(longest.hits), 100)
    panel.plot(k, k * longest.base_rate, color=QUIET, linewidth=1.2, linestyle=(0, (1, 1.6)))
    labels = [_end_label(panel, _AT_RANDOM, (k[-1], k[-1] * longest.base_rate), QUIET)]
    for i, line in enumerate(lines):
        colour, dashes = styles[line.arm]
        turns = turning_points(line.hits)
        width, height = (2.6, 5) if i == 0 else (1.5, 4)
        style: dict[str, Any] = {"color": colour, "linewidth": width, "linestyle": dashes, "zorder": height}
        panel.plot(turns, line.hits[turns - 1], drawstyle="steps-post", **style)
        labels.append(_end_label(panel, line.arm, (len(line.hits), float(line.hits[-1])), colour, bold=i == 0))
    return labels


def _end_label(panel: Axes, name: str, point: tuple[float, float], colour: str, *, bold: bool = False) -> Annotation:
    """Write a name and the number of hits to the right of the end of a line."""
    return panel.annotate(
        f"{_readable(point[1])}  {name}",
        point,
        (16, 0),
        textcoords="offset points",
        va="center",
        color=colour,
        fontsize=_SMALL,
        weight="bold" if bold else "normal",
        annotation_clip=False,
        arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 2, "relpos": (0, 0.5)},
        zorder=5,
    )


def _readable(n_hits: float) -> str:
    if 0 < n_hits < 0.001:
        return "< 0.001"
    return f"{n_hits:,.0f}" if n_hits >= 9.95 else f"{n_hits:.2g}"


def _scale_lines(panel: Axes, lines: Sequence[StudyLine]) -> None:
    n_ranked = max(10, *(len(line.hits) for line in lines))
    n_hits = max(10.0, *(float(line.hits[-1]) for line in lines))
    panel.set_xscale("log")
    panel.set_yscale("symlog", linthresh=1, linscale=0.4)
    panel.set_xlim(10 if n_ranked >= 1000 else 1, n_ranked * 1.02)
    panel.set_ylim(0, n_hits * 1.3)
    for axis in (panel.xaxis, panel.yaxis):
        show_plain_numbers(axis)


# ---- arms side by side ----


def _comparison_figure(points: Sequence[StudyPoint], title: str) -> Figure:
    classes, cutoffs, arms = (_order(points, field) for field in ("composition_class", "k", "arm"))
    styles = _styles(arms)
    height = len(classes) * (1.0 + 0.32 * len(arms)) + 0.7
    figure = _new_figure(2.0 + 3.2 * len(cutoffs), height, title)
    panels = figure.subplots(len(classes), len(cutoffs), sharey=True, squeeze=False)
    for row, name in zip(panels, classes, strict=True):
        for panel, k in zip(row, cutoffs, strict=True):
            own = {point.arm: point for point in points if (point.composition_class, point.k) == (name, k)}
            panel.set_title(f"{name.capitalize()}, first {k:,}" if len(classes) > 1 else f"First {k:,}", fontsize=12, pad=8)
            _draw_dots(panel, own, arms, styles)
    for panel in panels[-1]:
        panel.set_xlabel("Hits")
    return figure


def _draw_dots(panel: Axes, points: Mapping[str, StudyPoint], arms: Sequence[str], styles: Mapping[str, tuple[str, Any]]) -> None:
    """Draw a line for each arm: its seeds, mean and standard error, and the numbers beside it; the first arm guides the eye."""
    panel.set_yticks(range(len(arms)), arms)
    panel.set_ylim(len(arms) - 0.5, -0.5)
    panel.tick_params(axis="y", length=0, labelcolor=INK)
    panel.tick_params(axis="x", length=3)
    panel.spines["left"].set_visible(False)
    panel.hlines(range(len(arms)), 0, 1, transform=panel.get_yaxis_transform(), color=FAINT, linewidth=0.5, zorder=0)
    if arms[0] in points:
        panel.axvline(points[arms[0]].n_hits, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    for place, arm in enumerate(arms):
        if arm in points:
            _draw_dot(panel, points[arm], place, styles[arm][0])
    largest = max((max(point.by_seed) for point in points.values()), default=1)
    panel.set_xlim(-0.03 * max(largest, 1), 1.06 * max(largest, 1))
    _few_ticks(panel.xaxis)


def _draw_dot(panel: Axes, point: StudyPoint, place: int, colour: str) -> None:
    places = [place] * len(point.by_seed)
    panel.plot(point.by_seed, places, "|", color=colour, alpha=0.5, markersize=9, markeredgewidth=1, zorder=2, clip_on=False)
    panel.errorbar(point.n_hits, place, xerr=point.error or 0, fmt="o", color=colour, markersize=5.5, elinewidth=2, zorder=3)
    panel.text(
        1.02,
        place,
        number_with_error(point.n_hits, point.error),
        transform=panel.get_yaxis_transform(),
        va="center",
        color=colour,
        fontsize=_SMALL,
    )


def number_with_error(value: float, error: float | None) -> str:
    """Return a number of hits as a person writes it, with its error if it has one."""
    n_decimals = 0 if abs(value) >= 100 else 1
    return f"{value:,.{n_decimals}f}" + ("" if error is None else f" ± {error:,.{n_decimals}f}")


# ---- hits against the part trained on ----


def _fraction_figure(points: Sequence[StudyPoint], title: str, *, in_steps: bool) -> Figure:
    classes, arms = _order(points, "composition_class"), _order(points, "arm")
    colours = _shades(arms) if in_steps else {arm: colour for arm, (colour, _) in _styles(arms).items()}
    figure = _new_figure(12.5, 1.1 + 4.4 * len(classes), title)
    panels = figure.subplots(len(classes), 2, squeeze=False)
    for row, name in zip(panels, classes, strict=True):
        _draw_fractions(row, [point for point in points if point.composition_class == name], colours)
        row[0].set_title(f"{name.capitalize()}: hits in the first {points[0].k:,}")
        row[1].set_title(f"Hits relative to: {arms[0]}")
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower left", ncols=min(len(arms), 5), frameon=False, handlelength=1, handleheight=1)
    return figure


def _draw_fractions(row: Sequence[Axes], points: Sequence[StudyPoint], colours: Mapping[str, str]) -> None:
    """Draw the hits as bars, and beside them the ratios as points, each with standard errors."""
    fractions = sorted({point.fraction for point in points})
    n_fitted = {point.fraction: point.n_known_fitted for point in points}
    width = 0.8 / len(colours)
    hits, ratio = row
    for i, (arm, colour) in enumerate(colours.items()):
        own = [point for point in points if point.arm == arm]
        places = [fractions.index(point.fraction) + (i - (len(colours) - 1) / 2) * width for point in own]
        errors = [point.error or 0 for point in own]
        hits.bar(places, [p.n_hits for p in own], 0.9 * width, yerr=errors, color=colour, label=arm, error_kw={"ecolor": INK})
        for place, point in zip(places, own, strict=True):
            if point.relative is not None:
                _draw_ratio(ratio, place, point.relative, point.relative_error or 0, colour)
    ratio.axhline(1, color=colours[next(iter(colours))], linewidth=1.5, zorder=1)
    ratio.margins(y=0.15)
    for panel in row:
        panel.set_xticks(range(len(fractions)), [f"{100 * fraction:g} %\n{n_fitted[fraction]:,.0f} known" for fraction in fractions])
        panel.set_xlim(-0.5, len(fractions) - 0.5)
        panel.tick_params(length=0, axis="x")
        panel.grid(axis="y", color=FAINT, linewidth=0.5)
        panel.set_axisbelow(True)
    show_plain_numbers(hits.yaxis)


def _draw_ratio(panel: Axes, place: float, value: float, error: float, colour: str) -> None:
    """Draw a ratio with the number above it."""
    from matplotlib.patheffects import withStroke

    panel.errorbar(place, value, yerr=error, fmt="o", color=colour, markersize=6, elinewidth=2, zorder=3)
    halo = [withStroke(linewidth=3, foreground="white")]
    style: dict[str, Any] = {"color": INK, "fontsize": _SMALL, "path_effects": halo, "zorder": 4}
    panel.annotate(f"{value:.2f}", (place, value + error), (0, 5), textcoords="offset points", ha="center", **style)


def _few_ticks(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(4, integer=True))
    show_plain_numbers(axis)
