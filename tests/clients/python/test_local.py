"""A service in this process: its directory, its logging, its shutdown."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from unittest import mock

import pytest

import softkv
from softkv import AsyncClient, Client
from softkv_service.settings import Settings
from softkv_service.storage import SQLiteStore
from tests.examples import ROOT

ONLY_OF_A_SERVER = (
    *("httptools", "mcp", "mcp_types", "prometheus_client", "pygments", "rich", "torch", "typer", "uvicorn"),
    *(f"softkv_service.{name}" for name in ("app", "commands", "server")),
    *(f"softkv_service.api.{name}" for name in ("mcp", "metrics", "openapi", "routes.documentation", "routes.page")),
    "softkv_workshop",
)


@pytest.fixture
def threads_named():
    """Return a function that counts the threads with a name that were not there before the test."""
    before = Counter(thread.name for thread in threading.enumerate())
    return lambda name: [thread.name for thread in threading.enumerate()].count(name) - before[name]


def test_clients_of_one_directory_share_a_service_until_the_last_is_closed(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "data")
    first = Client.local(tmp_path / "data", encoder=None)
    second = Client.local(str(tmp_path / "link"), encoder="none", retries=0)
    first.collection("a").create(dimension=2)
    assert second.collection("a").exists("x") is False
    first.close()
    first.close()
    with pytest.raises(softkv.Unreachable):
        first.info()
    second.collection("a").put("x", key_vector=[1, 0])
    second.close()
    with pytest.raises(softkv.Unreachable):
        second.info()
    with Client.local(tmp_path / "data", encoder=None) as again:
        assert again.collection("a").count() == 1


def test_other_options_for_a_directory_that_is_open_are_refused_by_name(tmp_path):
    with Client.local(tmp_path, encoder=None, max_queue=30):
        Client.local(tmp_path, encoder=None, max_queue=30, received_dir=None, retries=5).close()
        with pytest.raises(softkv.Invalid, match="another value of encoder, max_queue: give the same, or close the"):
            Client.local(tmp_path)
    Client.local(tmp_path, encoder=None).close()


def test_a_client_that_was_dropped_unclosed_uses_the_directory_no_longer(tmp_path):
    dropped = Client.local(tmp_path, encoder=None)
    dropped.collection("a").create(dimension=2)
    collection = dropped.collection("a")
    del dropped
    gc.collect()
    assert collection.count() == 0
    del collection
    gc.collect()
    with Client.local(tmp_path, encoder=None, max_queue=30) as client:  # other options: a service of its own
        assert client.info().limits["requests_at_once"] == 30


def test_clients_of_both_kinds_and_of_many_threads_share_a_service(tmp_path, threads_named):
    def count(_: int) -> int:
        with Client.local(tmp_path, encoder=None) as client:
            client.collection("a").create(dimension=2, exist_ok=True)
            return threads_named("softkv")

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(count, range(12))) == {1}

    async def ask() -> int:
        async with AsyncClient.local(tmp_path, encoder=None) as one, AsyncClient.local(tmp_path, encoder=None) as two:
            with Client.local(tmp_path, encoder=None) as blocking:
                blocking.collection("a").put("x", key_vector=[1, 0])
            await one.close()
            return await two.collection("a").count()

    assert asyncio.run(ask()) == 1
    assert threads_named("softkv") == 0


def test_a_directory_that_cannot_be_used_is_free_again(tmp_path):
    (tmp_path / "file").touch()
    for _ in range(2):
        with pytest.raises(softkv.Error, match="cannot be used"):
            Client.local(tmp_path / "file", encoder=None)
    (tmp_path / "file").unlink()
    Client.local(tmp_path / "file", encoder=None).close()


def test_a_directory_that_this_program_has_open_by_other_means_is_named_so(tmp_path):
    store = SQLiteStore.open(tmp_path)
    with pytest.raises(softkv.Error, match=r"this program has it open: use that client, or `close\(\)` it"):
        Client.local(tmp_path, encoder=None)
    store.close()


def test_a_relative_directory_is_that_of_the_call(monkeypatch, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "mine").mkdir()
    for project in ("other", "mine"):
        monkeypatch.chdir(tmp_path / project)
        with Client.local("data", encoder=None) as client:
            client.collection("a").create()
            client.collection("a").upsert({"id": str(i), "key_vector": [i, 1], "value": project} for i in range(50))
    with Client.local("data", encoder=None) as client:
        monkeypatch.chdir(tmp_path / "other")
        shelf = client.collection("a")
        with ThreadPoolExecutor(16) as pool:
            assert set(pool.map(lambda i: shelf.get(str(i % 50)).value, range(200))) == {"mine"}
        assert {document.value for document in shelf.find()} == {"mine"}
        client.collection("b").create()
    monkeypatch.chdir(tmp_path / "mine")

    async def ask(client: AsyncClient) -> list[str]:
        async with client:
            return [item.name async for item in client.collections()]

    client = AsyncClient.local("data", encoder=None, received_dir="received")
    monkeypatch.chdir(tmp_path / "other")
    assert asyncio.run(ask(client)) == ["a", "b"]
    assert not (tmp_path / "other" / "received").exists()


def test_a_program_whose_warnings_are_errors_has_one():
    code = """
