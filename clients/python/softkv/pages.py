"""Lists of any length, fetched page by page as they are gone through."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Generic, TypeVar

from softkv.calls.paging import Page, Paging
from softkv.sending import AsyncSender, Sender

T = TypeVar("T")


class Pages(Generic[T]):
    """Items one after another: `for each in pages`."""

    def __init__(self, sender: Sender, paging: Paging[T]) -> None:
        self._sender = sender
        self._paging = paging

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page

    def pages(self) -> Iterator[list[T]]:
        """The same, as many at a time as come in one answer."""
        page: Page[T] = self._sender.run(self._paging.ask(None, self._paging.at_once))
        yield page.items
        while page.next_cursor is not None:
            page = self._sender.run(self._paging.ask(page.next_cursor, self._paging.at_once))
            yield page.items

    def page(self, cursor: str | None = None) -> Page[T]:
        """One page alone, its `items` and its `next_cursor`, from where another ended: for who shows them in pages."""
        found: Page[T] = self._sender.run(self._paging.ask(cursor, self._paging.at_once))
        return found

    def first(self) -> T | None:
        """The first one; None where there is none."""
        page = self._sender.run(self._paging.ask(None, 1))
        return page.items[0] if page.items else None

    def count(self) -> int:
        """How many there are."""
        return sum(map(len, self.pages())) if self._paging.count is None else self._sender.run(self._paging.count)


class AsyncPages(Generic[T]):
    """Items one after another: `async for each in pages`."""

    def __init__(self, sender: AsyncSender, paging: Paging[T]) -> None:
        self._sender = sender
        self._paging = paging

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for each in page:
                yield each

    async def pages(self) -> AsyncIterator[list[T]]:
        """The same, as many at a time as come in one answer."""
        page: Page[T] = await self._sender.run(self._paging.ask(None, self._paging.at_once))
        yield page.items
        while page.next_cursor is not None:
            page = await self._sender.run(self._paging.ask(page.next_cursor, self._paging.at_once))
            yield page.items

    async def page(self, cursor: str | None = None) -> Page[T]:
        """One page alone, its `items` and its `next_cursor`, from where another ended: for who shows them in pages."""
        return await self._sender.run(self._paging.ask(cursor, self._paging.at_once))

    async def first(self) -> T | None:
        """The first one; None where there is none."""
        page = await self._sender.run(self._paging.ask(None, 1))
        return page.items[0] if page.items else None

    async def count(self) -> int:
        """How many there are."""
        if self._paging.count is not None:
            return await self._sender.run(self._paging.count)
        return sum([len(page) async for page in self.pages()])
