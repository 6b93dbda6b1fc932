"""Commands over a database: doctor, serve and copy, and what a service refuses on it."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

import softkv_service.startup
from softkv_postgres.schema.version import SCHEMA
from softkv_service.settings import Settings
from softkv_service.startup import open_in_background
from softkv_service.storage import SQLiteStore, compare_collection, open_shared
from softkv_service.storage.errors import StoreRefused, StoreUnavailable
from tests.captured_logs import capture_logs
from tests.examples import Page
from tests.postgres import PostgresServer, running
from tests.running import RunningService
from tests.service.api.problems.test_table_refusals import refused
from tests.service.commands.conftest import Softkv, serving
from tests.service.commands.test_doctor import checks
from tests.service.commands.test_serve import starting
from tests.service.commands.test_stores_copy import filled
from tests.service.test_startup import PATIENCE
from tests.waiting import until

__all__ = ["filled"]  # a fixture


def test_a_database_is_counted_beside_a_service_that_uses_it(
    bare: Softkv, tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = postgres.database()
    monkeypatch.setenv("SOFTKV_STORE", address)
    code, report = checks(bare, tmp_path, "--encoder", "none")
    assert (code, report["store"]["state"]) == (0, "note")
    assert "has no tables of softkv yet: `softkv serve` creates them" in report["store"]["detail"]
    with psycopg_to(address) as connection:
        assert connection.execute("SELECT to_regnamespace('softkv')").fetchone() == (None,)
    with serving(tmp_path, "--store", address) as running:
        httpx.put(f"{running.url}/v1/collections/one", json={})
        httpx.post(f"{running.url}/v1/collections/one/documents", json={"documents": [{"id": "a", "key_vector": [1]}]})
        code, report = checks(bare, tmp_path, "--encoder", "none")
        assert (code, report["store"]["state"]) == (0, "ok")
        assert "PostgreSQL 1" in report["store"]["detail"]
        expected = f"schema version {SCHEMA}, is sound: 1 collection, 1 document (one: 1)"
        assert expected in report["store"]["detail"]
        with psycopg_to(address) as connection:
            connection.execute("UPDATE softkv.documents SET value = '1'")
        code, report = checks(bare, tmp_path, "--encoder", "none")
        assert (code, report["store"]["state"]) == (1, "broken")
        assert report["store"]["detail"].startswith("document 'a', row 1 is damaged")


def test_shards_need_the_distribution_that_has_them(
    bare: Softkv, tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(softkv_service.startup, "entry_points", lambda **group: [])
    monkeypatch.setenv("SOFTKV_SHARDS", "auto")
    address = postgres.database()
    open_shared(address).close()
    code, report = checks(bare, tmp_path, "--encoder", "none", "--store", address)
    assert (code, report["shards"]["state"]) == (1, "broken")
    assert report["shards"]["detail"].endswith("install `softkv[cluster]`, or unset SOFTKV_SHARDS")


def test_tables_of_another_version_are_broken(bare: Softkv, tmp_path: Path, postgres: PostgresServer) -> None:
    address = postgres.database()
    open_shared(address).close()
    with psycopg_to(address) as connection:
        connection.execute("UPDATE softkv.state SET schema_version = 99")
    code, report = checks(bare, tmp_path, "--encoder", "none", "--store", address)
    assert (code, report["store"]["state"]) == (1, "broken")
    assert "has schema version 99, this softkv knows" in report["store"]["detail"]


def psycopg_to(address: str) -> Any:
    return psycopg.connect(address, autocommit=True)


def test_a_service_that_starts_before_its_database_listens_when_that_has_started() -> None:
    with running() as server:
        address = server.database()
        server.kill()
        with starting(SOFTKV_STORE=address) as process:
            assert process.stderr is not None
            assert "waiting for the database" in process.stderr.readline()
            server.start()
            assert "reached the database" in process.stderr.readline()
            assert any("softkv listens on http" in line for line in process.stderr)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
            assert process.returncode == 0


def test_a_database_that_refuses_ends_the_start_at_once(postgres: PostgresServer) -> None:
    address = postgres.database().rpartition("/")[0].replace("softkv@", "softkv:a-secret@") + "/missing"
    with starting(SOFTKV_STORE=address) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = errors.splitlines()  # none of a wait
    assert line.startswith(f"softkv: PostgreSQL at postgresql://127.0.0.1:{postgres.port}/missing refuses softkv (")
    assert 'database "missing" does not exist' in line
    assert "correct the user, password or database in the address" in line
    assert "a-secret" not in line


def test_there_and_back_nothing_has_changed(
    bare: Softkv, filled: Path, tmp_path: Path, postgres: PostgresServer
) -> None:
    address = postgres.database()
    for source, target in ((str(filled), address), (address, str(tmp_path / "back"))):
        result = bare("copy", source, target, "--verify", "--json")
        assert result.exit_code == 0, result.output
    with (
        SQLiteStore.open(filled) as first,
        SQLiteStore.open(tmp_path / "back") as last,
        first.reading() as reader,
        last.reading() as target_reader,
    ):
        assert all(compare_collection(reader, target_reader, name).same for name in ("many", "one"))
        assert target_reader.aliases() == [("current", "many")]


def test_the_page_about_moving_shows_the_output_of_copy(bare: Softkv, tmp_path: Path, postgres: PostgresServer) -> None:
    page = Page("extensions/postgres/docs/operate/moving-to-postgresql.md").text
    shown = re.search(r"softkv copy /var\S+ postgresql://\S+ --verify\n```.*?```text\n(.*?)```", page, re.DOTALL)
    with RunningService(data_dir=tmp_path, demo=("library",)) as running:
        running.wait_until_ready()
        with running.client() as client:
            client.put("/v1/aliases/books", json={"collection": "library"})
    result = bare("copy", str(tmp_path), address := postgres.database(), "--verify")
    assert shown is not None
    assert re.sub(r"[0-9a-f]{32}", "…", result.stdout) == re.sub(r"[0-9a-f]{32}", "…", shown[1])
    _, report = checks(bare, tmp_path, "--encoder", "none", "--store", address)
    sound = re.search(r"is sound: [^,]+, \d+ documents \(.+?\)", report["store"]["detail"])
    assert sound is not None
    assert sound[0] in page


def test_a_start_goes_on_when_its_database_has_started():
    with running() as server:
        address = server.database()
        server.kill()
        server.start(recovers=True)
        with pytest.raises(StoreUnavailable, match="the database system is") as raised:
            open_shared(address)
        assert not isinstance(raised.value, StoreRefused)
        with capture_logs() as lines:
            opening = open_in_background(Settings(store=address, encoder="none"), wait_seconds=PATIENCE)
            until(lambda: lines)
            server.promote()
            opening.keys.result(PATIENCE)
        opening.cancel()
    assert [line["event"] for line in lines] == ["waiting for the database", "reached the database"]
    assert "the database system is" in lines[0]["reason"]


def test_a_backup_from_postgresql_is_a_501(postgres, tmp_path):
    settings = {"data_dir": tmp_path, "encoder": "none", "store": postgres.database()}
    with RunningService(**settings) as running, running.client() as client:
        refused(client.get("/v1/backup"), 501)
        assert client.put("/v1/collections/c", json={}).status_code == 201
        assert client.get("/v1/collections").json()["collections"][0]["name"] == "c"
