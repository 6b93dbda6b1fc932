"""Aliases of two processes on one database: both see a move at once, and a name goes to one of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import httpx
import pytest

from tests.postgres import PostgresServer
from tests.service.commands.conftest import serving
from tests.waiting import until


@pytest.fixture(scope="module")
def two(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Clients of two processes."""
    address = postgres.database()
    with ExitStack() as stack:
        clients = []
        for name in ("one", "other"):
            service = stack.enter_context(serving(tmp_path_factory.mktemp(name), "--store", address))
            # A process whose log is not read would wait for its reader.
            threading.Thread(target=service.process.communicate, daemon=True).start()
            clients.append(stack.enter_context(httpx.Client(base_url=service.url, timeout=60)))
        one, other = clients
        for client in (one, other):
            until(partial(ready, client))
        yield one, other


def ready(client: httpx.Client) -> bool:
    return client.get("/readyz").status_code == 200


def fill(client: httpx.Client, name: str) -> None:
    assert client.put(f"/v1/collections/{name}", json={}).status_code == 201
    assert client.put(f"/v1/collections/{name}/documents/a", json={"key_vector": [1, 2], "value": name}).is_success


def put(client: httpx.Client, alias: str, collection: str) -> int:
    return client.put(f"/v1/aliases/{alias}", json={"collection": collection}).status_code


@contextmanager
def asking(two: tuple[httpx.Client, httpx.Client], alias: str) -> Iterator[list[int]]:
    """Ask both processes through an alias; each answer has to be of the collection that it names.

    Yields a list with the number of answers until now.
    """
    stop, counts, failures = threading.Event(), [0], list[str]()

    def ask(url: httpx.URL) -> None:
        with httpx.Client(base_url=url, timeout=60) as asker:
            while not stop.is_set():
                answer = asker.post(f"/v1/collections/{alias}/attend", json={"queries": [[1, 2]] * 3})
                body = answer.json()
                values = {match["value"] for result in body.get("results", ()) for match in result["matches"]}
                if answer.status_code != 200 or values != {body["collection"]}:
                    failures.append(answer.text)
                counts[0] += 1

    askers = [threading.Thread(target=ask, args=(client.base_url,)) for client in two * 2]
    for asker in askers:
        asker.start()
    try:
        yield counts
    finally:
        stop.set()
        for asker in askers:
            asker.join()
    assert failures == []


def test_a_move_in_one_process_is_seen_at_once_by_the_other(two: tuple[httpx.Client, httpx.Client]) -> None:
    for number in (1, 2):
        fill(two[0], f"moved-{number}")
    put(two[0], "moving", "moved-1")
    with asking(two, "moving") as counts:
        for move in range(40):
            mover, other = two if move % 3 else two[::-1]
            name = f"moved-{move % 2 + 1}"
            assert put(mover, "moving", name) == 200
            for client in (other, mover):
                answer = client.post("/v1/collections/moving/attend", json={"query": [1, 2]}).json()
                assert (answer["collection"], answer["matches"][0]["value"]) == (name, name)
                assert client.get("/v1/aliases/moving").json()["collection"] == name
    assert counts[0] > 40


def test_questions_are_answered_while_collections_are_deleted_after_the_move(
    two: tuple[httpx.Client, httpx.Client],
) -> None:
    fill(two[0], "replaced-0")
    put(two[0], "replacing", "replaced-0")
    with asking(two, "replacing") as counts:
        for number in range(1, 25):
            client = two[number % 2]
            fill(client, f"replaced-{number}")
            assert put(client, "replacing", f"replaced-{number}") == 200
            assert client.delete(f"/v1/collections/replaced-{number - 1}").status_code == 204
    assert counts[0] > 25


def test_one_of_two_processes_gets_a_name(two: tuple[httpx.Client, httpx.Client]) -> None:
    fill(two[0], "wanted")
    for turn in range(30):
        name, barrier, statuses = f"name-{turn}", threading.Barrier(2), dict[str, int]()

        def create(client: httpx.Client, name: str, barrier: threading.Barrier, statuses: dict[str, int]) -> None:
            barrier.wait()
            statuses["collection"] = client.put(f"/v1/collections/{name}", json={}).status_code

        def alias(client: httpx.Client, name: str, barrier: threading.Barrier, statuses: dict[str, int]) -> None:
            barrier.wait()
            statuses["alias"] = put(client, name, "wanted")

        takers = (alias, create) if turn % 2 else (create, alias)
        threads = [
            threading.Thread(target=taker, args=(client, name, barrier, statuses))
            for taker, client in zip(takers, two, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses.values()) == [201, 409]
        for client in two:
            behind = client.get(f"/v1/collections/{name}").json()["name"]
            assert behind == ("wanted" if statuses["alias"] == 201 else name)
            listed = {record["alias"] for record in client.get("/v1/aliases").json()["aliases"]}
            assert (name in listed) == (statuses["alias"] == 201)


def test_aliases_end_with_their_collection_in_both(two: tuple[httpx.Client, httpx.Client]) -> None:
    fill(two[0], "ended")
    put(two[1], "ending", "ended")
    assert two[0].get("/v1/collections/ending").json()["name"] == "ended"
    assert two[1].delete("/v1/collections/ended").status_code == 204
    for client in two:
        assert client.get("/v1/collections/ending").status_code == 404
        assert client.get("/v1/aliases/ending").status_code == 404
    assert two[0].put("/v1/collections/ending", json={}).status_code == 201
