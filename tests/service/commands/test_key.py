"""`softkv key`: a key is shown once, and its line is one that a service takes."""

from __future__ import annotations

import json
import subprocess

import httpx
import pytest

from softkv_service.api.keyring import KeyFile, Keyring
from tests.service.commands.conftest import COMMAND, serving


def made(*arguments: str) -> tuple[str, str]:
    """A key and its line."""
    ended = subprocess.run([*COMMAND, "key", *arguments], capture_output=True, text=True, check=True)
    return ended.stderr.strip().rpartition(" ")[2], ended.stdout


@pytest.mark.process
@pytest.mark.end_to_end
def test_a_service_takes_the_line_and_answers_to_the_key(tmp_path):
    (tmp_path / "keys").write_text("")
    keys = []
    for arguments in (["app", "--scope", "write", "--collections", "docs-"], ["reader"]):
        key, line = made(*arguments)
        keys.append(key)
        assert key not in line
        with (tmp_path / "keys").open("a") as file:
            file.write(line)
    with serving(tmp_path / "data", "--keys-file", str(tmp_path / "keys")) as running:
        writer, reader = ({"x-api-key": key} for key in keys)
        assert httpx.put(f"{running.url}/v1/collections/docs-a", json={}, headers=writer, timeout=60).status_code == 201
        assert httpx.put(f"{running.url}/v1/collections/other", json={}, headers=writer, timeout=60).status_code == 403
        assert httpx.get(f"{running.url}/v1/collections/docs-a", headers=reader, timeout=60).status_code == 200
        assert httpx.get(f"{running.url}/v1/collections", timeout=60).status_code == 401


def test_for_programs_it_is_json(tmp_path):
    ended = subprocess.run([*COMMAND, "key", "app", "--json"], capture_output=True, text=True, check=True)
    answer = json.loads(ended.stdout)
    (tmp_path / "keys").write_text(answer["line"])
    ring = Keyring(write_keys=(), read_keys=(), file=KeyFile.open(tmp_path / "keys"))
    assert ring.holder(answer["key"]).name == "app"
    assert answer["key"] not in ended.stderr


def test_a_line_may_have_limits():
    condition = '{"field": "metadata.tenant", "operator": "==", "value": "a"}'
    _, line = made(
        "app",
        "--collections",
        "docs-,news-",
        "--filter",
        condition,
        "--requests-per-minute",
        "60",
        "--documents",
        "10",
        "--bytes",
        "1000",
        "--expires",
        "2027-01-31T18:00:00Z",
    )
    record = json.loads(line)
    del record["sha256"]
    assert record == {
        "name": "app",
        "scope": "read",
        "collections": "docs-,news-",
        "filter": json.loads(condition),
        "requests_per_minute": 60,
        "documents": 10,
        "bytes": 1000,
        "expires": "2027-01-31T18:00:00Z",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a key"], "a name is 1 to 64"),
        (["app", "--scope", "admin"], "'admin' is not"),
        (["app", "--collections", "docs-*"], "what their names begin with"),
        (["app", "--filter", "tenant = a"], "--filter is not JSON"),
        (["app", "--filter", "{}"], "filter is not a filter of documents"),
        (["app", "--documents", "0"], "documents is a whole number from 1"),
        (["app", "--expires", "tomorrow"], "expires is an instant as RFC 3339"),
    ],
)
def test_an_invalid_key_is_refused(bare, arguments, message):
    ended = bare("key", *arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert message in ended.stderr


def test_an_invalid_key_file_stops_the_start_without_showing_a_key(tmp_path):
    (tmp_path / "keys").write_text("my-secret-key")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        subprocess.run(
            [
                *COMMAND,
                "serve",
                "--port",
                "0",
                "--encoder",
                "none",
                "--keys-file",
                str(tmp_path / "keys"),
                "--data-dir",
                str(tmp_path / "data"),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
    assert refused.value.returncode == 1
    assert f"softkv: the keys of {tmp_path / 'keys'}: line 1 is not a JSON object" in refused.value.stderr
    assert "my-secret-key" not in refused.value.stderr
