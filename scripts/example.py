"""crcrank from Python, as in a notebook: train, rank, validate; then more becomes known, and the ranking says what it had foreseen.

    python scripts/example.py --out-dir example

The lists are those of the configuration; its known one is read twice, first without every twentieth line, as if these came later.
"""

import argparse
from pathlib import Path

import polars as pl

from crcrank import (
    load_config,
    run_diff,
    run_encode,
    run_enumerate,
    run_export,
    run_ingest,
    run_rank,
    run_train,
    run_validate,
)

_CONFIG = Path(__file__).parent.parent / "configs" / "example.toml"


def run(config: Path, out: Path, n_threads: int) -> None:
    """Take all steps into the folder ``out``."""
    settings = load_config(config)
    out.mkdir(parents=True, exist_ok=True)
    again = {"settings": settings, "overwrite": True}
    threads = {"n_threads": n_threads}
    rules = settings.ingest.rules

    # What is known today, and the space.
    lines = Path(settings.run.known[0]).read_text(encoding="utf-8").splitlines(keepends=True)
    today = out / "today.csv"
    today.write_text("".join(line for i, line in enumerate(lines) if i == 0 or i % 20), encoding="utf-8")
    known = run_ingest([today], out / "known.parquet", rules=rules, overwrite=True)
    encoded = run_encode(known.out, out / "encoded.parquet", **again)
    print(f"{known.n_kept:,} of {known.n_in:,} formulas are used; in the space: {encoded.classes}")
    plan = run_enumerate(out / "plan.parquet", **again)

    # A model, and its ranking of every candidate. A table is an Arrow table; polars and pandas take it as it is.
    model = run_train(encoded.out, out / "model.parquet", **again, **threads)
    ranking = run_rank(model.out, plan.out, out / "ranking.parquet", known=known.out, **again, **threads)
    print(f"\n{plan.n_candidates:,} candidates; the best of those that are not known:")
    print(pl.from_arrow(ranking.table).select("rank", "pretty_formula", "ions", "probability").head(10))

    # Hits in a list that training never saw.
    holdout = run_ingest(settings.run.holdout, out / "holdout.parquet", rules=rules, overwrite=True)
    validation = run_validate(ranking.out, [holdout.out], out / "validation.parquet", **again)
    print("\nreal compounds among the recommendations:")
    print(pl.DataFrame(validation.hits).select("composition_class", "k", "n_hits", "hit_rate", "enrichment"))

    # A week later: more is known, the model goes on from where it was, and the ranking changes.
    known = run_ingest(settings.run.known, out / "known_later.parquet", rules=rules, overwrite=True)
    encoded = run_encode(known.out, out / "encoded_later.parquet", **again)
    model = run_train(encoded.out, out / "model_later.parquet", warm_start=model.out, **again, **threads)
    later = run_rank(model.out, plan.out, out / "ranking_later.parquet", known=known.out, **again, **threads)
    changes = run_diff(ranking.out, later.out, out / "changes.parquet", overwrite=True)
    print("\nwhat became of the recommendations:")
    print(pl.DataFrame([{"class": name, **vars(counts)} for name, counts in changes.classes.items()]))

    # For the next tool.
    for form, name in (("pymatgen", "best.json"), ("phase-fields", "phase_fields.csv")):
        run_export(later.out, out / name, form=form, k=100, overwrite=True)
    print(f"\nresults in {out}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out-dir", type=Path, default=Path("example"), help="folder of all results")
    parser.add_argument("--config", type=Path, default=_CONFIG, help="configuration that names the lists in [run]")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    run(arguments.config, arguments.out_dir, arguments.threads)


if __name__ == "__main__":
    main()
