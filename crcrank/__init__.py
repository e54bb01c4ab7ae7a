"""Recommend chemically relevant compositions: train, rank every candidate exactly, validate.

What the commands do, a notebook can: ``from crcrank import load_config, run_train, run_rank``. Each ``run_...`` is a stage, with paths in
and out and a summary to look at. Names are loaded when they are first used, so that importing crcrank costs nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# The types of these are in __init__.pyi.
_MODULES = {
    "artifacts.schemas": ("SCHEMAS",),
    "artifacts.store": ("Artifact", "read_artifact"),
    "config": ("Settings", "load_config", "with_model"),
    "errors": (
        "ArtifactError", "ConfigError", "CrcrankError", "InputDataError", "ModelFitError", "OutputError", "OutputHeldError",
    ),
    "progress": ("ProgressSink", "progress_bars"),
    "stages.common": ("load_space",),
    "stages.diff": ("DiffSummary", "run_diff"),
    "stages.encode": ("EncodeSummary", "run_encode"),
    "stages.enumerate": ("EnumerateSummary", "run_enumerate"),
    "stages.explain": ("Explanation", "run_explain"),
    "stages.explain_reading": ("ReadingExplained", "run_explain_reading"),
    "stages.export": ("ExportSummary", "run_export"),
    "stages.ingest": ("IngestSummary", "run_ingest"),
    "stages.rank": ("RankSummary", "run_rank"),
    "stages.report": ("ReportSummary", "run_report"),
    "stages.run": ("RunSummary", "run_run"),
    "stages.study": ("StudySummary", "run_study"),
    "stages.train": ("TrainSummary", "run_train"),
    "stages.validate": ("ValidateSummary", "run_validate"),
}  # fmt: skip
_PLACES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = ["__version__", *_PLACES]  # noqa: PLE0604  (names of the stages)


def __getattr__(name: str) -> Any:
    """Return what a stage's module holds under a name."""
    if name not in _PLACES:
        raise AttributeError(f"module 'crcrank' has no attribute {name!r}")
    return getattr(import_module(f"crcrank.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
