"""All commands. Heavy imports happen inside them, and options are read of the command in use alone, so that --help is quick."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from crcrank import __version__
from crcrank.cli.cite import print_citation
from crcrank.cli.common import Common, file_name, parquet_name, whole_number, with_common

Out = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", parser=parquet_name, help="Parquet file to write.")]

# Typer would load pydantic to tell whether --help was left out; a default spares `crcrank COMMAND --help` the wait.
_APPEARANCE: Any = {
    "add_completion": False,  # its options would do the same
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"], "max_content_width": 110, "default_map": {"help": False}},
}
_COMMANDS: dict[str, Callable[..., None]] = {}


class _Commands(TyperGroup):
    """Lists commands by name and help alone; what is called gets its options then."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command that the first argument names, and the arguments left."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed and command_with_options(str(name)), rest


app = typer.Typer(cls=_Commands, no_args_is_help=True, **_APPEARANCE)


def _command(name: str) -> Callable[[Callable[..., None]], None]:
    """Register a command whose first parameter is a :class:`Common`."""

    def register(function: Callable[..., None]) -> None:
        def listed() -> None:
            """Stand in for the command in the list of all."""

        listed.__doc__ = function.__doc__
        app.command(name)(listed)
        _COMMANDS[name] = function

    return register


def command_with_options(name: str) -> Any:
    """Return a command of :data:`app` with all its options, as Typer builds it."""
    alone = typer.Typer(**_APPEARANCE)
    alone.command(name)(with_common(_COMMANDS[name]))
    return get_command(alone)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"crcrank {__version__}")
        raise typer.Exit


def _print_citation(asked: bool) -> None:
    if asked:
        print_citation()
        raise typer.Exit


@app.callback()
def _crcrank(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,
    cite: Annotated[bool, typer.Option("--cite", callback=_print_citation, is_eager=True, help="Print what to cite.")] = False,
) -> None:
    """Recommend chemically relevant compositions: learn from known ones, rank every candidate exactly, validate."""


def _print_formats(asked: bool) -> None:
    if asked:
        from crcrank.cli.formats import print_formats

        print_formats()
        raise typer.Exit


@_command("ingest")
def _ingest(
    common: Common,
    *,
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="SOURCE", help="Files, folders, archives, optimade:URL, mp:SYSTEM; - is stdin.")
    ] = None,
    out: Out = Path("known.parquet"),
    format: Annotated[str | None, typer.Option(metavar="NAME", help="Format of the files; detected if left out.")] = None,  # noqa: A002
    formula_column: Annotated[str | None, typer.Option(metavar="NAME", help="Column of the formulas.")] = None,
    id_column: Annotated[str | None, typer.Option(metavar="NAME", help="Column of the entries' ids.")] = None,
    year_column: Annotated[str | None, typer.Option(metavar="NAME", help="Column of the years.")] = None,
    anion: Annotated[str | None, typer.Option(metavar="ION", help="Anion that completes lists of cations, such as O2-.")] = None,
    filter: Annotated[str | None, typer.Option(metavar="TEXT", help="What to ask optimade:URL for; all if left out.")] = None,  # noqa: A002
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask a live source again even for what was kept.")] = False,
    include_theoretical: Annotated[
        bool, typer.Option("--include-theoretical", help="Keep entries that their source calls calculated only.")
    ] = False,
    explain: Annotated[
        str | None, typer.Option(metavar="FORMULA", help="Say how this formula is read, charged and placed, and read no files.")
    ] = None,
    list_formats: Annotated[  # noqa: ARG001  (its callback does all)
        bool, typer.Option("--list-formats", callback=_print_formats, is_eager=True, help="Print what is read of each format.")
    ] = False,
) -> None:
    """Read lists of real compositions.

    What cannot be used goes to FILE.rejected.parquet, with the reason.

    Example: crcrank ingest my_list.csv -o known.parquet
    """
    from crcrank.cli.ingesting import check_sources, show_explanation, show_ingest
    from crcrank.stages.ingest import run_ingest

    if explain is not None:
        show_explanation(common, explain)
        return
    given = {
        "format": format,
        "formula_column": formula_column,
        "id_column": id_column,
        "year_column": year_column,
        "anion": anion,
        "filter": filter,
        "refresh": refresh or None,
    }
    options = dict(common.settings().ingest) | {key: value for key, value in given.items() if value is not None}
    if include_theoretical:
        options["rules"] = options["rules"].model_copy(update={"experimental_only": False})
    with common.progress() as progress:
        summary = run_ingest(check_sources(sources), out, **options, n_threads=common.n_threads, overwrite=common.force, progress=progress)
    show_ingest(common, summary)


