"""Collections of qdrant: of a running one by its address, of the client's local mode, or points in a file.

A snapshot is qdrant's own storage, which nothing else reads: a qdrant is started with it, and asked.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from service.commands.errors import CommandError, Misused, Unreachable
from service.commands.files.source import DocumentSource, Entry
from service.commands.stores.record import Wanted, chosen, settings_of
from service.commands.stores.unpickling import Plain, unpickled

_SIMILARITIES = {"cosine": "cosine", "dot": "dot", "euclid": "gaussian"}
_MODELS = "qdrant_client.http.models.models"
_POINT = [(_MODELS, "PointStruct"), (_MODELS, "SparseVector")]
_PAGE = 256


def open_qdrant(place: str, wanted: Wanted, api_key: str | None = None) -> DocumentSource:
    """A collection at an address, or of a folder of the client's local mode; or the points of a file.

    Raises:
        Misused: that is none of these.
        CommandError: there is no such collection, or it holds what cannot be read.
    """
    if place.startswith(("http://", "https://")):
        return _running(place.rstrip("/"), wanted, api_key)
    path = Path(place)
    if (path / "meta.json").is_file():
        return _local(path, wanted)
    if path.is_file() and path.suffix.lower() in (".jsonl", ".ndjson"):
        return DocumentSource(None, lambda: _numbered(_lines(path), wanted), {"encoder": None}, unit="point")
    raise Misused(
        f"{place} is neither the address of a qdrant, nor a folder of its client's local mode, nor points in .jsonl: "
        "start a qdrant with a snapshot, and give its address"
    )


def _running(url: str, wanted: Wanted, api_key: str | None) -> DocumentSource:
    at = f"{url}/collections/{quote(wanted.collection, safe='')}"

    def ask(http: httpx2.Client, method: str, path: str, content: Any = None) -> Any:
        try:
            answer = http.request(method, path, json=content)
            said = answer.json()
        except httpx2.TransportError as error:
            raise Unreachable(f"no qdrant answers at {url} ({error or type(error).__name__}): start it") from None
        except ValueError:
            raise CommandError(f"{path} answered {answer.status_code} and no JSON: is that a qdrant?") from None
        if answer.is_success and isinstance(said, dict) and "result" in said:
            return said["result"]
        told = said.get("status", said) if isinstance(said, dict) else said
        raise CommandError(f"qdrant at {path} answered {answer.status_code}: {json.dumps(told)[:300]}")

    def connection() -> httpx2.Client:
        return httpx2.Client(headers={"api-key": api_key} if api_key else {}, timeout=60.0)

    with connection() as http:
        there = [each["name"] for each in ask(http, "GET", f"{url}/collections")["collections"]]
        chosen(wanted.collection, sorted(there), url)
        info = ask(http, "GET", at)

    def points() -> Iterator[Mapping[str, Any]]:
        request = {"limit": _PAGE, "with_payload": True, "with_vector": [wanted.vector] if wanted.vector else True}
        with connection() as http:
            while True:
                page = ask(http, "POST", f"{at}/points/scroll", request)
                yield from page["points"]
                if page.get("next_page_offset") is None:
                    return
                request["offset"] = page["next_page_offset"]

    settings = _settings(info["config"]["params"].get("vectors"), wanted, url)
    return DocumentSource(info.get("points_count"), lambda: _numbered(points(), wanted), settings, unit="point")


def _local(path: Path, wanted: Wanted) -> DocumentSource:
    """What `QdrantClient(path=…)` keeps: a SQLite file for each collection, each point in it a pickle."""
    collections = json.loads((path / "meta.json").read_text(encoding="utf-8"))["collections"]
    name = chosen(wanted.collection, sorted(collections), str(path))
    file = path / "collection" / name / "storage.sqlite"

    def opened() -> sqlite3.Connection:
        try:
            return sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
        except sqlite3.DatabaseError as error:
            raise CommandError(f"{file} cannot be read ({error})") from None

    def points() -> Iterator[Mapping[str, Any]]:
        with closing(opened()) as database:
            for number, (content,) in enumerate(database.execute("SELECT point FROM points ORDER BY rowid"), start=1):
                point = unpickled(content, _POINT, f"{file}, point {number},")
                yield point.said if isinstance(point, Plain) else {}

    with closing(opened()) as database:
        (total,) = database.execute("SELECT count(*) FROM points").fetchone()
    settings = _settings(collections[name].get("vectors"), wanted, f"{path}, collection {name!r},")
    return DocumentSource(total, lambda: _numbered(points(), wanted), settings, unit="point")


def _settings(vectors: Any, wanted: Wanted, where: str) -> dict[str, Any]:
    """The settings that follow from a collection's vectors, one without a name or several by name."""
    config = vectors if isinstance(vectors, dict) else {}
    if "distance" not in config:
        names = ", ".join(sorted(config)) or "none"
        if wanted.vector not in config:
            raise CommandError(f"{where} has several vectors to a point, by name ({names}): choose one with --vector")
        config = config[wanted.vector]
    elif wanted.vector is not None:
        raise CommandError(f"{where} has one vector to a point, without a name: leave out --vector {wanted.vector}")
    return settings_of(config["distance"], _SIMILARITIES, wanted, where)


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """Points a line each, or answers of `scroll`, each with a page of them."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            said = Entry(number, line).document if line.strip() else {}
            if said is None:
                raise CommandError(f"{path} line {number} is not a JSON object: write a point, or an answer of scroll")
            pages = said.get("result", said)
            yield from pages.get("points", [said] if said else [])


def _numbered(points: Iterable[Mapping[str, Any]], wanted: Wanted) -> Iterator[Entry]:
    for number, point in enumerate(points, start=1):
        vector = point.get("vector")
        if isinstance(vector, dict):
            vector = vector.get(wanted.vector)
        yield wanted.entry(number, point.get("id", ""), point.get("payload") or {}, vector)
