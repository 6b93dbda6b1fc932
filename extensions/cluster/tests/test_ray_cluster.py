"""`softkv cluster up|status|down` in a Ray cluster: servers come, move and go while queries are answered."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import pytest

from benchmarks.running import free_port
from extensions.cluster.tests.fleet import Fleet
from extensions.cluster.tests.running import Service
from tests.waiting import until

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not here: make walls WALL=cluster")
LIST = """
import json, sys, ray
from ray.util.placement_group import placement_group_table
ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
groups = [group["name"] for group in placement_group_table().values() if group["state"] != "REMOVED"]
print(json.dumps([[actor["name"] for actor in ray.util.list_named_actors(all_namespaces=True)], groups]))
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three machines without servers, documents, and a service that started before any server."""
    with Fleet(tmp_path_factory.mktemp("fleet"), machines=3, servers=0, services=1) as made:
        yield made


def in_ray(fleet: Fleet) -> tuple[list[str], list[str]]:
    """Return the names of all actors, and of all placement groups."""
    command = [sys.executable, "-c", LIST, fleet.ray.address]
    done = subprocess.run(command, capture_output=True, text=True, env=fleet.ray.environment, check=True)
    actors, groups = json.loads(done.stdout)
    return sorted(actors), sorted(groups)


def server_processes(fleet: Fleet) -> list[list[int]]:
    """Return the processes of the servers of each machine that has some."""
    return [machine.servers for machine in fleet.machines if machine.servers]


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """Check that a command failed with one line, and return the line."""
    assert (done.returncode, done.stdout) == (1, "")
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("20", "[20"))]  # without logs
    assert len(lines) == 1, done.stderr
    return lines[0]


def answers_during(fleet: Fleet, work: Callable[[], object]) -> None:
    """Check that every query is answered, and answered exactly, while something is done and afterwards."""
    with fleet.asking() as asking:
        asking.wait_for_answers(16)
        work()
        asking.wait_for_answers(64)
    assert asking.record.errors == []
    assert (asking.record.refusals.total(), asking.record.write_refusals.total()) == (0, 0)
    assert asking.record.writes > 0


def test_without_room_nothing_is_left(fleet: Fleet) -> None:
    up = fleet.command("up", "--servers", "1", "--threads", "2")
    assert error_line(up) == "softkv: no machine of the Ray cluster has 2 processors: add some, or lower --threads"
    up = fleet.command("up", "--servers", "4", "--wait", "3")
    assert error_line(up) == "softkv: Ray found no place for 4 servers of 1 processors each"
    with fleet.process("placing", "--servers", "4") as waiting:
        until(lambda: "fewer machines than servers" in waiting.output, 60, lambda: waiting.output)
        waiting.process.send_signal(signal.SIGINT)
        assert waiting.wait() == 130
    assert "Traceback" not in waiting.output
    assert in_ray(fleet) == ([], [])
    status = fleet.command("status")
    assert (status.returncode, status.stdout) == (1, "no servers are deployed: `softkv cluster up` starts some\n")


@pytest.mark.thorough
def test_a_wrong_token_or_database_is_named(fleet: Fleet) -> None:
    line = error_line(fleet.command("status", RAY_AUTH_TOKEN="f" * 32))
    assert line.startswith(f"softkv: no Ray cluster could be joined at {fleet.ray.address}: its token is wrong")
    assert "RAY_AUTH_TOKEN" in line
    line = error_line(fleet.command("status", "--shards", fleet.store.rpartition("@")[2].partition("/")[0]))
    assert "does not answer as a Ray head does" in line
    line = error_line(
        fleet.command("up", "--servers", "1", "--store", f"postgresql://softkv@127.0.0.1:{free_port()}/x")
    )
    assert line.startswith("softkv: PostgreSQL at postgresql://127.0.0.1:")


def test_a_service_without_a_ray_cluster_ends_with_a_reason(fleet: Fleet, tmp_path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with Service(fleet.ray.environment, tmp_path / "log", fleet.store, address) as service:
        assert service.wait() == 1
    assert f"softkv: no Ray cluster answers at {address}" in service.output
    assert "Traceback" not in service.output


@pytest.mark.end_to_end
def test_a_service_answers_when_servers_are_up_and_status_counts_them(fleet: Fleet) -> None:
    with fleet.client() as client:
        refusal = fleet.shelf.ask(client, 0)
        assert (refusal.status_code, refusal.json()["code"]) == (503, "shards_missing")
        fleet.up(2, 1)
        until(lambda: fleet.shelf.ask(client, 0).status_code == 200)
    assert [len(pids) for pids in server_processes(fleet)] == [1, 1]

    status = json.loads(fleet.command("status", "--json").stdout)
    assert status["whole"] == status["ranges"] > 24
    assert (status["copies"], status["unheld"], [server["coming"] for server in status["servers"]]) == (1, 0, [0, 0])
    assert sum(server["keys"] for server in status["servers"]) == len(fleet.shelf.keys)
    fleet.wait_until_whole()
    served = fleet.services[0].status()
    assert served is not None
    assert {**served, "servers": None} == {**status, "servers": None}
    # On a busy machine a server may answer too late for the command, which then reports that.
    lines: list[str] = []

    def every_server_answers() -> bool:
        lines[:] = fleet.command("status").stdout.splitlines()
        return not any("does not answer" in line for line in lines)

    until(every_server_answers)
    assert [line.partition(" on ")[0] for line in lines[:-1]] == ["softkv-0", "softkv-1"]
    assert lines[-1] == f"{status['ranges']} of {status['ranges']} shards have 1 copies, 0 fewer, 0 none"
    answers_during(fleet, lambda: fleet.up(2, 1))


def test_servers_come_move_and_go_while_queries_are_answered(fleet: Fleet) -> None:
    fleet.up(2, 1)
    fleet.wait_until_whole()
    processes = server_processes(fleet)
    answers_during(fleet, lambda: fleet.up(2, 1))
    answers_during(fleet, lambda: fleet.up(2, 2))
    assert server_processes(fleet) == processes
    answers_during(fleet, lambda: fleet.up(3, 2))
    assert [len(pids) for pids in server_processes(fleet)] == [1, 1, 1]
    assert in_ray(fleet)[0] == ["softkv-0", "softkv-1", "softkv-2"]
    answers_during(fleet, lambda: fleet.up(2, 2))
    assert server_processes(fleet) == processes
    assert in_ray(fleet) == (["softkv-0", "softkv-1"], ["softkv-0,softkv-1"])


@pytest.mark.thorough
def test_servers_restart_one_by_one_while_queries_are_answered(fleet: Fleet) -> None:
    fleet.up(2, 2)
    before = {pid for pids in server_processes(fleet) for pid in pids}
    answers_during(fleet, lambda: fleet.up(2, 2, "--restart"))
    assert [pid for pids in server_processes(fleet) for pid in pids if pid in before] == []


@pytest.mark.thorough
def test_an_interrupt_ends_only_the_waiting(fleet: Fleet) -> None:
    fleet.up(2, 2)
    [[paused], _] = server_processes(fleet)
    os.kill(paused, signal.SIGSTOP)
    try:
        with fleet.process("holding", *fleet.up_arguments(2, 2)) as waiting:
            until(lambda: "fewer" in waiting.output, 60, lambda: waiting.output)
            waiting.process.send_signal(signal.SIGINT)
            assert waiting.wait() == 130
    finally:
        os.kill(paused, signal.SIGCONT)
    assert "Traceback" not in waiting.output
    fleet.up(2, 2)


def test_down_leaves_nothing_in_ray_and_services_report_missing_shards(fleet: Fleet) -> None:
    fleet.up(2, 2)
    assert fleet.command("down").stdout == "2 servers ended\n"
    assert in_ray(fleet) == ([], [])
    until(lambda: server_processes(fleet) == [])
    with fleet.client() as client:
        until(lambda: fleet.shelf.ask(client, 0).status_code == 503)
        assert fleet.shelf.ask(client, 0).json()["code"] == "shards_missing"
    assert fleet.command("down").stdout == "there were no servers\n"
    fleet.up(1, 2)
    with fleet.client() as client:
        until(lambda: fleet.shelf.ask(client, 0).status_code == 200)
    assert "Traceback" not in fleet.services[0].output