@_command("encode")
def _encode(
    common: Common,
    known: Annotated[Path, typer.Argument(metavar="KNOWN", help="Known compositions, from ingest.")],
    out: Out = Path("encoded.parquet"),
) -> None:
    """Place compositions in the candidate space.

    What lies outside goes to FILE.outside.parquet, with the reason.

    Example: crcrank encode known.parquet -o encoded.parquet
    """
    from crcrank.stages.encode import run_encode

    with common.progress() as progress:
        summary = run_encode(known, out, settings=common.settings(), classes=common.classes, overwrite=common.force, progress=progress)
    common.show(summary)


@_command("train")
def _train(
    common: Common,
    encoded: Annotated[Path, typer.Argument(metavar="ENCODED", help="Known compositions in the space, from encode.")],
    out: Out = Path("model.parquet"),
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Kind of model; that of the configuration if left out.")] = None,
    warm_start: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="Earlier model to go on from when more is known; says what changed.")
    ] = None,
) -> None:
    """Fit a model to known compositions.

    Every other candidate of their classes weighs in as unlabelled.

    Example: crcrank train encoded.parquet --class ternary -o model.parquet
    """
    from crcrank.config import with_model
    from crcrank.stages.train import run_train

    settings = common.settings()
    with common.progress() as progress:
        summary = run_train(
            encoded,
            out,
            settings=settings if model is None else with_model(settings, model),
            classes=common.classes,
            n_threads=common.n_threads,
            warm_start=warm_start,
            overwrite=common.force,
            progress=progress,
        )
    common.show(summary)


@_command("enumerate")
def _enumerate(
    common: Common,
    out: Out = Path("plan.parquet"),
    write: Annotated[bool, typer.Option("--write", help="Write the candidates too, to FILE.candidates.parquet.")] = False,
    max_candidates: Annotated[
        int | None, typer.Option(metavar="N", parser=whole_number(1), help="Refuse to write more than this; 50 million if left out.")
    ] = None,
) -> None:
    """Describe the whole candidate space.

    The plan holds every block, its size and its first candidate_id.

    Example: crcrank enumerate --write --class ternary -o plan.parquet
    """
    from crcrank.stages.enumerate import run_enumerate

    with common.progress() as progress:
        summary = run_enumerate(
            out,
            settings=common.settings(),
            classes=common.classes,
            write=write,
            max_candidates=max_candidates,
            overwrite=common.force,
            progress=progress,
        )
    common.show(summary)


@_command("rank")
def _rank(
    common: Common,
    *,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model, from train.")],
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="Plan of the space, from enumerate.")],
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE", help="Parquet, .csv or .jsonl file; - is stdout; a table if left out.")
    ] = None,
    known: Annotated[Path | None, typer.Option(metavar="FILE", help="Known compositions, which are not listed.")] = None,
    ranks_of: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Compositions, from ingest: the exact rank of each goes to OUT.ranks.parquet; repeatable."),
    ] = None,
    rerank: Annotated[Path | None, typer.Option(metavar="MODEL", help="Another model, which orders the best of each class anew.")] = None,
    rerank_depth: Annotated[
        int | None, typer.Option(metavar="N", parser=whole_number(1), help="Formulas of each class to order anew; 30,000 if left out.")
    ] = None,
    k: Annotated[
        int | None, typer.Option("-k", metavar="N", parser=whole_number(1), help="Formulas to list per class; 3000 if left out.")
    ] = None,
    format: Annotated[str | None, typer.Option(metavar="NAME", help="parquet, csv or jsonl; by the suffix of FILE if left out.")] = None,  # noqa: A002
    require: Annotated[
        list[str] | None, typer.Option(metavar="SYMBOL", help="Only formulas that hold this element; repeat, or join by commas.")
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option(metavar="SYMBOL", help="Only formulas of such elements; repeat, or join by commas.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="SYMBOL", help="No formulas that hold this element; repeat, or join by commas.")
    ] = None,
    anion: Annotated[
        list[str] | None, typer.Option(metavar="SYMBOL", help="Only formulas with this anion; of several (S,Se), any one will do.")
    ] = None,
    system: Annotated[str | None, typer.Option(metavar="A-B-C", help="Only this chemical system, such as Ba-Ti-O.")] = None,
    max_coefficient: Annotated[
        int | None, typer.Option(metavar="N", parser=whole_number(1), help="Largest coefficient; that of the class if left out.")
    ] = None,
    exclude_radioactive: Annotated[bool, typer.Option("--exclude-radioactive", help="No elements without a stable isotope.")] = False,
    one_per_family: Annotated[
        bool, typer.Option("--one-per-family", help="Of formulas that differ in their lanthanides alone, only the best.")
    ] = False,
    max_per_system: Annotated[
        int | None, typer.Option(metavar="N", parser=whole_number(1), help="Most formulas of one chemical system; any number if left out.")
    ] = None,
    exhaustive: Annotated[bool, typer.Option("--exhaustive", help="Score every candidate one by one; the result is the same.")] = False,
) -> None:
    """List the best unknown formulas.

    An exact search over every candidate of each class; a formula is listed once, with its best candidate.

    Example: crcrank rank model.parquet plan.parquet --known known.parquet -k 3000 -o ranking.parquet
    """
    from crcrank.cli.ranking import print_ranking, stdout_or_path, with_filters
    from crcrank.stages.rank import run_rank

    filters = {"require": require, "allow": allow, "exclude": exclude, "anions": anion, "max_coefficient": max_coefficient}
    filters |= {"rerank_depth": rerank_depth, "max_per_system": max_per_system}
    switches = {"exclude_radioactive": exclude_radioactive, "one_per_family": one_per_family, "exhaustive": exhaustive}
    with common.progress() as progress:
        summary = run_rank(
            model,
            plan,
            stdout_or_path(out, format),
            settings=with_filters(common.settings(), filters | {key: True for key, given in switches.items() if given}, system),
            known=known,
            rerank=rerank,
            ranks_of=ranks_of or (),
            classes=common.classes,
            k=k,
            format=None if out == "-" else format,
            n_threads=common.n_threads,
            overwrite=common.force,
            progress=progress,
        )
    print_ranking(common, summary, out, format)


