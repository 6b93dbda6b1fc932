"""What the suites in clients/ share: a client of the service that `tests.integrations.run` started, and examples of the
options of `attend`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from softkv import Client
from softkv.integrations import RETRIEVER_OPTIONS

_numbers = itertools.count()
_OWN_OPTIONS = {"accept", "score", "evidence"}
_OF_CALIBRATED = {"min_confidence"}
_EXAMPLES: dict[str, Any] = {
    "temperature": 0.2,
    "top_k": 3,
    "normaliser": "sparsemax",
    "null": 0.3,
    "max_error": 1e-9,
    "full_text": 0.1,
    "bias": {"field": "metadata.year", "half_life": 500},
    "rerank": {"depth": 5, "weight": 0.5},
    "include": ["explanation"],
    "ignore_defaults": True,
}


def option_examples() -> dict[str, dict[str, Any]]:
    """Return the arguments of a question for each option of `attend` that retrievers have, by the option's name.

    An option that is a number, and is not in the list above, is 0.5. Options of calibrated collections are left out.
    """
    names = RETRIEVER_OPTIONS.keys() - _OWN_OPTIONS - _OF_CALIBRATED
    examples = {name: {name: _EXAMPLES.get(name, 0.5)} for name in sorted(names)}
    return examples | {"effective_documents": {"temperature": "auto", "effective_documents": 3.0}}


WITHOUT_JSON: dict[str, Any] = {
    "NaN": float("nan"),
    "Infinity": [np.float32("inf")],
    "NaT": np.datetime64("NaT", "ns"),
    "length of time": timedelta(days=1),
    "lone surrogate": "half \ud83d",
    "NUL": "\0",
}
"""Values of metadata that must not become others, by a word of the error."""
DAY = np.datetime64("2026-01-02T03:04:05", "ns")
"""A time as NumPy and pandas have it, which is stored as `DAY_STORED`."""
DAY_STORED = "2026-01-02T03:04:05"


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """A client of the service, whose address is in SOFTKV_URL.

    It has the demo collection `library` and two encoders, see `tests.checkpoints.save_two_encoders`.
    """
    with Client() as client:
        yield client


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """Yield an event loop for tests of coroutines."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def name(client: Client) -> Iterator[Callable[[], str]]:
    """Yield a function that makes names of collections, which are dropped after the test if it created them."""
    made: list[str] = []

    def make() -> str:
        made.append(f"integrations-{next(_numbers)}")
        return made[-1]

    yield make
    for item in made:
        if client.collections(item).first() is not None:
            client.collection(item).drop()
