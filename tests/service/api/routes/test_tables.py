"""POST /v1/tables: a file of any format comes back as the rows that `softkv load` reads, within limits."""

from __future__ import annotations

import gzip
import io
import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from softkv.tables import open_table
from softkv_service.api.received import ReceivedFiles
from tests.clients.python.commands.test_load_tables import NAMED, SAVERS, frame
from tests.clients.python.tables.files import CASES
from tests.clients.python.tables.outside import REFUSED, SECRET, save_xlsx
from tests.running import RunningService
from tests.service.api.contract import Contract, checked_in
from tests.service.api.troubles import small_disk
from tests.service.commands.conftest import serving
from tests.thorough import thorough
from tests.waiting import until

FILE = {"content-type": "application/octet-stream"}
CONTRACT = Contract(checked_in())
# tests/clients/python/tables tries all formats and references in the process that the service reads files with.
FORMATS = ("csv", "csv.gz", "xlsx", "parquet")
REFERENCES = ("external link", "parts of Parquet", "objects", "entity in xlsx")
CSV = b"nr,title,year\n1,cats,1990\n2,,1991\n3,a,b,c\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    data = tmp_path_factory.mktemp("tables")
    settings = {"encoder": "none", "api_keys": "writer,other", "max_body_bytes": 1 << 20}
    with RunningService(data_dir=data, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def keyed(running: RunningService) -> Iterator[httpx.Client]:
    with running.client(headers={"X-API-Key": "writer"}) as client:
        yield client


def received(running: RunningService) -> list[Path]:
    """Return the files that the service has received."""
    try:
        return [path for path in running.settings.upload_folder.glob("*/*/*") if path.is_file()]
    except FileNotFoundError:  # a folder that was removed while it was looked through
        return received(running)


def post(client: httpx.Client, name: str, content: bytes, **options: Any) -> httpx.Response:
    return client.post("/v1/tables", params={"file": name, **options}, content=content, headers=FILE)


def lines_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    lines = [json.loads(line) for line in answer.text.splitlines()]
    for line in lines:
        assert not CONTRACT.flaws({"$ref": "#/components/schemas/TableLine"}, line), line
    return lines


def flat(cells: dict[str, Any]) -> dict[str, Any]:
    """Return cells or a document without its id, with the fields of its metadata that have other names beside it."""
    fields = {**cells.get("metadata", {}), **cells}
    if "key_vector" in cells:
        fields["key_vector"] = np.float32(cells["key_vector"]).tolist()
    names = sorted(fields.keys() - {"id", "metadata"}, key=lambda name: not name.startswith("metadata."))
    return {name.removeprefix("metadata."): fields[name] for name in names}


@pytest.mark.parametrize("ending", [ending if ending in FORMATS else thorough(ending) for ending in SAVERS])
def test_rows_are_those_of_the_client(running, keyed, tmp_path, ending):
    path = tmp_path / f"loaded.{ending}"
    SAVERS[ending](frame(30), path)
    head, *rows, end = lines_of(post(keyed, f"C:\\folder\\loaded.{ending}", path.read_bytes(), **NAMED))
    assert (head["name"], head["total"] in (30, None)) == (path.name, True)
    assert end == {"done": True, "rows": 30, "refused": 0, "keyless": 0, "expired": 0}
    for row, expected in zip(rows, open_table(path, **NAMED), strict=True):
        document = {**row["cells"], "key_vector": np.float32(row["cells"]["key_vector"]).tolist()}
        wanted = dict(expected.document or {})
        wanted["key_vector"] = np.float32(wanted["key_vector"]).tolist()
        assert row["line"] == expected.number
        assert document == {**wanted.pop("metadata"), **wanted}
    until(lambda: not received(running))  # the answer ends before its file is deleted


SEVERAL = ("shards", "part*.csv", "projector.tsv", "one.safetensors", "matlab.mat")
FILES = [case for case in CASES if case.name not in SEVERAL]


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)
def test_a_file_of_any_format_is_its_documents(keyed, tmp_path, case):
    case.save(tmp_path / case.name)
    _, *rows, end = lines_of(post(keyed, case.name, (tmp_path / case.name).read_bytes(), **case.options))
    documents = {str(row["cells"].get("id", row.get("id"))): flat(row["cells"]) for row in rows}
    assert [documents[document["id"]] for document in case.documents] == [flat(document) for document in case.documents]
    assert end["refused"] == 0


