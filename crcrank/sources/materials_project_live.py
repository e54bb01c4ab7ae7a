"""Documents of the Materials Project over the network: ``mp:``, or ``mp:Ba-Ti-O`` for one chemical system.

Needs the package ``mp-api`` (extra ``mp``) and an API key in ``MP_API_KEY``. Nothing here runs unless a source names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crcrank.config import materials_project_key
from crcrank.errors import ConfigError, InputDataError
from crcrank.progress import ProgressSink
from crcrank.sources.materials_project import record_of
from crcrank.sources.records import RawRecord, ReadOptions

_FIELDS = ["material_id", "formula_pretty", "theoretical", "deprecated"]


def read(address: str, options: ReadOptions, progress: ProgressSink, *, refresh: bool = False) -> Iterator[RawRecord]:  # noqa: ARG001
    """Yield the records of all materials, or those of a chemical system.

    Parameters
    ----------
    address
        A chemical system, or nothing.
    options
        Columns.
    progress
        Told of documents.
    refresh
        Without effect: the client keeps nothing.

    Raises
    ------
    ConfigError
        If the package or the key is missing, or a filter is given.
    InputDataError
        If the service does not answer.
    """
    try:
        from mp_api.client import MPRester, MPRestError
    except ImportError as error:
        raise ConfigError("mp: needs the package mp-api; install it with pip install 'crcrank[mp]'") from error
    key = materials_project_key()
    if key is None:
        raise ConfigError("mp: no API key; set MP_API_KEY to yours from https://materialsproject.org/api")
    if options.filter is not None:
        raise ConfigError("mp: takes no --filter; name a chemical system instead, mp:Ba-Ti-O")
    try:
        with MPRester(key, use_document_model=False, mute_progress_bars=True) as client:
            documents = client.materials.summary.search(chemsys=address or None, fields=_FIELDS, all_fields=False)
    except (MPRestError, OSError) as error:
        raise InputDataError(f"mp:{address}: no answer from the Materials Project ({' '.join(str(error).split())})") from error
    progress.start("read Materials Project", len(documents), "documents")
    for number, document in enumerate(documents, start=1):
        yield record_of(options, number, _row(document))
        progress.advance(1)


def _row(document: Any) -> Mapping[str, Any]:
    return document if isinstance(document, dict) else document.model_dump(mode="json")
