"""Parts of a deployment are killed under sixteen clients and a writer: no answer is wrong, and none is refused."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from extensions.cluster.tests.faults import FAULTS, failures, measure
from extensions.cluster.tests.fleet import Fleet
from tests.thorough import thorough

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not here: make walls WALL=cluster")
AT_A_LANDING = {"a server", "a service", "PostgreSQL"}
"""Every answer needs these parts. `make test-nightly` kills the others, too."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Four machines, three servers, two services, two copies."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as made:
        yield made


@pytest.mark.parametrize("name", [name if name in AT_A_LANDING else thorough(name) for name in FAULTS])
def test_a_part_is_killed(fleet: Fleet, name: str) -> None:
    outcome = measure(fleet, FAULTS[name])
    assert failures(name, outcome) == []
    assert (outcome.record.moves > 0) == (name == "a service")
    assert all("Traceback" not in service.output for service in fleet.services)


@pytest.mark.thorough
@pytest.mark.timeout(7200)
def test_every_part_is_killed_ten_times_under_a_million_keys(tmp_path_factory: pytest.TempPathFactory) -> None:
    answers = 0
    with Fleet(tmp_path_factory.mktemp("large"), far_keys=1_000_000, width=384, vectors="files") as fleet:
        for name, fault in FAULTS.items():
            outcome = measure(fleet, fault, repeats=10)
            assert failures(name, outcome) == []
            answers += len(outcome.record.answers) - outcome.record.refusals.total()
    assert answers >= 10_000
