"""Models whose validators are built on their first use, by several threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from pydantic import ValidationError

from service.schemas.wire import Wire

THREADS, MODELS = 4, 100


def test_threads_that_use_a_model_first_at_once_all_get_its_own_validator():
    barrier = Barrier(THREADS)

    def validate(model):
        barrier.wait()
        with pytest.raises(ValidationError, match="count"):
            model.model_validate({"count": "none"})
        return model.model_validate({"count": 2.0})

    with ThreadPoolExecutor(THREADS) as threads:
        for number in range(MODELS):
            model = type(f"Model{number}", (Wire,), {"__annotations__": {"count": int}, "__module__": __name__})
            assert not model.__pydantic_complete__
            objects = list(threads.map(validate, [model] * THREADS))
            assert all(type(content) is model and content.count == 2 for content in objects)
