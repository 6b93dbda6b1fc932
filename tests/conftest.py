"""The services that tests talk to, each the real one."""

from __future__ import annotations

import asyncio
import gc
import inspect
import itertools
import logging
import os
import re
import subprocess
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import hypothesis
import pytest

from tests.marks import selects
from tests.postgres import PostgresServer, running
from tests.thorough import NIGHT

if TYPE_CHECKING:
    from tests.running import RunningService

# The duration of an example depends on the machine and its other work.
untimed = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("explore", untimed)
# A run shows what changed since the last one: it tries the same examples, until the test or what it tests is another.
# It tries few of them, and `make test-nightly` many.
hypothesis.settings.register_profile("repeat", untimed, derandomize=True, max_examples=30)
hypothesis.settings.register_profile(NIGHT, untimed, derandomize=True, max_examples=300)
hypothesis.settings.load_profile("repeat")


# Modules and tests stay. While they are collected, the garbage collector would search them again and again.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_configure() -> None:
    """Forget the width of a terminal: pytest-xdist sets one, and commands would break lines there.

    pytest captures every log, and with that uvicorn would log each request a second time.
    """
    os.environ.pop("COLUMNS", None)
    logging.getLogger("uvicorn.access").propagate = False


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """Let the services of this process log while pytest captures what they write."""
    return (yield from _logging())


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Let the services of this process log while pytest captures what they write."""
    return (yield from _logging())


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """Let the services of this process log while pytest captures what they write."""
    return (yield from _logging())


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


def _logging() -> Generator[None, object, object]:
    """Enable the log of services in this process for one phase of a test.

    A service logs a request after it has answered it. By then, the phase may be over. Between two phases pytest
    captures nothing, and the line would land on the terminal.
    """
    logger = logging.getLogger("softkv")
    logger.disabled = False
    try:
        return (yield)
    finally:
        logger.disabled = True


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files of which `-m` selects no test: some take seconds to import, and others import much."""
    expression = config.option.markexpr
    if not expression or not collection_path.name.startswith("test_") or collection_path.suffix != ".py":
        return None
    marks = frozenset(re.split(r"\W", line)[0] for line in config.getini("markers"))
    return None if selects(expression, collection_path, marks) else True


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Yield a service with the real encoder and no collections."""
    from tests.running import RunningService  # takes seconds, also in a process that only hands out tests

    # In int16, printed answers have the same digits on every processor.
    with RunningService(data_dir=tmp_path_factory.mktemp("data"), precision="int16") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="session")
def service_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningService]]:
    """Yield a function of settings that returns a service without an encoder, one for all tests with equal settings."""
    from tests.running import RunningService

    with ExitStack() as services:

        @cache
        def start(**settings: Any) -> RunningService:
            running = RunningService(data_dir=tmp_path_factory.mktemp("service"), encoder="none", **settings)
            services.enter_context(running).wait_until_ready()
            return running

        yield start


@pytest.fixture(scope="session")
def client(service: RunningService) -> Iterator[httpx.Client]:
    """A client of `service`."""
    with service.client() as client:
        yield client


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Yield a PostgreSQL server; tests that need one skip on a machine without PostgreSQL."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def documentation_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a built documentation site; tests that need it skip without its generator."""
    root = Path(__file__).parents[1]
    python = root / ".venv-docs" / "bin" / "python"
    if not python.exists():
        pytest.skip("no .venv-docs: `make docs` installs it")
    folder = tmp_path_factory.mktemp("documentation") / "site"
    command = [python, "-m", "tools.documentation", str(folder)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


_numbers = itertools.count()


@pytest.fixture
def collection(client: httpx.Client) -> Iterator[Callable[..., str]]:
    """Yield a function that makes collections of documents, which are deleted after the test; it returns their path."""
    made: list[str] = []

    def make(documents: Sequence[Mapping[str, Any]] = (), **settings: object) -> str:
        path = f"/v1/collections/test-{next(_numbers)}"
        assert client.put(path, json=settings).status_code == 201
        made.append(path)
        if documents:
            answer = client.post(f"{path}/documents", json={"documents": documents})
            assert answer.status_code == 200, answer.text
        return path

    yield make
    for path in made:
        client.delete(path)
