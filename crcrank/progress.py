"""Progress bars on stderr with rate and time left; silent when nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class ProgressSink(Protocol):
    """What a stage needs to report how far it is."""

    def start(self, label: str, total: float, unit: str) -> None:
        """Begin a task of ``total`` units."""

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Report ``amount`` more units done, with a short note to show beside the bar."""


class SilentProgress:
    """Reports nothing."""

    def start(self, label: str, total: float, unit: str) -> None:
        """Do nothing."""

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Do nothing."""


class _RichProgress:
    def __init__(self, bars: object) -> None:
        self._bars = bars
        self._task: int | None = None

    def start(self, label: str, total: float, unit: str) -> None:
        self._task = self._bars.add_task(f"{label} ({unit})", total=total, note="")  # type: ignore[attr-defined]

    def advance(self, amount: float = 1, note: str = "") -> None:
        if self._task is not None:
            fields = {"note": note} if note else {}  # a sink told of progress alone keeps the note it shows
            self._bars.update(self._task, advance=amount, **fields)  # type: ignore[attr-defined]


def _scaled(value: float) -> str:
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g} {suffix}"
    return f"{value:.3g} "


@contextmanager
def progress_bars(*, quiet: bool = False) -> Iterator[ProgressSink]:
    """Yield a sink that draws bars on stderr if stderr is a terminal, else a silent one."""
    if quiet or not sys.stderr.isatty():
        yield SilentProgress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.table import Column
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: object) -> Text:
            speed = getattr(task, "speed", None)
            return Text(f"{_scaled(speed)}/s" if speed else "", style="cyan", no_wrap=True)

    columns = (
        TextColumn("{task.description}", table_column=Column(min_width=15, no_wrap=True)),
        BarColumn(bar_width=18),
        TextColumn("{task.percentage:>3.0f} %"),
        RateColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as bars:
        yield _RichProgress(bars)
