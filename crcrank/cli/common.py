"""Options that every command takes, and what they set up."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crcrank.cli.outcome import exit_status
from crcrank.progress import ProgressSink, progress_bars

if TYPE_CHECKING:
    from crcrank.config import Settings


def whole_number(at_least: int) -> Callable[[str], int]:
    """Return a parser of numbers on the command line."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < at_least:
            raise typer.BadParameter(f"wanted a whole number, at least {at_least}, found {text!r}")
        return int(text)

    return parse


_TEXT_FILES = {".csv", ".tsv", ".txt", ".json", ".jsonl", ".xlsx"}


def file_name(given: str | Path) -> Path:
    """Return the file to write; ``-``, which is stdout elsewhere, is none."""
    text = str(given)
    if text == "-":
        raise typer.BadParameter("wanted a file, found '-'; this does not go to stdout")
    if text != text.encode(errors="replace").decode():
        raise typer.BadParameter(f"wanted a name in UTF-8, found {text!r}")
    return Path(text)


def parquet_name(given: str | Path) -> Path:
    """Return the Parquet file to write."""
    path = file_name(given)
    if path.suffix.lower() in _TEXT_FILES:
        raise typer.BadParameter(f"wanted the name of a Parquet file, such as {path.with_suffix('.parquet')}, found '{path}'")
    return path


@dataclass(frozen=True)
class Common:
    """The values of the common options."""

    config: Annotated[Path | None, typer.Option(metavar="FILE", help="TOML file; what it leaves out is as in the packaged default.")] = None
    classes: Annotated[
        list[str] | None, typer.Option("--class", metavar="NAME", help="Composition class (repeatable); all if left out.")
    ] = None
    threads: Annotated[int | None, typer.Option(metavar="N", parser=whole_number(1), help="Threads; all cores at hand if left out.")] = None
    seed: Annotated[
        int | None, typer.Option(metavar="N", parser=whole_number(0), help="Seed of all random numbers, instead of the configuration's.")
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Replace output that exists.")] = False
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print more about what is done.")] = False

    def settings(self) -> Settings:
        """Load the configuration, with the seed asked for."""
        from crcrank.config import load_config

        settings = load_config(self.config)
        return settings if self.seed is None else settings.model_copy(update={"seed": self.seed})

    def progress(self) -> AbstractContextManager[ProgressSink]:
        """Return bars on stderr, or silence."""
        return progress_bars(quiet=self.quiet)

    def show(self, summary: Any, *, to_stderr: bool = False) -> None:
        """Print a summary, as JSON if asked for."""
        from crcrank.cli.render import show

        if self.json or not self.quiet:
            show(summary, as_json=self.json, stream=sys.stderr if to_stderr else sys.stdout)

    @property
    def n_threads(self) -> int:
        """Threads to use."""
        if self.threads is not None:
            return self.threads
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def with_common(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command whose first parameter is a :class:`Common` all of its options."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    hints = inspect.get_annotations(Common, eval_str=True)
    shared = [
        inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=item.default, annotation=hints[item.name])
        for item in fields(Common)
    ]
    parameters = [*(item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in own), *shared]

    def called(**values: Any) -> None:
        from crcrank.cli.logs import start_logging

        common = Common(**{item.name: values.pop(item.name) for item in shared})
        _spare_pandas()
        start_logging(quiet=common.quiet, verbose=common.verbose)
        raise typer.Exit(exit_status(lambda: command(common, **values)))

    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {item.name: item.annotation for item in parameters}
    return called


class _NoPandas:
    """A finder of modules by which there is no pandas."""

    @staticmethod
    def find_spec(name: str, *_: Any) -> None:
        """Refuse pandas; leave others to the next finder."""
        if name == "pandas":
            raise ModuleNotFoundError(name)


def _spare_pandas() -> None:
    """Let pyarrow, which would load pandas to tell its frames from other data, find none: there are no frames here."""
    import pyarrow as pa

    sys.meta_path.insert(0, _NoPandas)
    pa.array([0])  # it looks once
    sys.meta_path.remove(_NoPandas)