def test_columns_come_back_under_the_names_of_fields(keyed):
    head, *rows, end = lines_of(post(keyed, "books.csv", CSV, key="title"))
    assert head["columns"] == ["key", "nr", "year"]
    assert rows[:2] == [
        {"line": 2, "cells": {"nr": 1, "key": "cats", "year": 1990}},
        {"line": 3, "cells": {"nr": 2, "year": 1991}},
    ]
    assert (rows[2]["line"], "4 cells and the header 3" in rows[2]["detail"]) == (4, True)
    assert end == {"done": True, "rows": 3, "refused": 1, "keyless": 1, "expired": 0}
    head, *_ = lines_of(post(keyed, "books.csv", b"id,key,other\na,b,c\n", id="other"))
    assert head["columns"] == ["key", "id", "metadata.id"]


@pytest.mark.parametrize(
    ("name", "content", "options", "reason"),
    [
        ("books.csv", CSV, {"id": "none"}, "books.csv has no column 'none' for id=…, its columns are nr, title, year"),
        ("books.csv", CSV, {"delimiter": "ab"}, "wanted a delimiter of one character"),
        ("books.csv", b"id,id\n1,2\n", {}, "two columns named 'id'"),
        ("books.csv", b"", {}, "the body is empty"),
        ("books.rar", b"PK", {}, "ends in none of"),
        ("-", b"{}", {}, "ends in none of"),
        ("books.csv", gzip.compress(CSV, mtime=0)[:-9], {}, "books.csv cannot be read, and may be damaged"),
        ("numpy.py", b"raise SystemExit", {}, "ends in none of"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(running, keyed, name, content, options, reason):
    answer = post(keyed, name, content, **options)
    assert answer.status_code == 422
    CONTRACT.keeps(answer)
    assert reason in answer.json()["detail"]
    assert received(running) == []


@pytest.mark.parametrize(
    "name", ["猫" * 96 + ".csv", "a" * 900 + ".csv", "é" * 400 + ".csv.gz", "../" + "ก" * 85 + ".csv"]
)
def test_a_long_name_of_a_file_keeps_its_endings(keyed, name):
    content = gzip.compress(CSV) if name.endswith(".gz") else CSV
    head, *_ = lines_of(post(keyed, name, content, id="nr", key="title"))
    assert len(head["name"].encode()) <= 200
    assert name.endswith(head["name"][1:])


def test_damage_behind_the_first_rows_ends_the_answer_in_words(keyed):
    packed = bytearray(gzip.compress("".join(f'{{"id": "{i}"}}\n' for i in range(50_000)).encode()))
    packed[-8:-4] = b"sums"
    answer = post(keyed, "books.ndjson.gz", bytes(packed))
    if answer.status_code == 422:
        assert "may be damaged" in answer.json()["detail"]
        return
    assert "may be damaged" in lines_of(answer)[-1]["problem"]["detail"]


@pytest.mark.parametrize("name", ["bomb.csv.gz", thorough("bomb.json.gz"), thorough("bomb.npz")])
def test_a_file_that_grows_beyond_the_memory_is_refused(running, keyed, name):
    content = io.BytesIO()
    if name.endswith("npz"):
        np.savez_compressed(content, id=np.zeros(90_000_000, "i8"))
    else:
        content.write(gzip.compress(b'["' if name == "bomb.json.gz" else b"id,key\n1,"))
        content.write(gzip.compress(bytes([48]) * (1 << 20)) * 700)
    assert len(content.getvalue()) < 1 << 20
    answer = post(keyed, name, content.getvalue())
    assert answer.status_code == 422
    says = "needs more than" if name.endswith("npz") else "unpacks to more than 67,108,864 bytes"
    assert f"{name} {says}" in answer.json()["detail"]
    assert keyed.get("/livez").status_code == 200
    assert received(running) == []


def test_a_sheet_that_reaches_far_beyond_its_data_is_refused(running, keyed, tmp_path):
    save_xlsx(tmp_path / "books.xlsx", "</row><row r='700000'><c r='Z700000'><v>1</v></c>")
    answer = post(keyed, "books.xlsx", (tmp_path / "books.xlsx").read_bytes())
    assert answer.status_code == 422
    CONTRACT.keeps(answer)
    limits = (
        r"books\.xlsx needs more than [\d,]+ bytes of memory or 600 seconds, or it is damaged: delete the empty rows"
    )
    assert re.match(limits, answer.json()["detail"])
    assert received(running) == []


def test_the_file_of_a_client_that_hangs_up_is_deleted(running, keyed):
    rows = "".join(f'{{"id": "{i}", "key": "{"x" * 20_000}"}}\n' for i in range(3000))
    content = gzip.compress(rows.encode(), 1)
    until(lambda: not received(running))
    with keyed.stream(
        "POST", "/v1/tables", params={"file": "books.ndjson.gz"}, content=content, headers=FILE
    ) as answer:
        next(answer.iter_raw())
        assert len(received(running)) == 1
    until(lambda: not received(running))


def test_a_missing_package_is_a_501(keyed, tmp_path, monkeypatch):
    folder = tmp_path / "site-packages"  # whose modules the process may open
    folder.mkdir()
    (folder / "python_calamine.py").write_text("raise ImportError\n")
    monkeypatch.syspath_prepend(folder)
    answer = post(keyed, "books.xlsx", b"PK")
    assert answer.status_code == 501
    CONTRACT.keeps(answer)
    assert "run `pip install python-calamine`" in answer.json()["detail"]


@pytest.mark.parametrize("kind", [kind if kind in REFERENCES else thorough(kind) for kind in REFUSED])
def test_a_file_that_names_another_file_is_refused(running, keyed, tmp_path, kind):
    (tmp_path / "other").write_text(SECRET)
    name, save, says = REFUSED[kind]
    save(tmp_path / name, tmp_path / "other")
    answer = post(keyed, name, (tmp_path / name).read_bytes())
    assert answer.status_code == 422
    CONTRACT.keeps(answer)
    assert re.match(f"{re.escape(name)} {says}", answer.json()["detail"])
    assert SECRET not in answer.text
    assert received(running) == []


@contextmanager
def sending(port: int, key: str) -> Iterator[None]:
    """Within the block, a call has sent its head and a part of its file."""
    head = (
        f"POST /v1/tables?file=books.csv HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {key}\r\n"
        "Content-Type: application/octet-stream\r\nContent-Length: 1000\r\n\r\nid,key\n"
    )
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode())
        yield


def test_a_file_beyond_the_places_is_a_429_before_its_body(running, keyed):
    with ExitStack() as stack:
        for number in range(2):
            stack.enter_context(sending(running.port, "writer"))
            until(lambda number=number: len(received(running)) == number + 1)
        answer = post(keyed, "books.csv", CSV)
        assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
        CONTRACT.keeps(answer)
        assert answer.headers["retry-after"].isdecimal()
        assert answer.json()["detail"].startswith("2 files of this caller are being received or read")
        with running.client(headers={"X-API-Key": "other"}) as other:
            assert post(other, "books.csv", CSV, key="title").status_code == 200
    until(lambda: not received(running))
    assert post(keyed, "books.csv", CSV, key="title").status_code == 200


def test_a_disk_without_room_is_a_507(running, keyed, tmp_path):
    def post_to(files: ReceivedFiles, content: bytes) -> httpx.Response:
        running.app.state.received, before = files, running.app.state.received
        answer = post(keyed, "books.csv", content, key="title")
        running.app.state.received = before
        files.close()
        return answer

    with small_disk(tmp_path) as fill:
        assert post_to(ReceivedFiles(tmp_path, 0, reserve_bytes=0, reserve_share=0), CSV).status_code == 200
        full = [post_to(ReceivedFiles(tmp_path, 1 << 20), CSV)]
        fill()
        full.append(post_to(ReceivedFiles(tmp_path, 0, reserve_bytes=0, reserve_share=0), CSV * 1000))
    for answer, reason in zip(full, ["1,073,741,824 must stay free", "has no room for the file"], strict=True):
        assert answer.status_code == 507
        CONTRACT.keeps(answer)
        assert reason in answer.json()["detail"]


def test_a_directory_that_cannot_be_used_is_a_503(tmp_path):
    (tmp_path / "received").write_text("")
    with RunningService(data_dir=tmp_path, encoder="none") as service, service.client() as client:
        answer = post(client, "books.csv", CSV)
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_failed")
    CONTRACT.keeps(answer)
    assert "SOFTKV_RECEIVED_DIR" in answer.json()["detail"]


@pytest.mark.process
def test_nothing_is_left_of_a_file_after_a_kill_and_a_start(tmp_path):
    folder = tmp_path / "elsewhere"
    settings = (tmp_path / "data", "--received-dir", str(folder))
    with serving(*settings) as service, sending(httpx.URL(service.url).port, "none"):
        until(lambda: any(path.is_file() for path in folder.glob("*/*/*")))
        service.process.kill()
        service.process.wait()
        assert len(list(folder.iterdir())) == 2
    with serving(*settings):
        until(lambda: not list(folder.iterdir()))
