"""Slots as Ray actors, on three machines and more that are processes here; each is killed in turn."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import stat
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.cluster import ClusterUnreachable, NodeLost, NodeNameTaken, TokenRefused, join_cluster, open_transport
from service.cluster.ray_node import RayNode, prepare
from tests.service.cluster.machines import HOLDER, Machine, machine
from tests.waiting import until

if TYPE_CHECKING:
    from service.cluster.ray_actors import Membership, RayTransport

# Looked for and not imported: Ray reads the environment, with the token, as it is imported.
pytestmark = [pytest.mark.ray, pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not here: make cluster")]

SECONDS = 30


@pytest.fixture(scope="module", autouse=True)
def token() -> Iterator[str]:
    """Yield the token of every cluster here."""
    with pytest.MonkeyPatch.context() as patch:
        chosen = secrets.token_hex(16)
        patch.setenv("RAY_AUTH_TOKEN", chosen)
        prepare()
        yield chosen


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def head() -> Iterator[RayNode]:
    """The first of three nodes: it has no slots."""
    node = RayNode(None)
    try:
        yield node
    finally:
        node.close()


@pytest.fixture(scope="module")
def address(head: RayNode) -> str:
    return f"ray://{head.address}"


@pytest.fixture(scope="module")
def this_machine(address: str, folder: Path) -> Iterator[Membership]:
    """This process, with a node and two slots: `a-0` and `a-1`."""
    membership = join_cluster(address, folder)
    try:
        for slot in ("a-0", "a-1"):
            membership.start(slot, HOLDER, {"name": slot})
        yield membership
    finally:
        membership.close()


@pytest.fixture(scope="module")
def other_machine(address: str, folder: Path) -> Iterator[Machine]:
    """Another one, with `b-0`."""
    with machine(address, folder, "b-0") as made:
        yield made


@pytest.fixture
def asking(this_machine: Membership) -> Iterator[RayTransport]:
    asking = open_transport()
    yield asking
    asking.close()


def process_of(asking: RayTransport, slot: str) -> int:
    name, process, _ = asking.send(slot, b"").result(SECONDS).decode().split()
    assert name == slot
    return int(process)


def lost(asking: RayTransport, slot: str) -> bool:
    """Return whether the slot is lost; any other error fails the test."""
    try:
        asking.send(slot, b"").result(SECONDS)
    except NodeLost:
        return True
    return False


def test_slots_of_several_machines_are_asked(asking, other_machine):
    assert other_machine.node not in (process_of(asking, "a-0"), None)
    assert len({process_of(asking, slot) for slot in ("a-0", "a-1", "b-0")} | {os.getpid()}) == 4
    assert other_machine.asks("a-1", "")["answer"].startswith("a-1 ")


def test_a_slot_answers_several_at_once_and_who_asks_does_not_wait(asking):
    process_of(asking, "a-0")
    began = time.monotonic()
    answers = [asking.send("a-0", b"wait 1") for _ in range(8)]
    assert time.monotonic() - began < 0.5
    assert not any(answer.done() for answer in answers)
    for answer in answers:
        answer.result(SECONDS)
    assert time.monotonic() - began < 4


def test_large_messages_come_as_they_are(asking):
    content = secrets.token_bytes(3_000_000)
    assert asking.send("b-0", b"back " + content).result(SECONDS) == content


def test_what_a_slot_holds_may_fail_and_be_told_something(asking, this_machine):
    with pytest.raises(KeyError, match="no such thing"):
        asking.send("a-0", b"fail").result(SECONDS)
    assert this_machine.call("a-0", "tell", number=7) == 8
    assert asking.send("a-0", b"").result(SECONDS).endswith(b" 7")


def test_nobody_of_that_name_is_lost_at_once_the_second_time(asking, this_machine):
    assert lost(asking, "nobody")
    began = time.monotonic()
    assert lost(asking, "nobody")
    assert time.monotonic() - began < 0.5
    with pytest.raises(NodeLost, match="nobody"):
        this_machine.call("nobody", "tell", number=1)
    this_machine.end("nobody")


def test_a_slot_that_cannot_be_made_says_why(this_machine):
    with pytest.raises(NodeLost, match="a-9 could not be started: ValueError: wanted an Echo that can be made"):
        this_machine.start("a-9", HOLDER, {"name": "a-9", "refuses": True})


def test_a_name_is_taken_while_its_machine_is_there(this_machine, other_machine):
    with pytest.raises(NodeNameTaken, match="another machine has a node b-0"):
        this_machine.start("b-0", HOLDER, {"name": "b-0"})


def test_a_killed_slot_is_lost_soon_then_at_once_and_comes_back(asking):
    killed = process_of(asking, "a-1")
    answer = asking.send("a-1", b"wait 20")
    time.sleep(0.2)
    os.kill(killed, signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(NodeLost):
        answer.result(SECONDS)
    assert time.monotonic() - began < 5
    again = time.monotonic()
    if lost(asking, "a-1"):
        assert time.monotonic() - again < 0.5
    until(lambda: not lost(asking, "a-1"), SECONDS)
    assert process_of(asking, "a-1") != killed
    assert process_of(asking, "a-0") != killed


def test_a_slot_is_made_anew_by_its_machine(asking, this_machine):
    before = process_of(asking, "a-0")
    this_machine.start("a-0", HOLDER, {"name": "a-0"})
    until(lambda: not lost(asking, "a-0"), SECONDS)
    assert process_of(asking, "a-0") != before
    this_machine.end("a-0")
    until(lambda: lost(asking, "a-0"), SECONDS)
    this_machine.start("a-0", HOLDER, {"name": "a-0"})
    until(lambda: not lost(asking, "a-0"), SECONDS)


def test_a_machine_that_loses_its_power_is_lost_and_another_takes_its_names(asking, address, folder):
    with machine(address, folder, "c-0") as first:
        killed = process_of(asking, "c-0")
        answer = asking.send("c-0", b"wait 20")
        time.sleep(0.2)
        began = time.monotonic()
        first.kill_node()
        with pytest.raises(NodeLost):
            answer.result(SECONDS)
        assert time.monotonic() - began < 15
    with machine(address, folder, "c-0"):
        until(lambda: not lost(asking, "c-0"), SECONDS)
        assert process_of(asking, "c-0") != killed
    until(lambda: lost(asking, "c-0"), SECONDS)


def test_who_is_killed_takes_its_node_along(asking, address, folder):
    with machine(address, folder, "d-0") as killed:
        process_of(asking, "d-0")
        node = killed.node_process()
        killed.kill()
        until(lambda: not Path(f"/proc/{node}").exists(), SECONDS)
        until(lambda: lost(asking, "d-0"), SECONDS)


def test_a_wrong_token_is_refused(address, folder, monkeypatch, this_machine):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "another one altogether")
    with pytest.raises(TokenRefused, match="refused the token"):
        join_cluster(address, folder)


def test_without_a_token_it_says_how_one_is_named(address, folder, monkeypatch, this_machine, tmp_path):
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(TokenRefused, match="RAY_AUTH_TOKEN_PATH"):
        join_cluster(address, folder)


def test_where_nobody_listens_there_is_no_cluster(folder, monkeypatch):
    monkeypatch.setattr("service.cluster.ray_node.CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ClusterUnreachable, match=rf"127\.0\.0\.1:{port} \(Connection refused\)"):
        join_cluster(f"ray://127.0.0.1:{port}", folder)


def test_the_cluster_of_a_machine_is_started_by_the_first_and_found_by_others(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    with machine("auto", tmp_path, "e-0") as first, machine("auto", tmp_path, "f-0") as second:
        assert (first.address, first.node != second.node) == (second.address, True)
        assert first.asks("f-0", "")["answer"].startswith("f-0 ")
        assert second.asks("e-0", "")["answer"].startswith("e-0 ")
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    with machine("auto", tmp_path, "e-0") as third:
        assert third.address != first.address


def test_without_its_head_for_longer_than_ray_waits_by_itself_calls_go_on(folder):
    """By default, Ray ends a driver whose head is away for 60 s, and the driver's process."""
    head = RayNode(None)
    try:
        with (
            machine(f"ray://{head.address}", folder, "g-0") as asks,
            machine(f"ray://{head.address}", folder, "h-0") as other,
        ):
            for slot in ("g-0", "h-0"):
                assert asks.asks(slot, "")["answer"].startswith(slot)
            head.kill()
            began, busy = time.monotonic(), asks.busy_seconds()
            while time.monotonic() - began < 75:
                for slot in ("g-0", "h-0"):
                    assert asks.asks(slot, "").get("answer", "").startswith(slot), time.monotonic() - began
                time.sleep(0.5)
            assert asks.runs()
            assert asks.busy_seconds() - busy < 25  # what listens to the head alone would take all of it
            for transport in (asks, other):
                transport.kill()
    finally:
        head.close()
