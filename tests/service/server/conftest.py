"""A service without an encoder, for tests of its connections."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.running import RunningService


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service without an encoder."""
    with RunningService(data_dir=tmp_path_factory.mktemp("http"), encoder="none") as running:
        running.wait_until_ready()
        yield running
