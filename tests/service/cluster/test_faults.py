"""Machines, services and the database killed under sixteen clients and a writer: no answer is wrong."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.service.cluster.asking import Told
from tests.service.cluster.fleet import Fleet
from tests.service.cluster.parts import Parts

pytestmark = [
    pytest.mark.ray,
    pytest.mark.thorough,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not here: make cluster"),
]
AFTER_SECONDS = 3.0


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three machines, two services, two copies."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as made:
        yield made


def all_well(report: Told) -> None:
    """Check that nothing was wrong, that questions and writes went on, and that logs have no unexpected line."""
    assert report.wrong == []
    assert report.good > 0
    assert report.writes > 0
    assert report.answers[-1].said[0] == 200


def test_a_slot_a_machine_and_a_service_are_killed_and_come_back(fleet: Fleet) -> None:
    with fleet.asking() as asking:
        asking.broken()
        [slot] = fleet.machines[0].slots()
        os.kill(slot, signal.SIGKILL)
        fleet.wait_until_slots()
        fleet.wait_until_whole()
        fleet.machines[1].kill()
        fleet.services[0].kill()
        fleet.machines[1].start()
        fleet.services[0].start()
        fleet.machines[1].wait_until_ready()
        fleet.services[0].wait_until_ready()
        fleet.wait_until_whole()
        time.sleep(AFTER_SECONDS)
    all_well(asking.told)
    assert asking.told.moved > 0


def test_the_database_is_killed_and_comes_back(fleet: Fleet) -> None:
    with fleet.asking() as asking:
        asking.broken()
        fleet.postgres.crash()
        time.sleep(1)
        fleet.postgres.start()
        time.sleep(2 * AFTER_SECONDS)
    fleet.wait_until_whole()
    all_well(asking.told)
    assert {code for _, code in asking.told.refused} <= {"store_unavailable"}


def test_a_machine_and_a_service_get_a_new_version(fleet: Fleet) -> None:
    with fleet.asking() as asking:
        asking.broken()
        for member in (fleet.machines[2], fleet.services[1]):
            assert member.stop() == 0
            member.start()
            member.wait_until_ready()
        time.sleep(AFTER_SECONDS)
    all_well(asking.told)
    assert asking.told.refused.total() == 0
    assert all("Traceback" not in machine.said for machine in (*fleet.machines, *fleet.services))


def test_without_copies_what_is_answered_in_part_is_true_of_all(tmp_path: Path) -> None:
    with Fleet(tmp_path, machines=2, services=1, copies=1) as fleet:
        parts = Parts(fleet)
        parts.lose(fleet.machines[1])
        result = parts.asked(4)
    assert [wrong for part in result.values() for wrong in part.wrong] == []
    assert all(part.answers for part in result.values())