import warnings
from pydantic.warnings import UnsupportedFieldAttributeWarning
warnings.simplefilter("error", UnsupportedFieldAttributeWarning)
from softkv import Client, F
with Client.local(encoder=None) as client:
    warnings.simplefilter("error", UnsupportedFieldAttributeWarning)
    collection = client.collection("a")
    collection.create(dimension=2)
    collection.upsert([{"id": "a", "key_vector": [1, 0], "metadata": {"year": 1}}])
    assert collection.attend([1.0, 0.0], where=F.year == 1).documents == collection.count() == 1
    assert collection.update(where=F.year == 1, metadata={"year": 2}) == collection.delete(["a"]) == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_awaited(tmp_path):
    async def ask() -> list[str]:
        async with AsyncClient.local(tmp_path, encoder=None) as client:
            collection = client.collection("a")
            await collection.create(dimension=2)
            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(collection.put(f"{number:02}", key_vector=[number, 1]))
            return [document.id async for document in collection.find(page=7)]

    assert asyncio.run(ask()) == [f"{number:02}" for number in range(20)]
    with Client.local(tmp_path, encoder=None) as client:
        assert client.collection("a").count() == 20


def test_an_awaited_one_begins_with_its_block():
    async def ask() -> None:
        await AsyncClient.local(encoder=None, retries=0).info()

    with pytest.raises(softkv.Unreachable, match="within `with`"):
        asyncio.run(ask())


@pytest.mark.skipif(os.name == "nt", reason="Windows lets no program delete an open file")
def test_a_write_is_refused_after_the_directory_was_deleted(tmp_path):
    with Client.local(tmp_path / "data", encoder=None, retries=0) as client:
        notes = client.collection("notes")
        notes.create(dimension=2)
        shutil.rmtree(tmp_path / "data")
        with pytest.raises(softkv.Error, match="another program deleted, moved or replaced it") as refused:
            notes.put("a", key_vector=[1, 2])
        assert (refused.value.status, refused.value.code) == (503, "storage_failed")
        (failed,) = client.ready().failed
        assert "is not the file that is open" in failed
        assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("permanent", [False, True])
def test_the_error_names_the_client_that_works_without_threads(tmp_path, permanent):
    """As in Pyodide."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def patched() -> AbstractContextManager[None]:
        return mock.patch.object(threading.Thread, "start", start)

    async def ask() -> None:
        client = AsyncClient.local(directory, encoder=None)
        with patched(), pytest.raises(softkv.Error, match=r"AsyncClient\(url\)"):
            await client.__aenter__()

    directory = tmp_path / "data" if permanent else None
    with patched(), pytest.raises(softkv.Error, match=r"AsyncClient\(url\)"):
        Client.local(directory, encoder=None)
    asyncio.run(ask())
    with Client.local(directory, encoder=None) as client:
        assert client.info().encoder is None


def test_without_a_directory_nothing_stays(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Client.local(encoder=None) as client:
        client.collection("a").create()
        assert list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []


PRINTS_NOTHING = """
import logging, sys
from softkv import Client
root = logging.getLogger()
before = (root.handlers[:], root.level)
with Client.local(sys.argv[1], encoder=None) as client:
    client.collection("a").create()
    assert (root.handlers[:], root.level) == before
