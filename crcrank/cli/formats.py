"""The formats in words."""

from __future__ import annotations

import typer


def print_formats() -> None:
    """Print each format with its shape, where formulas, ids and years come from, and what is rejected."""
    from crcrank.sources.registry import FORMATS

    for name, reader in FORMATS.items():
        about = reader.ABOUT
        typer.echo(f"{name}: {about.shape}")
        for label, text in (("formula", about.formula), ("id", about.source_id), ("year", about.year), ("rejected", about.rejects)):
            typer.echo(f"  {label}: {text}")
