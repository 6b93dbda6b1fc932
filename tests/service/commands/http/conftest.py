"""A service by each of the protocols that may read its connections."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.commands.http.in_h11 import InH11
from tests.running import RunningService

try:
    from service.commands.http.in_httptools import InHttptools
except ImportError:
    PROTOCOLS = [InH11]
else:
    PROTOCOLS = [InH11, InHttptools]


@pytest.fixture(scope="session", params=PROTOCOLS, ids=lambda protocol: protocol.__name__)
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service without an encoder."""
    with RunningService(http=request.param, data_dir=tmp_path_factory.mktemp("http"), encoder="none") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def with_httptools(service: RunningService) -> bool:
    """Whether llhttp reads."""
    return service.http is not InH11