"""
"""In a program of its own, because services of other tests configure the log of this one."""


def test_a_local_service_prints_nothing_and_leaves_the_logging_of_the_program(tmp_path):
    command = [sys.executable, "-c", PRINTS_NOTHING, str(tmp_path / "data")]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_local_service_loads_nothing_that_only_a_server_needs():
    code = f"""
import sys
from softkv import Client, NotFound
client = Client.local()
collection = client.collection("a")
collection.create()
collection.put("x", key="cats purr")
assert collection.attend("pets that purr").best is not None
try:
    client.metrics()
except NotFound as error:
    assert "a service inside a program has no metrics" in str(error)
client.close()
names = {ONLY_OF_A_SERVER}
print([name for name in sys.modules if any(name == other or name.startswith(f"{{other}}.") for other in names)])
"""
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize("blocking", [True, False])
def test_no_variable_of_the_shell_is_a_setting_of_the_local_service(monkeypatch, tmp_path, blocking):
    values = {"URL": "http://elsewhere", "PORT": "tcp://10.0.0.1:8000", "STORE": "postgresql://softkv@127.0.0.1:1/a"}
    values |= {"SHARDS": "auto", "HOST": "0.0.0.0", "DATA_DIR": str(tmp_path / "elsewhere"), "KERNELS": "of nobody"}
    for name in Settings.model_fields:
        monkeypatch.setenv(f"SOFTKV_{name.upper()}", values.get(name.upper(), "no valid value"))

    async def ask() -> list[str]:
        async with AsyncClient.local(tmp_path / "data", encoder=None) as client:
            await client.collection("a").create()
            return [await client.access()] + [item.name async for item in client.collections()]

    if blocking:
        with Client.local(tmp_path / "data", encoder=None, max_queue=30) as client:
            client.collection("a").create()
            assert client.info().limits["requests_at_once"] == 30
            assert [client.access(), *(item.name for item in client.collections())] == ["write", "a"]
    else:
        assert asyncio.run(ask()) == ["write", "a"]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_store_is_an_argument(tmp_path):
    with pytest.raises(softkv.Error, match="store: expected the address of a PostgreSQL"):
        Client.local(tmp_path, store="mysql://a", encoder=None)


def run(program, directory):
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("attention", "service", "clients/python"))
    environment = os.environ | {"PYTHONPATH": paths, "TMPDIR": str(directory)}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=300)


FORKS = """
import os
from multiprocessing import get_context
import softkv

client = softkv.Client.local(encoder=None, retries=0)

def asks():
    try:
        client.info()
    except softkv.Unreachable as error:
        print(error, flush=True)

client.collection("a").create()
process = get_context("fork").Process(target=asks)
process.start()
process.join()
if not os.fork():
    client.close()
    raise SystemExit(7)
print(os.waitstatus_to_exitcode(os.wait()[1]), client.collection("a").count())
"""


@pytest.mark.thorough
def test_a_process_that_was_forked_leaves_the_service_alone(tmp_path):
    done = run(FORKS, tmp_path)
    assert done.stdout.splitlines()[1:] == ["7 0"], done.stdout + done.stderr
    assert "belongs to the process that forked this one" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.thorough
def test_a_program_that_closes_nothing_ends_in_silence(tmp_path):
    program = (
        "from softkv import Client\n"
        "client = Client.local(encoder=None)\n"
        "client.collection('a').create()\n"
        "print(client.collection('a').count())\n"
    )
    done = run(program, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
    assert list(tmp_path.iterdir()) == []


def test_the_thread_of_a_local_service_ends_with_it(tmp_path, threads_named):
    with Client.local(tmp_path, encoder=None):
        assert threads_named("softkv") == 1
    assert threads_named("softkv") == 0
    assert not Path(tmp_path, "softkv.pid").exists()
