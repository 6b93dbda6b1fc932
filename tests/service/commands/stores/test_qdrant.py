"""`softkv import --from qdrant`: of the client's local mode, over HTTP, and points in a file."""

from __future__ import annotations

import base64
import http.server
import json
import pickle
import sqlite3
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.commands.errors import CommandError, Misused, Unreachable
from service.commands.files.source import DocumentSource
from service.commands.stores.qdrant import open_qdrant
from service.commands.stores.record import Wanted
from tests.service.commands.conftest import Softkv

HERE = Path(__file__).parent
# What qdrant-client 1.20.0 answered to scroll() on the folder that its local mode left.
POINTS = [json.loads(line) for line in (HERE / "qdrant.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with tarfile.open(HERE / "qdrant.tar.xz") as archive:
        archive.extractall(tmp_path / "qdrant", filter="data")
    return tmp_path / "qdrant"


def decoded(sent: dict[str, str]) -> list[float]:
    return [float(x) for x in np.frombuffer(base64.b64decode(sent["base64"]), dtype="<f4")]


def read(source: DocumentSource) -> dict[str, dict[str, Any]]:
    documents = [entry.document or {} for entry in source.entries()]
    assert source.total in (None, len(documents))
    return {document["id"]: document for document in documents}


def is_what_qdrant_answers(source: DocumentSource) -> None:
    found = read(source)
    assert found.keys() == {str(point["id"]) for point in POINTS}
    for point in POINTS:
        document = found[str(point["id"])]
        np.testing.assert_array_equal(decoded(document["key_vector"]), np.float32(point["vector"]))
        assert document["metadata"] == (point["payload"] or {})


def test_local_mode(folder: Path) -> None:
    source = open_qdrant(str(folder), Wanted("plain"))
    is_what_qdrant_answers(source)
    assert source.settings == {"encoder": None, "similarity": "cosine"}


def test_points_in_a_file(tmp_path: Path) -> None:
    is_what_qdrant_answers(open_qdrant(str(HERE / "qdrant.jsonl"), Wanted("plain")))
    answers = [{"result": {"points": POINTS[:2], "next_page_offset": 3}}, {"result": {"points": POINTS[2:]}}]
    (tmp_path / "answers.jsonl").write_text("\n".join(map(json.dumps, answers)))
    is_what_qdrant_answers(open_qdrant(str(tmp_path / "answers.jsonl"), Wanted("plain")))


@contextmanager
def answering(points: list[dict[str, Any]], key: str) -> Iterator[str]:
    """What a qdrant's HTTP answers, as its reference shows it: no qdrant can be had by pip."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            vectors = {"size": 3, "distance": "Euclid"}
            one = {"points_count": len(points), "config": {"params": {"vectors": vectors}}}
            self.answer(one if self.path == "/collections/plain" else {"collections": [{"name": "plain"}]})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            assert (self.path, asked["with_vector"]) == ("/collections/plain/points/scroll", True)
            begin = asked.get("offset", 0)
            after = begin + 2 if begin + 2 < len(points) else None
            self.answer({"points": points[begin : begin + 2], "next_page_offset": after})

        def answer(self, result: Any) -> None:
            allowed = self.headers.get("api-key") == key
            said = {"result": result, "status": "ok"} if allowed else {"status": {"error": "Must provide an API key"}}
            content = json.dumps(said).encode()
            self.send_response(200 if allowed else 401)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_over_http() -> None:
    with answering(POINTS, "sesame") as url:
        source = open_qdrant(url, Wanted("plain"), "sesame")
        is_what_qdrant_answers(source)
        assert (source.total, source.settings["similarity"]) == (len(POINTS), "gaussian")
        with pytest.raises(CommandError, match=r"401: .*Must provide an API key"):
            open_qdrant(url, Wanted("plain"))
        with pytest.raises(CommandError, match="its collections are plain"):
            open_qdrant(url, Wanted("other"), "sesame")
    with pytest.raises(Unreachable):
        open_qdrant(url, Wanted("plain"))


def test_one_of_several_vectors(folder: Path) -> None:
    one = open_qdrant(str(folder), Wanted("named", vector="a"))
    assert (decoded(read(one)["1"]["key_vector"]), one.settings["similarity"]) == ([1, 2], "gaussian")
    several = open_qdrant(str(folder), Wanted("named", vector="m"))
    assert [decoded(each) for each in read(several)["1"]["key_vectors"]] == [[1, 0], [0, 1]]
    for vector in (None, "b"):
        with pytest.raises(CommandError, match=r"\(a, m\): choose one with --vector"):
            open_qdrant(str(folder), Wanted("named", vector=vector))
    with pytest.raises(CommandError, match="leave out --vector"):
        open_qdrant(str(folder), Wanted("plain", vector="a"))


def test_a_distance_without_a_similarity_wants_one_chosen(folder: Path) -> None:
    meta = folder / "meta.json"
    meta.write_text(meta.read_text().replace("Cosine", "Manhattan"))
    with pytest.raises(CommandError, match=r"Manhattan.*choose one with --similarity"):
        open_qdrant(str(folder), Wanted("plain"))
    assert open_qdrant(str(folder), Wanted("plain", similarity="dot")).settings["similarity"] == "dot"


def test_it_is_imported(softkv: Softkv, client: httpx.Client, folder: Path) -> None:
    take = ["import", "--from", "qdrant", str(folder), "points", "--source", "plain", "--key", "document"]
    ended = softkv(*take)
    assert (ended.exit_code, ended.stdout) == (0, "points: 5 documents written\n"), ended.stderr
    assert softkv(*take, "--resume").stdout == "points: 0 documents written, 5 were there already\n"
    stored = client.get("/v1/collections/points/documents/4").json()
    assert (stored["key"], stored["metadata"]) == ("text 4", {"n": 4, "loc": {"page": 4}, "tags": ["a", None, 1.5]})
    client.delete("/v1/collections/points")


class Harm:
    def __reduce__(self) -> Any:
        return print, ("this must not be printed",)


def test_a_pickle_does_nothing_here(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(folder / "collection" / "plain" / "storage.sqlite") as database:
        database.execute("UPDATE points SET point = ? WHERE rowid = 2", [pickle.dumps(Harm())])
    with pytest.raises(CommandError, match=r"point 2, holds what this import does not read: builtins\.print"):
        read(open_qdrant(str(folder), Wanted("plain")))
    assert capsys.readouterr().out == ""


def test_what_is_nothing_of_qdrant(tmp_path: Path, softkv: Softkv) -> None:
    (tmp_path / "a.snapshot").touch()
    for place in ("a.snapshot", ".", "nowhere"):
        with pytest.raises(Misused, match="start a qdrant with a snapshot"):
            open_qdrant(str(tmp_path / place), Wanted("plain"))
    (tmp_path / "bad.jsonl").write_text("[1]\n")
    with pytest.raises(CommandError, match="line 1 is not a JSON object"):
        read(open_qdrant(str(tmp_path / "bad.jsonl"), Wanted("plain")))
    assert softkv("import", "--from", "pinecone", "x", "y").exit_code == 2
