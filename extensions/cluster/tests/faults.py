"""A deployment on several machines, whose parts are killed one by one under sixteen clients and a writer.

The parts are processes of this machine: a Ray head and four machines of one processor, three shard servers with two
copies of each shard, two `softkv serve` in front of them, and a PostgreSQL 15 or later. A part gets SIGKILL. Every
answer is compared with softmax in float64, and shows whether it mixes two versions (`shelf.py`). A client that cannot
connect to a service turns to the other one, as a proxy would do.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from extensions.cluster.tests.asking import CLIENTS, Asking, Record
from extensions.cluster.tests.fleet import Fleet
from extensions.cluster.tests.machines import Machine
from tests.waiting import until

AWAY_SECONDS = 2.0
"""Seconds until the database is started again."""
Fault = Callable[[Fleet, Asking], None]
"""Kills a part, and returns as soon as the deployment has recovered."""


@dataclass
class Outcome:
    """The answers while a part was killed several times.

    Attributes:
        record: all answers.
        recoveries: seconds, one for each kill.
    """

    record: Record = field(default_factory=Record)
    recoveries: list[float] = field(default_factory=list)


def kill_server(fleet: Fleet, _: Asking) -> None:
    """Kill the process of a shard server; Ray starts it again."""
    os.kill(serving_machine(fleet).servers[0], signal.SIGKILL)
    fleet.wait_until_whole_again()


def kill_machine(fleet: Fleet, _: Asking) -> None:
    """Kill all processes of a machine; Ray starts its server on the machine that had none."""
    serving_machine(fleet).kill()
    fleet.wait_until_whole_again()


def kill_agent(fleet: Fleet, _: Asking) -> None:
    """Kill the dashboard agent of a machine. Its Ray node then ends by itself, and a supervisor starts another one."""
    machine = serving_machine(fleet)
    [agent] = machine.processes("ray::DashboardAgent")
    os.kill(agent, signal.SIGKILL)
    until(lambda: not machine.runs)
    fleet.wait_until_whole_again()


def kill_service(fleet: Fleet, _: Asking) -> None:
    """Kill a service, and start it again."""
    service = fleet.services[0]
    service.kill()
    service.start()
    service.wait_until_ready()


def kill_database(fleet: Fleet, _: Asking) -> None:
    """Kill PostgreSQL with all of its processes, and start it again."""
    fleet.postgres.crash()
    time.sleep(AWAY_SECONDS)
    fleet.postgres.start()
    fleet.wait_until_whole()


def kill_head(fleet: Fleet, asking: Asking) -> None:
    """Kill Ray's head, and start it again after some answers; then kill a server, which it restarts."""
    fleet.ray.kill_head()
    asking.wait_for_answers(10 * CLIENTS)
    fleet.ray.start_head()
    kill_server(fleet, asking)


def kill_command(fleet: Fleet, _: Asking) -> None:
    """Kill `softkv cluster up` while it adds a server, and let another one remove the server."""
    more = fleet.servers + 1
    with fleet.process("up-killed", *fleet.up_arguments(more, fleet.copies)) as command:
        until(lambda: len([pid for machine in fleet.machines for pid in machine.servers]) == more, 120)
        command.kill()
    fleet.up(fleet.servers, fleet.copies)
    fleet.wait_until_whole()


FAULTS: dict[str, Fault] = {
    "a server": kill_server,
    "a machine": kill_machine,
    "a dashboard agent": kill_agent,
    "a service": kill_service,
    "PostgreSQL": kill_database,
    "Ray's head": kill_head,
    "cluster up": kill_command,
}


def serving_machine(fleet: Fleet) -> Machine:
    """Return a machine that has a shard server."""
    return next(machine for machine in fleet.machines if machine.servers)


def measure(fleet: Fleet, fault: Fault, *, repeats: int = 1, answers: int = 10 * CLIENTS) -> Outcome:
    """Kill a part several times under clients, and wait each time for its return and for further answers."""
    outcome = Outcome()
    for _ in range(repeats):
        with fleet.asking() as asking:
            asking.wait_for_answers(CLIENTS)
            began = time.monotonic()
            fault(fleet, asking)
            outcome.recoveries.append(time.monotonic() - began)
            fleet.restart_machines()
            asking.wait_for_answers(answers)
        outcome.record += asking.record
        fleet.wait_until_whole()
    return outcome


def failures(name: str, outcome: Outcome) -> list[str]:
    """Return everything that must not happen when this part is killed."""
    allowed = {"store_unavailable"} if name == "PostgreSQL" else set()
    refused = {code for _, code in (*outcome.record.refusals, *outcome.record.write_refusals)} - allowed
    problems = [*outcome.record.errors, *(f"refused: {code}" for code in sorted(refused))]
    return [f"{name}: {error}" for error in problems + ([] if outcome.record.writes else ["no write was acknowledged"])]
