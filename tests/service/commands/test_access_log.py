"""`softkv access-log`: lines are filtered, rotated files are read, torn lines are named, and it follows."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from softkv_service.api.access_log import AccessLog
from tests.service.commands.conftest import COMMAND, Softkv, serving


def entry(**fields: Any) -> dict[str, Any]:
    return {
        "at": "2026-01-01T00:00:00.000Z",
        "key": "app",
        "address": "10.0.0.7",
        "call": "put_document",
        "collection": "docs",
        "ids": ["a"],
        "request_id": "r",
        "outcome": "done",
    } | fields


def write(path: Path, *entries: dict[str, Any], max_bytes: int = 1 << 20) -> Path:
    log = AccessLog(path, max_bytes=max_bytes, old_files=99)
    for fields in entries:
        log.submit(fields, durable=False)
    log.close()
    return path


def ago(**age: float) -> str:
    return (datetime.now(UTC) - timedelta(**age)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(
        tmp_path / "log",
        entry(request_id="old"),
        entry(request_id="reader", key="reader", outcome="forbidden", at=ago(hours=2)),
        entry(request_id="unknown", key=None, collection=None, outcome="key_refused", at=ago(minutes=30)),
        entry(request_id="replay", outcome="replayed", collection="other", at=ago(minutes=20)),
        entry(request_id="broken", outcome="unfinished", at=ago(minutes=10)),
        max_bytes=300,
    )


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ([], ["old", "reader", "unknown", "replay", "broken"]),
        (["--since", "1h"], ["unknown", "replay", "broken"]),
        (["--since", "1d"], ["reader", "unknown", "replay", "broken"]),
        (["--since", "2026-01-01"], ["old", "reader", "unknown", "replay", "broken"]),
        (["--since", "2026-01-01T01:00+01:00"], ["old", "reader", "unknown", "replay", "broken"]),
        (["--since", "2026-01-01T00:00:00.001"], ["reader", "unknown", "replay", "broken"]),
        (["--outcome", "refused"], ["reader", "unknown"]),
        (["--outcome", "forbidden"], ["reader"]),
        (["--outcome", "done"], ["old"]),
        (["--outcome", "nothing"], []),
    ],
)
def test_lines_of_all_files_are_filtered(bare: Softkv, path: Path, options: list[str], shown: list[str]) -> None:
    assert len(list(path.parent.iterdir())) > 2
    ended = bare("access-log", str(path), "--json", *options)
    assert ended.exit_code == 0
    assert [json.loads(line)["request_id"] for line in ended.stdout.splitlines()] == shown
    assert bare("access-log", "--json", *options, SOFTKV_ACCESS_LOG=str(path)).stdout == ended.stdout


def test_for_people_it_is_a_line_each(bare: Softkv, tmp_path: Path) -> None:
    path = write(
        tmp_path / "log",
        entry(ids=["a", "b\u202eevil"], count=2),
        {name: value for name, value in entry(key=None, count=1200).items() if name != "ids"},
    )
    named, counted = bare("access-log", str(path)).stdout.splitlines()
    assert named.split()[:6] == ["2026-01-01T00:00:00.000Z", "done", "app", "10.0.0.7", "put_document", "docs"]
    assert named.endswith("docs a, b evil")
    assert counted.split()[2] == "-"
    assert counted.endswith("docs 1,200 documents")


def test_a_torn_line_is_passed_over_and_named(bare: Softkv, path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    ended = bare("access-log", str(path), "--json")
    assert len(ended.stdout.splitlines()) == 5
    assert f"passed over a torn line: {path}, line 2" in ended.stderr


@pytest.mark.parametrize(
    "fields",
    [{"ids": [6]}, {"ids": "a"}, {"at": 1}, {"key": 7}, {"call": None}, {"count": "x"}, {"outcome": []}, {"alias": {}}],
)
def test_a_line_of_other_types_is_passed_over(bare: Softkv, tmp_path: Path, fields: dict[str, Any]) -> None:
    result = bare("access-log", str(write(tmp_path / "log", entry(**fields), entry(request_id="good"))))
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1
    assert "no service has written" in result.stderr


def test_json_has_no_character_that_moves_text(bare: Softkv, tmp_path: Path) -> None:
    hidden = "a\u202eb\u2028c\u200fd猫"
    result = bare("access-log", str(write(tmp_path / "log", entry(ids=[hidden]))), "--json")
    assert "\\u202eb\\u2028c\\u200fd猫" in result.stdout
    assert json.loads(result.stdout)["ids"] == [hidden]


def test_follow_continues_over_a_rotation(path: Path) -> None:
    command = [*COMMAND, "access-log", str(path), "--follow", "--json", "--outcome", "new"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        log = AccessLog(path, max_bytes=600, old_files=9)
        for number in range(10):
            log.submit(entry(request_id=str(number), outcome="new"), durable=False).result()
            assert json.loads(process.stdout.readline())["request_id"] == str(number)
        log.close()
        process.terminate()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nosuch"], 1, "the access log nosuch cannot be read: No such file"),
        (["nosuch", "--since", "yesterday"], 2, "expected an age such as 90m or 7d"),
        ([], 2, "Missing argument"),
    ],
)
def test_an_unreadable_log_is_reported(bare: Softkv, arguments: list[str], code: int, message: str) -> None:
    ended = bare("access-log", *arguments, COLUMNS="200")
    assert ended.exit_code == code
    assert message in (ended.stderr or str(ended.exception))


def test_the_command_reads_the_log_of_a_service_and_doctor_checks_it(bare: Softkv, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with serving(tmp_path / "data", "--access-log", str(path), "--access-log-files", "3") as running:
        assert httpx.put(f"{running.url}/v1/collections/c", json={}, timeout=60).status_code == 201
        (line,) = bare("access-log", str(path), "--json").stdout.splitlines()
    assert (json.loads(line)["key"], json.loads(line)["call"]) == (None, "put_collection")
    for access_log, state, detail in (
        (path, "ok", "1 line, 0 rotated files"),
        (tmp_path / "none", "note", "does not exist yet"),
        (tmp_path / "no" / "log", "broken", "cannot be created"),
    ):
        options = ["--data-dir", str(tmp_path / "x"), "--encoder", "none", "--json"]
        ended = bare("doctor", *options, SOFTKV_ACCESS_LOG=str(access_log))
        check = next(check for check in json.loads(ended.stdout)["checks"] if check["name"] == "access log")
        assert check["state"] == state
        assert detail in check["detail"]
