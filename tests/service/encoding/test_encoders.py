"""The encoders of a service: found by name or by model, loaded by the first text, and unloaded."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable

import pytest

from softkv_service.encoding import Encoder, EncodingError, ModelUnusable
from softkv_service.encoding.encoders import Encoders, LoadingEncoder
from softkv_service.encoding.registry import load_encoder
from tests.waiting import until


def refuse() -> Encoder:
    raise ModelUnusable("there is none")


def named(name: str, model: str | None = None, load: Callable[[], Encoder] = refuse, **options: bool) -> LoadingEncoder:
    return LoadingEncoder(name, load, model=model, **options)


def test_an_encoder_has_a_name_of_its_own() -> None:
    small, large = named("small", "m-1"), named("large", "m-2")
    encoders = Encoders([small, large], "large")
    assert encoders.default is large
    assert encoders.names == ["small", "large"]
    assert encoders.find("small") is small
    assert encoders.find("m-1") is None
    assert Encoders().default is None


async def test_a_lazy_encoder_is_loaded_by_the_first_text_and_again_after_unloading(encoder: Encoder) -> None:
    loads = []

    def load() -> Encoder:
        loads.append(1)
        return encoder

    lazy = named("one", None, load, lazy=True)
    encoders = Encoders([lazy])
    await encoders.start()
    assert (lazy.state, lazy.facts, encoders.loading(), loads) == ("unloaded", None, [], [])
    queues = await asyncio.gather(lazy.ready(), lazy.ready())
    assert queues[0] is queues[1] is not None
    assert (lazy.state, lazy.kind, len(loads)) == ("ready", "core", 1)
    assert lazy.unload()
    assert not lazy.unload()
    assert (lazy.state, lazy.encoder, lazy.kind) == ("unloaded", None, "core")
    assert len((await queues[0].encode(["a text"], "query")).vectors) == 1  # whoever has the queue goes on
    assert await lazy.ready() not in (None, queues[0])
    assert len(loads) == 2
    await encoders.close()
    await queues[0].close()


def test_the_memory_of_an_unloaded_encoder_is_freed() -> None:
    async def run() -> weakref.ref[Encoder]:
        lazy = named("one", None, lambda: load_encoder("all-MiniLM-L6-v2"), lazy=True)
        queue = await lazy.ready()
        assert queue is not None
        await queue.encode(["a text"], "query")
        gone = weakref.ref(queue.encoder)
        assert queue.encoder.memory_bytes > 90_000_000
        del queue
        lazy.unload()
        return gone

    gone = asyncio.run(run())

    def is_gone() -> bool:
        gc.collect()
        return gone() is None

    until(is_gone)  # the thread that encoded lets go of its last call a moment after its result


async def test_only_encoders_loaded_at_the_start_decide_readiness() -> None:
    lazy, remote, first = named("a", lazy=True), named("b", remote=True), named("c")
    encoders = Encoders([lazy, remote, first], "c")
    assert encoders.loading() == ["c"]
    await encoders.start()
    assert await lazy.ready() is None
    await remote.wait()
    assert [one.state for one in encoders] == ["failed"] * 3
    assert encoders.failures() == ["encoder c: there is none"]


async def test_only_a_failed_provider_is_loaded_again(monkeypatch: pytest.MonkeyPatch, encoder: Encoder) -> None:
    monkeypatch.setattr("softkv_service.encoding.encoders.RETRY_SECONDS", 0.0)
    answers: list[Encoder | None] = [None, encoder]

    def load() -> Encoder:
        answer = answers.pop(0)
        if answer is None:
            raise EncodingError("it is down")
        return answer

    remote = named("r", None, load, lazy=True, remote=True)
    assert await remote.ready() is None
    assert str(remote.failure) == "it is down"
    assert await remote.ready() is not None
    assert remote.failure is None
    await remote.close()
    here = named("h", None, refuse, lazy=True)
    for _ in range(2):
        assert await here.ready() is None
    assert here.state == "failed"
    assert answers == []


async def test_an_unexpected_error_is_a_failure_and_not_an_endless_loading() -> None:
    def load() -> Encoder:
        raise ZeroDivisionError

    lazy = named("one", None, load, lazy=True)
    assert await lazy.ready() is None
    assert "ZeroDivisionError" in str(lazy.failure)
