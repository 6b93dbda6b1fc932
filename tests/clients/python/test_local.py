"""A service in this process: its directory, its logging, its shutdown."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import softkv
from softkv import AsyncClient, Client
from tests.examples import ROOT


def test_a_directory_is_one_s_own_until_the_client_is_closed(tmp_path):
    with Client.local(tmp_path, encoder=None) as client:
        client.collection("a").create(dimension=2)
        with pytest.raises(softkv.Error, match="is in use by process"):
            Client.local(tmp_path, encoder=None)
    with Client.local(str(tmp_path), encoder=None) as client:
        assert [item.name for item in client.collections()] == ["a"]
    with pytest.raises(softkv.Unreachable):
        client.info()


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


def test_without_a_directory_nothing_stays(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Client.local(encoder=None) as client:
        client.collection("a").create()
        assert list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []


def test_a_local_service_prints_nothing_and_leaves_the_logging_of_the_program(capfd, tmp_path):
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    with Client.local(tmp_path, encoder=None) as client:
        client.collection("a").create()
        assert (root.handlers[:], root.level) == before
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""


def test_no_key_and_no_setting_of_another_service_is_taken_for_its_own(monkeypatch, tmp_path):
    for name, setting in {"URL": "http://elsewhere", "API_KEYS": "a", "HOST": "0.0.0.0", "DEMO": "library"}.items():
        monkeypatch.setenv(f"SOFTKV_{name}", setting)
    with Client.local(tmp_path, encoder=None, max_queue=30) as client:
        assert client.access() == "write"
        assert client.info().limits["requests_at_once"] == 30
        assert list(client.collections()) == []


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


def test_the_thread_of_a_local_service_ends_with_it(tmp_path):
    def threads() -> int:
        return [thread.name for thread in threading.enumerate()].count("softkv")

    before = threads()
    with Client.local(tmp_path, encoder=None):
        assert threads() == before + 1
    assert threads() == before
    assert not Path(tmp_path, "softkv.pid").exists()
