"""`softkv cluster`: one line says why a command does not start. What it does is in `test_ray_cluster.py`."""

from __future__ import annotations

import asyncio
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import softkv_cluster.service
from extensions.cluster.tests.local_servers import LocalServers
from softkv_service.encoding import DEFAULT_MODEL, load_encoder
from softkv_service.retrieval.documents import SentDocument, Worker, upsert
from softkv_service.settings import Settings
from softkv_service.storage import open_shared
from softkv_service.storage.errors import StorageFailed
from softkv_service.storage.records import CollectionSettings, DocumentRecord
from tests.postgres import PostgresServer
from tests.service.commands.conftest import Softkv
from tests.service.commands.test_doctor import checks
from tests.service.retrieval.documents.test_backfill import serving
from tests.service.retrieval.documents.test_backfill_values import documents, written

STORE = "postgresql://softkv@127.0.0.1:1/softkv"
UP = ("up", "--servers", "3")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (UP, "shards need the database of the collections: name it with --store postgresql://…"),
        (("status",), "shards need the database of the collections: name it with --store postgresql://…"),
        (("down", "--shards", "auto"), "shards need a PostgreSQL database, and SOFTKV_STORE does not name one"),
        ((*UP, "--store", "sqlite://x"), "--store: expected the address of a PostgreSQL database"),
        ((*UP, "--store", STORE, "--shards", "http://head:6379"), "--shards: expected auto for the Ray cluster"),
        ((*UP, "--store", STORE, "--shards", "head:0"), "--shards: expected auto for the Ray cluster"),
        (
            (*UP, "--store", STORE, "--vector-storage", "files", "--data-dir", "none"),
            "--vector-storage files needs a directory: name one with --data-dir",
        ),
        ((*UP, "--restart", "--wait", "0"), "--restart waits for one server before the next: leave --wait 0 out"),
        ((*UP, "--store", STORE), "PostgreSQL at postgresql://127.0.0.1:1/softkv cannot be reached now"),
    ],
)
def test_a_command_says_in_one_line_why_it_does_not_start(
    bare: Softkv, arguments: tuple[str, ...], message: str
) -> None:
    ended = bare("cluster", *arguments)
    assert ended.exit_code == 1
    assert ended.stderr.startswith(f"softkv: {message}")
    assert ended.stderr.count("\n") == 1


def test_a_value_outside_the_choices_is_a_mistake_of_usage(bare: Softkv) -> None:
    ended = bare("cluster", *UP, "--store", STORE, "--vector-storage", "disk")
    assert ended.exit_code == 2
    assert "'disk' is not one of 'memory', 'files'" in " ".join(ended.stderr.replace("│", " ").split())


@pytest.mark.parametrize("arguments", [("up",), ("up", "--servers", "0"), (*UP, "--copies", "9"), ("shard",)])
def test_misuse_has_its_own_exit_code(bare: Softkv, arguments: tuple[str, ...]) -> None:
    assert bare("cluster", *arguments).exit_code == 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", None),
        ("none", None),
        ("auto", "auto"),
        ("head", "head:6379"),
        ("head.internal:7000", "head.internal:7000"),
        ("[::1]", "[::1]:6379"),
        ("ray://head", "ray://head:10001"),
        ("ray://head.internal:7000/", "ray://head.internal:7000"),
    ],
)
def test_the_address_of_a_ray_cluster_has_its_port(options: str, expected: str | None) -> None:
    assert Settings(store=STORE, shards=options).shards == expected


@pytest.mark.postgres
@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is here")
def test_without_ray_the_package_to_install_is_named(bare: Softkv, postgres: PostgresServer) -> None:
    ended = bare(
        "cluster", *UP, "--store", postgres.database(), "--shards", "head", SOFTKV_HOST="0.0.0.0"
    )  # as in the image
    assert ended.exit_code == 1
    assert ended.stderr.startswith("softkv: shards need Ray, which is not there")
    assert ended.stderr.endswith("run `pip install ray==2.60.0`\n")
    assert ended.stderr.count("\n") == 1


@pytest.mark.postgres
def test_the_servers_that_hold_the_keys_are_checked(
    bare: Softkv, tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = postgres.database()
    monkeypatch.setenv("SOFTKV_SHARDS", "auto")
    monkeypatch.setattr(
        softkv_cluster.service, "join_cluster", lambda *_: SimpleNamespace(servers=list, close=lambda: None)
    )

    def shard_check() -> tuple[int, str, str]:
        code, report = checks(bare, tmp_path, "--encoder", "none", "--store", address)
        return code, report["shards"]["state"], report["shards"]["detail"]

    with closing(LocalServers(address)) as servers:
        monkeypatch.setattr(softkv_cluster.service, "open_transport", lambda: servers)
        code, state, detail = shard_check()
        assert (code, state) == (1, "broken")
        assert detail.startswith("no servers are deployed that hold the keys")
        with servers.store.writing() as writer:
            number = writer.create_collection("c", CollectionSettings("cosine", 1.0)).id
            writer.upsert(number, [DocumentRecord("a", None, 1, np.ones((1, 2), np.float32))])
        servers.deploy(2, 2)
        servers.settle()
        assert shard_check() == (0, "ok", "2 of 2 servers answer; 1 shards: 1 have 2 copies, 0 fewer, 0 none")
        servers.lost = {"softkv-0"}
        assert shard_check() == (0, "note", "1 of 2 servers answer; 1 shards: 0 have 2 copies, 1 fewer, 0 none")
        servers.lost = {"softkv-0", "softkv-1"}
        code, state, detail = shard_check()
        assert (code, state) == (1, "broken")
        assert detail.startswith("0 of 2 servers answer; 1 shards: 0 have 2 copies, 0 fewer, 1 none; if that stays so")


@pytest.mark.postgres
async def test_values_that_wait_keep_servers_from_starting(bare: Softkv, postgres: PostgresServer) -> None:
    """A server would hold zeros in their place."""
    address, model = postgres.database(), load_encoder(DEFAULT_MODEL)
    start = ("cluster", *UP, "--store", address, "--shards", "head")
    with closing(open_shared(address)) as store:
        async with serving(store, model) as catalogue:
            collection = await written(catalogue, documents(3))
            refused = "3 values of collection 'c' are yet to be encoded, which only a service without shards does"
            with pytest.raises(StorageFailed, match=refused):
                softkv_cluster.service.open_catalogue(store, catalogue.encoders, "head")
            ended = await asyncio.to_thread(bare, *start)
            assert (ended.exit_code, ended.stderr.count("\n")) == (1, 1)
            assert ended.stderr.startswith(f"softkv: {refused}")
            await Worker(catalogue).finish()
            softkv_cluster.service.require_values(store)
            await upsert(collection, [SentDocument("refused", "a key", "a value that is refused")], ["/0"])
            with store.reading() as reader:
                (row,) = reader.find_waiting_values(collection.record.id).waiting
            collection.write_values({row: None})
            with pytest.raises(StorageFailed, match="1 values of collection 'c' were refused by its encoder"):
                softkv_cluster.service.require_values(store)
