"""`softkv backup` and `softkv restore`: out of the file comes the same service, or nothing."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import httpx
import pytest

from tests.service.commands.conftest import Softkv, serving
from tests.waiting import until

DOCUMENTS = [{"id": f"{number}", "key_vector": [number, 1], "value": f"the {number}th"} for number in range(50)]
pytestmark = [pytest.mark.process, pytest.mark.end_to_end]


def header(**fields: object) -> bytes:
    """Return the first line of a backup, with some fields replaced."""
    valid = {"softkv_backup": 1, "schema": 4, "made": "2026-01-01T00:00:00+00:00", "length": 0, "sha256": "0" * 64}
    return json.dumps(valid | fields).encode() + b"\n"


@pytest.fixture(scope="module")
def made(bare: Softkv, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a service with 50 documents, whose store is in `first` beside it."""
    folder = tmp_path_factory.mktemp("backup")
    file = folder / "made.softkv"
    with serving(folder / "first") as service, httpx.Client(base_url=service.url, timeout=60) as client:
        client.put("/v1/collections/vectors", json={"dimension": 2}).raise_for_status()
        client.post("/v1/collections/vectors/documents", json={"documents": DOCUMENTS}).raise_for_status()
        result = bare("backup", str(file), "--url", service.url, "--json")
        again = bare("backup", str(file), "--url", service.url)
        forced = bare("backup", str(file), "--url", service.url, "--force")
    assert result.exit_code == 0, result.output
    assert (again.exit_code, forced.exit_code) == (1, 0)
    assert f"{file} exists already: choose another name, or replace it with --force" in again.stderr.replace("\n", " ")
    report = json.loads(result.stdout)
    assert report["bytes"] < file.stat().st_size
    assert [path.name for path in folder.iterdir() if path.suffix == ".part"] == []
    return file


def test_a_service_on_a_restored_backup_answers_like_the_first(bare: Softkv, made: Path, tmp_path: Path) -> None:
    result = bare("restore", str(made), "--data-dir", str(tmp_path / "second"))
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()  # a log gets whole lines
    assert line.startswith(f"{tmp_path / 'second'}: ")
    assert "bytes, as of 20" in line
    if os.name != "nt":
        assert stat.S_IMODE((tmp_path / "second").stat().st_mode) == 0o700
    with serving(tmp_path / "second") as service, httpx.Client(base_url=service.url, timeout=60) as client:
        body = {"query": [3, 1], "top_k": 1, "temperature": 0, "include": ["value"]}
        path = "/v1/collections/vectors/attend"
        until(lambda: client.post(path, json=body).json().get("code") != "collection_loading")
        (match,) = client.post(path, json=body).json()["matches"]
        assert client.get("/v1/collections/vectors").json()["documents"] == 50
    assert match["value"].startswith("the ")


def test_standard_input_and_output_will_do(bare: Softkv, made: Path, tmp_path: Path) -> None:
    result = bare("restore", "-", "--data-dir", str(tmp_path / "second"), input=made.read_bytes())
    assert result.exit_code == 0, result.output
    with serving(tmp_path / "second") as service:
        written = bare("backup", "-", "--url", service.url)
    assert written.exit_code == 0
    assert b"SQLite format 3\0" in written.stdout_bytes


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (None, 2, "file not found"),
        (b"", 1, "not a backup of softkv"),
        (b"PK\x03\x04 an archive of another program", 1, "not a backup of softkv"),
        (header(softkv_backup=9), 1, "a later softkv wrote this backup (format 9)"),
        (header(length="many"), 1, "length is wrong"),
        (header(length=100), 1, "ends 100 bytes before its end"),
        (header(length=2) + b"no", 1, "by its checksum"),
    ],
)
def test_a_refused_restore_leaves_no_directory(
    bare: Softkv, tmp_path: Path, content: bytes | None, code: int, message: str
) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    result = bare("restore", str(file), "--data-dir", str(tmp_path / "new" / "deep"))
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert list(tmp_path.rglob("*")) == ([] if content is None else [file])
    if content is not None:
        from_input = bare("restore", "-", "--data-dir", str(tmp_path / "new" / "deep"), input=content)
        assert (from_input.exit_code, from_input.stderr) == (code, result.stderr)
        assert list(tmp_path.rglob("*")) == [file]


def test_a_store_that_is_there_stays(bare: Softkv, made: Path) -> None:
    store = made.parent / "first"
    before = (store / "softkv.sqlite3").read_bytes()
    result = bare("restore", str(made), "--data-dir", str(store))
    assert result.exit_code == 1
    assert "move that store away" in result.stderr
    assert (store / "softkv.sqlite3").read_bytes() == before


def test_a_missing_service_or_directory_is_reported(bare: Softkv, tmp_path: Path) -> None:
    assert bare("backup", str(tmp_path / "a"), "--url", "http://127.0.0.1:9").exit_code == 3
    with serving(tmp_path / "first") as service:
        result = bare("backup", str(tmp_path / "no" / "a"), "--url", service.url)
    assert result.exit_code == 1
    assert "choose another file" in result.stderr
    assert list(tmp_path.glob("a*")) == []
