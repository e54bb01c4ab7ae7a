"""Structures of an OPTIMADE service over the network: ``optimade:URL``, every page, kept on disk so that a broken run goes on.

Pages follow ``links.next`` (OPTIMADE specification, doi:10.1038/s41597-021-00974-z). Nothing here runs unless a source names it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit
from urllib.request import Request, urlopen

from crcrank import __version__
from crcrank.config import cache_folder
from crcrank.errors import ConfigError, InputDataError
from crcrank.progress import ProgressSink
from crcrank.sources.optimade import FORMULA_KEYS, record_of
from crcrank.sources.records import RawRecord, ReadOptions

_log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5
FIRST_WAIT_SECONDS = 1.0
"""Before the second attempt; each further one waits twice as long."""

_MAX_WAIT_SECONDS = 60.0
_N_ATTEMPTS = 5
_TIMEOUT_SECONDS = 60
_PAGE_LIMIT = 100
_MAX_PAGE_BYTES = 64 << 20
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_FIELDS = ",".join((*FORMULA_KEYS, "structure_features"))


def read(address: str, options: ReadOptions, progress: ProgressSink, *, refresh: bool = False) -> Iterator[RawRecord]:
    """Yield the records of all structures that a service has, or that ``options.filter`` selects.

    Parameters
    ----------
    address
        The service, with or without ``/v1`` and ``/structures``; it may end in ``?filter=...``.
    options
        Of them ``filter``, in OPTIMADE's filter language.
    progress
        Told of entries.
    refresh
        Ask the service again even for what was kept.

    Raises
    ------
    ConfigError
        If the address is none.
    InputDataError
        If the service does not answer, or not as OPTIMADE says.
    """
    first = _first_url(address, options.filter)
    folder = cache_folder() / "optimade" / hashlib.sha256(first.encode()).hexdigest()[:20]
    if refresh:
        shutil.rmtree(folder, ignore_errors=True)
    number = 0
    for page in _pages(first, folder):
        if number == 0:
            progress.start(f"read {urlsplit(first).hostname}", _n_returned(page), "entries")
        entries = page["data"]
        for entry in entries:
            number += 1
            record = record_of(options, number, entry) if isinstance(entry, dict) else None
            if record is not None:
                yield record
        progress.advance(len(entries))


def _first_url(address: str, wanted: str | None) -> str:
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"optimade:{address}: wanted an address such as optimade:https://example.org/optimade")
    wanted = wanted or next(iter(parse_qs(parts.query).get("filter", ())), None)
    base = address.partition("?")[0].rstrip("/").removesuffix("/structures")
    if not base.rpartition("/")[2].startswith("v1"):
        base += "/v1"
    query = {"response_fields": _FIELDS, "page_limit": str(_PAGE_LIMIT)} | ({"filter": wanted} if wanted else {})
    return f"{base}/structures?{urlencode(query)}"


def _pages(first: str, folder: Path) -> Iterator[Mapping[str, Any]]:
    """Yield every page, from disk as far as it is there."""
    url: str | None = first
    seen: set[str] = set()
    is_resumed = (folder / _file_name(1)).exists()
    while url is not None:
        if url in seen:
            raise InputDataError(f"{url}: the service's pages run in a circle")
        seen.add(url)
        path = folder / _file_name(len(seen))
        page = _kept(path, url)
        if page is None:
            if is_resumed:
                _log.info("%s: going on with page %d", urlsplit(first).hostname, len(seen))
            is_resumed = False
            page = _fetched(url, is_first=len(seen) == 1)
            _keep(path, url, page)
        yield page
        url = _next_url(page, url)
    if is_resumed:
        _log.info("%s: from %s; --refresh asks the service again", urlsplit(first).hostname, folder)


def _file_name(number: int) -> str:
    return f"page-{number:06d}.json"


def _kept(path: Path, url: str) -> Mapping[str, Any] | None:
    """Return the page that was kept for the url, None if there is none."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return kept["page"] if isinstance(kept, dict) and kept.get("url") == url else None


def _keep(path: Path, url: str, page: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"url": url, "page": page}), encoding="utf-8")
    partial.replace(path)


def _next_url(page: Mapping[str, Any], url: str) -> str | None:
    links = page.get("links")
    link = links.get("next") if isinstance(links, dict) else None
    address = link.get("href") if isinstance(link, dict) else link
    if not address:
        return None
    following = urljoin(url, str(address))
    if urlsplit(following).scheme not in {"http", "https"}:
        raise InputDataError(f"{url}: the next page is at no web address, {following!r}")
    return following


def _n_returned(page: Mapping[str, Any]) -> int:
    meta = page.get("meta")
    number = meta.get("data_returned") if isinstance(meta, dict) else None
    return number if isinstance(number, int) else 0


# ---- asking, politely and again ----


def _fetched(url: str, *, is_first: bool) -> Mapping[str, Any]:
    """Return the page at an address; what may pass is tried again after a while."""
    if not is_first:
        time.sleep(PAUSE_SECONDS)
    for attempt in range(_N_ATTEMPTS):
        is_last = attempt == _N_ATTEMPTS - 1
        try:
            return _page(url)
        except HTTPError as error:
            reason = _reason(error)
            if error.code not in _PASSING or is_last:
                raise InputDataError(f"{url}: the service refuses, {reason}") from error
            wait = _wait(attempt, error.headers.get("Retry-After"))
        except (OSError, HTTPException, ValueError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            if is_last:
                raise InputDataError(f"{url}: no answer from the service after {_N_ATTEMPTS} attempts ({reason})") from error
            wait = _wait(attempt, None)
        _log.info("%s: %s; trying again in %s s", urlsplit(url).hostname, reason, f"{wait:.0f}")
        time.sleep(wait)
    raise AssertionError  # the last attempt returns or raises


def _page(url: str) -> Mapping[str, Any]:
    headers = {"User-Agent": f"crcrank/{__version__}", "Accept": "application/vnd.api+json, application/json"}
    with urlopen(Request(url, headers=headers), timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310  (http and https only, see _first_url)
        content = answer.read(_MAX_PAGE_BYTES + 1)
    if len(content) > _MAX_PAGE_BYTES:
        raise InputDataError(f"{url}: a page of more than {_MAX_PAGE_BYTES >> 20} MB")
    page = json.loads(content)
    if not isinstance(page, dict) or not isinstance(page.get("data"), list):
        raise InputDataError(f"{url}: wanted a page of OPTIMADE structures, found none; is it the address of an OPTIMADE service?")
    return page


def _reason(error: HTTPError) -> str:
    """Return the status of a refusal, with the detail that OPTIMADE gives."""
    try:
        detail = json.loads(error.read(_MAX_PAGE_BYTES))["errors"][0]["detail"]
    except (OSError, ValueError, LookupError, TypeError):
        detail = error.reason
    return f"status {error.code}: {' '.join(str(detail).split())}"


def _wait(attempt: int, retry_after: str | None) -> float:
    asked = float(retry_after) if retry_after and retry_after.isdigit() else 0.0
    return min(max(asked, FIRST_WAIT_SECONDS * float(2**attempt)), _MAX_WAIT_SECONDS)
