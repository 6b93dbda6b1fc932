"""A service without an encoder, for tests of its connections."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.running import RunningService


@pytest.fixture(scope="session")
def service(service_of: Callable[..., RunningService]) -> RunningService:
    """A service without an encoder."""
    return service_of()
