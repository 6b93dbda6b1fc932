"""One client in several processes, event loops and threads: each call gets its own response."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

import softkv
from softkv import AsyncClient, Client
from softkv.calls.call import new_request_id
from tests.clients.python.scripted import Said, Scripted
from tests.examples import ROOT

FORKED = """
import asyncio, sys
from multiprocessing import get_context
from softkv import AsyncClient, Client
from softkv.integrations import CollectionSource, Connection
from softkv.calls import documents

fork = get_context("fork")
client, awaited, connection = Client(sys.argv[1]), AsyncClient(sys.argv[1]), Connection(sys.argv[1])
notes, awaited_notes = client.collection("forked"), awaited.collection("forked")
source = CollectionSource("forked", lambda: connection)
notes.create(encoder=None, similarity="dot")
notes.upsert({"id": f"d{n}", "key_vector": [n, -n * n / 2]} for n in range(5))
asyncio.run(awaited.info())
source.run(source.info())
wrong = fork.SimpleQueue()


async def ask(name, ids):
    return [id for id in ids if (await awaited_notes.get(id)).id != id or not (await awaited_notes.exists(id))]


def work(name, depth):
    if depth:
        children = [fork.Process(target=work, args=(f"{name}{n}", depth - 1)) for n in range(2)]
        for child in children:
            child.start()
    ids = [f"d{n}" for n in range(5)]
    mixed = [id for id in ids if notes.get(id).id != id]
    mixed += [id for n, id in enumerate(ids) if notes.attend([float(n), 1.0], null=None, top_k=1)[0].id != id]
    mixed += asyncio.run(ask(name, ids))
    mixed += [id for id in ids if source.run(documents.get(source.place, id)).id != id]
    for id in ids:
        notes.put(f"{name}-{id}", metadata={"by": name, "of": id})
    report = notes.upsert({"id": f"{name}+{id}", "metadata": {"by": name}} for id in ids)
    mixed += [id for id in ids if notes.get(f"{name}-{id}").metadata != {"by": name, "of": id}]
    if report.acknowledged != 5:
        mixed.append(report)
    wrong.put((name, mixed))
    if depth:
        for child in children:
            child.join()


work("w", 2)
print(sorted(wrong.get() for _ in range(7)) == [(name, []) for name in "w w0 w00 w01 w1 w10 w11".split()])
print(notes.count())
notes.drop()
"""


def test_a_forked_process_gets_its_own_answers(service):
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("attention", "service", "clients/python"))
    done = subprocess.run(
        [sys.executable, "-c", FORKED, service.url],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
        timeout=300,
    )
    assert done.stdout.splitlines() == ["True", str(5 + 7 * 10)], done.stdout + done.stderr


def test_threads_share_a_client(made):
    collection = made(encoder=None, similarity="dot")
    collection.upsert({"id": f"d{n}", "key_vector": [n, 1.0]} for n in range(64))
    if isinstance(collection, softkv.Collection):
        ids = [f"d{n % 64}" for n in range(256)]
        with ThreadPoolExecutor(16) as threads:
            assert [document.id for document in threads.map(collection.get, ids)] == ids


def test_an_async_client_serves_one_event_loop_after_another_and_several_at_once(service):
    client = AsyncClient(service.url)

    async def ask() -> int:
        answers = await asyncio.gather(*(client.info() for _ in range(20)))
        return len({answer.version for answer in answers})

    assert [asyncio.run(ask()) for _ in range(4)] == [1] * 4
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: asyncio.run(ask()), range(8))) == [1] * 8

    async def last() -> int:
        async with client:
            await ask()
            return len(client._sender.connections._clients)

    assert asyncio.run(last()) == 1  # those of closed loops are gone
    with pytest.raises(softkv.Unreachable, match="is closed"):
        asyncio.run(ask())


@pytest.mark.parametrize("asking", [Client.info, Client.backup])
def test_the_response_to_another_request_is_an_error(asking, tmp_path):
    arguments = [] if asking is Client.info else [tmp_path / "backup"]
    mixed = Said(200, {}, {"X-Request-ID": new_request_id()})
    with Scripted(mixed).running() as server, Client(server.url) as client:
        with pytest.raises(softkv.Error, match="response to another request") as refused:
            asking(client, *arguments)
        assert [heard.headers["X-Request-ID"] for heard in server.heard] == [refused.value.request_id]


@pytest.mark.parametrize(
    "headers", [{}, {"X-Request-ID": "of-a-proxy"}, {"X-Request-ID": "of-a-proxy", "Age": "0"}, {"Age": "3"}]
)
def test_a_proxy_may_remove_or_replace_the_request_id(headers):
    info = Said(200, {"version": "1", "encoder": None, "keys_required": False, "limits": {}}, headers)
    with Scripted(info).running() as server, Client(server.url) as client:
        assert client.info().version == "1"