@_command("explain")
def _explain(
    common: Common,
    *,
    formulas: Annotated[list[str], typer.Argument(metavar="FORMULA", help="Formulas, known or not, such as BaTiO3.")],
    model: Annotated[Path, typer.Option(metavar="FILE", help="Model, from train.")],
    known: Annotated[Path | None, typer.Option(metavar="FILE", help="Known compositions, from ingest.")] = None,
    ranking: Annotated[Path | None, typer.Option(metavar="FILE", help="Ranking, from rank, for the ranks.")] = None,
    exact_ranks: Annotated[bool, typer.Option("--exact-ranks", help="Count over the whole class for the ranks, listed or not.")] = False,
    all_terms: Annotated[bool, typer.Option("--all-terms", help="Print every term; the largest if left out.")] = False,
) -> None:
    """Say why a formula scores what it does.

    The terms that add up to its score, its rank, the nearest known compounds, and what else its chemical system offers.

    Example: crcrank explain BaTiO3 --model model.parquet --known known.parquet --ranking ranking.parquet
    """
    from crcrank.cli.explaining import show_explanations
    from crcrank.stages.explain import run_explain

    with common.progress() as progress:
        options: Any = {"exact_ranks": exact_ranks, "n_threads": common.n_threads, "progress": progress}
        summary = run_explain(formulas, model, settings=common.settings(), known=known, ranking=ranking, **options)
    show_explanations(common, summary, all_terms=all_terms)


@_command("validate")
def _validate(
    common: Common,
    *,
    ranking: Annotated[Path, typer.Argument(metavar="RANKING", help="Ranking, from rank.")],
    holdout: Annotated[
        list[Path], typer.Option(metavar="FILE", help="Real compositions that training never saw, from ingest; repeatable.")
    ],
    out: Out = Path("validation.parquet"),
    known: Annotated[Path | None, typer.Option(metavar="FILE", help="Known compositions; those of the ranking if left out.")] = None,
    ranks: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Exact ranks, from rank --ranks-of; those beside RANKING if left out.")
    ] = None,
    k: Annotated[
        list[int] | None,
        typer.Option(
            "-k",
            metavar="N",
            parser=whole_number(1),
            help="Recommendations to examine; repeatable; 20, 100, 1000 and 3000 if left out.",
        ),
    ] = None,
) -> None:
    """Count the hits of a ranking in holdouts.

    Hit rate, recall, enrichment and the expectation at random; with exact ranks (rank --ranks-of) the recall to the end. Pictures,
    and tables of all compounds and of the calibration, go beside FILE.

    Example: crcrank validate ranking.parquet --holdout holdout.parquet -o validation.parquet
    """
    from crcrank.cli.ranking import show_results
    from crcrank.stages.validate import run_validate

    with common.progress() as progress:
        summary = run_validate(
            ranking,
            holdout,
            out,
            settings=common.settings(),
            known=known,
            ranks=ranks,
            classes=common.classes,
            cutoffs=k,
            overwrite=common.force,
            progress=progress,
        )
    show_results(common, summary)


