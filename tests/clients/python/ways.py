"""One interface to the three ways to the service, so that one suite covers all of them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

from softkv import AsyncClient, AsyncCollection, AsyncPages


class Awaited:
    """An awaited client, collection or list as if it were waited for: each coroutine is run to its end at once."""

    def __init__(self, awaited: Any, runner: asyncio.Runner) -> None:
        self._awaited = awaited
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._awaited, name)
        return self._calling(attribute) if callable(attribute) else attribute

    def __iter__(self) -> Iterator[Any]:
        return iter(self._runner.run(gathered(self._awaited)))

    def __repr__(self) -> str:
        return repr(self._awaited)

    def _calling(self, method: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            result = method(*arguments, **named)
            if inspect.iscoroutine(result):
                return self._runner.run(result)
            if inspect.isasyncgen(result):
                return self._runner.run(gathered(result))
            return Awaited(result, self._runner) if isinstance(result, WRAPPED) else result

        return call


WRAPPED = (AsyncClient, AsyncCollection, AsyncPages)


async def gathered(pages: Any) -> list[Any]:
    """All items of an asynchronous iterator."""
    return [page async for page in pages]
