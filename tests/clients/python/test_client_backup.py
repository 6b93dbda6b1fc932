"""`client.backup(file)` of each client leaves a complete and verified file, or no file."""

from __future__ import annotations

import io
import json
import os
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import softkv
from softkv import Client
from tests.clients.python.scripted import Said, Scripted


def test_a_backup_reports_its_length_and_checksum(softkv_client: Any, made: Any, tmp_path: Path) -> None:
    made(encoder=None, dimension=2).write([{"id": "a", "key_vector": [1, 0]}])
    progress: list[tuple[int, int]] = []
    backup = softkv_client.backup(tmp_path / "all", progress=lambda done, of: progress.append((done, of)))
    line, database = (tmp_path / "all").read_bytes().split(b"\n", 1)
    assert json.loads(line)["sha256"] == backup.sha256 == sha256(database).hexdigest()
    assert progress[-1] == (backup.length, backup.length) == (len(database), len(database))
    assert [path.name for path in tmp_path.iterdir()] == ["all"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_only_this_user_reads_a_backup(softkv_client: Any, tmp_path: Path) -> None:
    for name in ("all", "all.part"):  # an older backup, and the rest of one that was killed
        (tmp_path / name).touch(mode=0o644)
    softkv_client.backup(tmp_path / "all")
    assert [(path.name, stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.iterdir()] == [("all", 0o600)]


def test_a_file_that_is_open_will_do(softkv_client: Any) -> None:
    file = io.BytesIO()
    backup = softkv_client.backup(file)
    assert len(file.getvalue().split(b"\n", 1)[1]) == backup.length


HEAD = json.dumps({"softkv_backup": 1, "made": "then", "length": 3, "sha256": sha256(b"abc").hexdigest()}).encode()


@pytest.mark.parametrize("content", [b"", b"{}\nabc", HEAD + b"\nab", HEAD + b"\nabd", b"no backup", b"x" * 10_000])
def test_a_damaged_backup_leaves_the_old_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "all").write_bytes(b"of yesterday")
    with Scripted(Said(200, content)).running() as server, Client(server.url) as client, pytest.raises(softkv.Refused):
        client.backup(tmp_path / "all")
    assert (tmp_path / "all").read_bytes() == b"of yesterday"
    assert [path.name for path in tmp_path.iterdir()] == ["all"]
