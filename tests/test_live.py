"""Live sources: a small service on this machine that stumbles as real ones do, and the OPTIMADE server of the optimade package."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest

from crcrank.artifacts.store import read_artifact
from crcrank.errors import ConfigError, InputDataError
from crcrank.sources import optimade_live
from crcrank.sources.records import RawRecord, ReadOptions
from crcrank.sources.registry import Reading, read_source
from crcrank.stages.ingest import run_ingest

FORMULAS = ["BaO3Ti", "O3SrTi", "CaO3Ti", "ClNa", "BrK", "Al2MgO4", "Fe2O3"]
PAGE = 3


def entry(number: int) -> dict:
    attributes = {"chemical_formula_reduced": FORMULAS[number], "structure_features": ["disorder"] if number == 5 else []}
    return {"id": f"s-{number}", "type": "structures", "attributes": attributes}


class Service:
    """What the handler answers, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.stumbles: dict[int, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.url = ""

    def page(self, offset: int) -> dict:
        last = min(offset + PAGE, len(FORMULAS))
        following = f"{self.url}/v1/structures?page_offset={last}"
        link = None if last == len(FORMULAS) else {"href": following} if offset else following
        return {"data": [entry(i) for i in range(offset, last)], "links": {"next": link}, "meta": {"data_returned": len(FORMULAS)}}


def refusing(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def cutting(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"data": [')


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            service.asked.append(self.path)
            stumble = service.stumbles.pop(len(service.asked), None)
            offset = int(parse_qs(urlsplit(self.path).query).get("page_offset", ["0"])[0])
            (stumble or refusing(200, json.dumps(service.page(offset)).encode()))(self)

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(optimade_live, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(optimade_live, "FIRST_WAIT_SECONDS", 0.001)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield service
    server.shutdown()
    thread.join()
    server.server_close()


def read(service: Service, wanted: str | None = None, *, refresh: bool = False, path: str = "") -> list[RawRecord]:
    options = ReadOptions(filter=wanted)
    return list(read_source(f"optimade:{service.url}{path}", Reading(options=options, refresh=refresh)))


EXPECTED = [RawRecord(i + 1, formula, f"s-{i}", is_disordered=i == 5) for i, formula in enumerate(FORMULAS)]


def test_every_page_is_followed_and_kept(service: Service) -> None:
    assert read(service) == EXPECTED
    assert [path.partition("?")[0] for path in service.asked] == ["/v1/structures"] * 3
    assert "filter=" not in service.asked[0]
    assert read(service) == EXPECTED
    assert len(service.asked) == 3
    assert read(service, refresh=True) == EXPECTED
    assert len(service.asked) == 6


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/structures", "/v1/structures?filter=x"])
def test_addresses_as_people_copy_them(service: Service, path: str) -> None:
    assert read(service, path=path) == EXPECTED
    assert service.asked[0].startswith("/v1/structures?response_fields=chemical_formula_reduced%2Cstructure_features&page_limit=100")


def test_a_filter_may_stand_in_the_address(service: Service) -> None:
    list(read_source(f"optimade:{service.url}/v1/structures?filter=nelements%3D3&page_limit=9"))
    assert parse_qs(urlsplit(service.asked[0]).query)["filter"] == ["nelements=3"]


def test_a_filter_is_sent_and_has_pages_of_its_own(service: Service) -> None:
    read(service, 'elements HAS "Ti"')
    assert parse_qs(urlsplit(service.asked[0]).query)["filter"] == ['elements HAS "Ti"']
    read(service, "nelements=3")
    assert len(service.asked) == 6


@pytest.mark.parametrize(
    "stumble",
    [
        refusing(503),
        refusing(429, Retry_After="0"),
        cutting,
        refusing(200, b"<html>busy</html>"),
        lambda handler: handler.connection.close(),
    ],
)
def test_what_passes_is_tried_again(service: Service, stumble) -> None:
    service.stumbles = {1: stumble, 3: stumble, 4: stumble}
    assert read(service) == EXPECTED
    assert len(service.asked) == 6


def test_a_broken_run_goes_on_where_it_was(service: Service) -> None:
    service.stumbles = {number: refusing(503) for number in range(3, 8)}
    with pytest.raises(InputDataError, match=r"page_offset=6: the service refuses, status 503: Service Unavailable"):
        read(service)
    assert len(service.asked) == 7
    assert read(service) == EXPECTED
    assert service.asked[7:] == ["/v1/structures?page_offset=6"]


def test_waits_grow_and_obey_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimade_live, "FIRST_WAIT_SECONDS", 1.0)
    assert [optimade_live._wait(attempt, None) for attempt in range(4)] == [1, 2, 4, 8]
    assert optimade_live._wait(0, "30") == 30
    assert optimade_live._wait(0, "86400") == 60
    assert optimade_live._wait(1, "Wed, 21 Oct 2026 07:28:00 GMT") == 2


def test_refusals_are_one_line(service: Service) -> None:
    detail = json.dumps({"errors": [{"status": "400", "detail": "The filter\n cannot be parsed"}]}).encode()
    service.stumbles = {1: refusing(400, detail)}
    with pytest.raises(InputDataError, match=r"the service refuses, status 400: The filter cannot be parsed$"):
        read(service, "nonsense")
    service.stumbles = {2: refusing(404)}
    with pytest.raises(InputDataError, match="the service refuses, status 404"):
        read(service)
    service.stumbles = {3: refusing(200, b'{"hello": "world"}')}
    with pytest.raises(InputDataError, match="wanted a page of OPTIMADE structures, found none; is it the address of an OPTIMADE service"):
        read(service)


def test_pages_that_lead_astray(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    circle = {"data": [entry(0)], "links": {"next": f"{service.url}/v1/structures?page_offset=3"}}
    service.stumbles = {1: refusing(200, json.dumps(circle).encode()), 2: refusing(200, json.dumps(circle).encode())}
    with pytest.raises(InputDataError, match="the service's pages run in a circle"):
        read(service)
    service.stumbles = {3: refusing(200, json.dumps({"data": [], "links": {"next": "file:///etc/passwd"}}).encode())}
    with pytest.raises(InputDataError, match="the next page is at no web address, 'file:///etc/passwd'"):
        read(service, "a")
    monkeypatch.setattr(optimade_live, "_MAX_PAGE_BYTES", 10)
    with pytest.raises(InputDataError, match="a page of more than"):
        read(service, "b")
    service.stumbles = {5: refusing(200, json.dumps({"data": [], "links": {}}).encode())}
    monkeypatch.setattr(optimade_live, "_MAX_PAGE_BYTES", 1000)
    with pytest.raises(InputDataError, match="holds no formulas"):
        read(service, "c")


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(optimade_live, "FIRST_WAIT_SECONDS", 0.0)
    with pytest.raises(InputDataError, match=r"no answer from the service after 5 attempts \(.*refused"):
        list(read_source(f"optimade:http://127.0.0.1:{free_port()}"))


@pytest.mark.parametrize("address", ["", "example.org", "ftp://example.org", "file:///etc/passwd", "http://"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ConfigError, match="wanted an address such as optimade:https://"):
        list(read_source(f"optimade:{address}"))


def test_ingest_from_a_service(service: Service, tmp_path: Path) -> None:
    source = f"optimade:{service.url}"
    summary = run_ingest([source], tmp_path / "known.parquet", filter="nelements<4")
    assert (summary.n_in, summary.n_kept, summary.reasons) == (7, 6, {"disordered structure": 1})
    known = read_artifact(summary.out, "known")
    assert {row["source"] for row in known.table.to_pylist()} == {source}
    assert known.metadata["config"]["filter"] == "nelements<4"


def test_a_filter_needs_a_live_source(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("NaCl\n")
    with pytest.raises(ConfigError, match=r"--filter: only a live source has one, such as optimade:URL; found .*a.txt"):
        run_ingest([tmp_path / "a.txt"], tmp_path / "known.parquet", filter="x")


# ---- the server of the optimade package ----


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def optimade_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    for package in ("optimade.server", "mongomock", "uvicorn"):
        pytest.importorskip(package, exc_type=ImportError)
    folder, port = tmp_path_factory.mktemp("optimade"), free_port()
    url = f"http://127.0.0.1:{port}"
    config = {"database_backend": "mongomock", "insert_test_data": True, "page_limit": 5, "page_limit_max": 100, "base_url": url}
    names = {"id": "task_id", "chemical_formula_reduced": "pretty_formula"}  # as the package's example data call them
    (folder / "config.json").write_text(json.dumps(config | {"aliases": {"structures": names}}))
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = os.environ | nowhere | {"OPTIMADE_CONFIG_FILE": str(folder / "config.json"), "OPTIMADE_LOG_DIR": str(folder)}
    command = [sys.executable, "-m", "uvicorn", "optimade.server.main:app", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as server:
        try:
            _await(url, server, folder / "log")
            yield url
        finally:
            server.terminate()


def _await(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            with urlopen(f"{url}/v1/info", timeout=10):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail("the OPTIMADE server does not start")


def test_a_real_optimade_server(optimade_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(optimade_live, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(optimade_live, "_PAGE_LIMIT", 4)
    with urlopen(f"{optimade_server}/v1/structures?page_limit=100", timeout=60) as answer:
        expected = {item["id"]: item["attributes"]["chemical_formula_reduced"] for item in json.load(answer)["data"]}
    found = list(read_source(f"optimade:{optimade_server}"))
    assert {record.source_id: record.text for record in found} == expected
    assert len(found) == len(expected) > 12
    pages = list((tmp_path / "cache").rglob("page-*.json"))
    assert len(pages) == -(-len(expected) // 4)
    some = list(read_source(f"optimade:{optimade_server}", Reading(options=ReadOptions(filter='elements HAS "Ag" AND nelements>2'))))
    assert 0 < len(some) < len(expected)
    assert all("Ag" in record.text for record in some)
    with pytest.raises(InputDataError, match=r"the service refuses, status 400: .*filter"):
        list(read_source(f"optimade:{optimade_server}", Reading(options=ReadOptions(filter="elements HAS ="))))


# ---- the Materials Project, with a stand-in for its client ----


class StandIn:
    """The part of ``mp_api.client`` (0.46) that is used."""

    def __init__(self, documents: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[object] = []
        asked = self.asked

        class MPRestError(Exception):
            pass

        class MPRester:
            def __init__(self, key: str, *, use_document_model: bool, mute_progress_bars: bool) -> None:
                asked.append((key, use_document_model, mute_progress_bars))
                self.materials = types.SimpleNamespace(summary=types.SimpleNamespace(search=self._search))

            def __enter__(self) -> Self:
                return self

            def __exit__(self, *_: object) -> None:
                pass

            def _search(self, *, chemsys: str | None, fields: list[str], all_fields: bool) -> list[object]:
                asked.append((chemsys, fields, all_fields))
                if chemsys == "X-Y":
                    raise MPRestError("REST query returned with error status code 401\n on URL")
                return documents

        client = types.ModuleType("mp_api.client")
        client.MPRester, client.MPRestError = MPRester, MPRestError
        monkeypatch.setitem(sys.modules, "mp_api", types.ModuleType("mp_api"))
        monkeypatch.setitem(sys.modules, "mp_api.client", client)
        monkeypatch.setenv("MP_API_KEY", "key")


def test_the_materials_project(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"material_id": "mp-2", "formula_pretty": "Li2MnO3", "theoretical": True}
    model = types.SimpleNamespace(model_dump=lambda **_: row)
    stand_in = StandIn([{"material_id": "mp-1", "formula_pretty": "BaTiO3", "theoretical": False}, model], monkeypatch)
    assert list(read_source("mp:Ba-Ti-O")) == [
        RawRecord(1, "BaTiO3", "mp-1", is_theoretical=False),
        RawRecord(2, "Li2MnO3", "mp-2", is_theoretical=True),
    ]
    assert stand_in.asked == [("key", False, True), ("Ba-Ti-O", ["material_id", "formula_pretty", "theoretical", "deprecated"], False)]
    list(read_source("mp:"))
    assert stand_in.asked[-1][0] is None
    with pytest.raises(InputDataError, match=r"mp:X-Y: no answer from the Materials Project \(REST query returned with .* 401 on URL\)"):
        list(read_source("mp:X-Y"))
    with pytest.raises(ConfigError, match="mp: takes no --filter"):
        list(read_source("mp:", Reading(options=ReadOptions(filter="x"))))
    monkeypatch.delenv("MP_API_KEY")
    with pytest.raises(ConfigError, match="mp: no API key; set MP_API_KEY"):
        list(read_source("mp:"))


def test_the_client_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mp_api.client", None)
    with pytest.raises(ConfigError, match=r"mp: needs the package mp-api; install it with pip install 'crcrank\[mp\]'"):
        list(read_source("mp:"))