@_command("diff")
def _diff(
    common: Common,
    *,
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="The earlier ranking, from rank.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="The later ranking; its space may be another.")],
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE", help="Parquet, .csv or .jsonl file; - is stdout; tables if left out.")
    ] = None,
    known: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What is known by now, from ingest; what AFTER left out if not given.")
    ] = None,
    k: Annotated[
        int | None, typer.Option("-k", metavar="N", parser=whole_number(1), help="Formulas per class to compare; all if left out.")
    ] = None,
    format: Annotated[str | None, typer.Option(metavar="NAME", help="parquet, csv or jsonl; by the suffix of FILE if left out.")] = None,  # noqa: A002
) -> None:
    """Say what changed from one ranking to the next.

    What entered, left and moved, and which earlier recommendations have since become known; compared by formula.

    Example: crcrank diff last_week.parquet ranking.parquet --known known.parquet
    """
    from crcrank.cli.changes import print_diff
    from crcrank.cli.ranking import stdout_or_path
    from crcrank.stages.diff import run_diff

    summary = run_diff(
        before,
        after,
        stdout_or_path(out, format),
        known=known,
        classes=common.classes,
        k=k,
        format=None if out == "-" else format,
        overwrite=common.force,
    )
    print_diff(common, summary, out, format)


def _print_forms(asked: bool) -> None:
    if asked:
        from crcrank.stages.export import FORMS

        for name, form in FORMS.items():
            typer.echo(f"{name}: {form.about}")
        raise typer.Exit


@_command("export")
def _export(
    common: Common,
    *,
    ranking: Annotated[Path, typer.Argument(metavar="RANKING", help="Ranking, from rank.")],
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="formulas, smact, pymatgen, optimade or phase-fields.")],
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="File to write; - or nothing is stdout.")] = "-",
    k: Annotated[
        int | None, typer.Option("-k", metavar="N", parser=whole_number(1), help="Best formulas per class; all if left out.")
    ] = None,
    list_forms: Annotated[  # noqa: ARG001  (its callback does all)
        bool, typer.Option("--list-forms", callback=_print_forms, is_eager=True, help="Print what each form is for.")
    ] = False,
) -> None:
    """Hand the best formulas to the next tool.

    Lists for SMACT and pymatgen, an OPTIMADE response, or sets of elements.

    Example: crcrank export ranking.parquet --to formulas -k 100 > best.txt
    """
    from crcrank.stages.export import run_export, stream_export

    chosen: dict[str, Any] = {"form": to, "classes": common.classes, "k": k}
    if out == "-":
        stream_export(ranking, sys.stdout, **chosen)
    else:
        common.show(run_export(ranking, Path(out), **chosen, overwrite=common.force))


@_command("run")
def _run(
    common: Common,
    config_file: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="Configuration that names the lists in [run].")],
    out_dir: Annotated[Path, typer.Option(metavar="DIR", help="Folder of all artifacts.")],
) -> None:
    """Run all stages into one folder.

    What is up to date is not done again.

    Example: crcrank run my.toml --out-dir results
    """
    from crcrank.cli.ranking import show_results
    from crcrank.stages.run import run_run

    with common.progress() as progress:
        summary = run_run(
            out_dir,
            settings=replace(common, config=config_file).settings(),
            classes=common.classes,
            n_threads=common.n_threads,
            force=common.force,
            progress=progress,
        )
    show_results(common, summary)


@_command("report")
def _report(
    common: Common,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", parser=file_name, help="File to write.")] = Path("report.html"),
    study: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Study of the same space, from study, whose models are drawn beside the run.")
    ] = None,
) -> None:
    """Show a run as one page.

    Curves, tables, recommendations to sort and filter; it opens in any browser and needs no network.

    Example: crcrank report results -o report.html
    """
    from crcrank.cli.reporting import show_report

    show_report(common, folder, out, study)


@_command("study")
def _study(
    common: Common,
    config_file: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="Configuration that says in [study] what is compared.")],
    out_dir: Annotated[Path, typer.Option(metavar="DIR", help="Folder of all cells and results.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the cells, and which are done; measure nothing.")] = False,
) -> None:
    """Compare models, priors and parts of the known compositions.

    Every combination is a cell of its own, measured once and kept: an interrupted study goes on where it was.

    Example: crcrank study configs/studies/pairs.toml --out-dir studies/pairs
    """
    from crcrank.cli.studies import show_plan, show_study, study_settings
    from crcrank.stages.study import plan_study, run_study

    settings = study_settings(replace(common, config=config_file))
    if dry_run:
        show_plan(common, plan_study(out_dir, settings=settings, classes=common.classes))
        return
    with common.progress() as progress:
        summary = run_study(
            out_dir, settings=settings, classes=common.classes, n_threads=common.n_threads, force=common.force, progress=progress
        )
    show_study(common, summary)
