"""The settings of a study from the common options, and its plan and results on the terminal."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from crcrank.cli.common import Common
from crcrank.errors import ModelFitError

if TYPE_CHECKING:
    from crcrank.config import Settings
    from crcrank.stages.study import StudyPlan, StudySummary


def study_settings(common: Common) -> Settings:
    """Return the settings; a seed asked for is the only one of the study."""
    settings = replace(common, seed=None).settings()
    if common.seed is None:
        return settings
    return settings.model_copy(update={"study": settings.study.model_copy(update={"seeds": (common.seed,)})})


def show_plan(common: Common, plan: StudyPlan) -> None:
    """Print each cell, and whether it is done."""
    if not common.json:
        sys.stdout.writelines(f"{'done ' if is_done else 'to do'}  {path.name}\n" for path, is_done in plan.cells.items())
    common.show(plan)


def show_study(common: Common, summary: StudySummary) -> None:
    """Print the results.

    Raises
    ------
    ModelFitError
        If cells could not be measured.
    """
    from crcrank.cli.render import show_comparison, show_settings

    if not common.json and not common.quiet:
        show_comparison(summary.results, sys.stdout)
        show_settings(summary.hyperparameters, sys.stdout)
    common.show(summary)
    if summary.failed:
        n_failed = len(summary.failed)
        raise ModelFitError(f"study: {n_failed} of {summary.n_cells} cells could not be measured: {next(iter(summary.failed.values()))}")
