"""Lists of any length, fetched page by page as they are gone through."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from functools import update_wrapper
from types import FunctionType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, Unpack, overload

from softkv.answers.writes import Report
from softkv.calls.call import Call, EventStream, Page, Paging, Plan
from softkv.calls.writing import Upload
from softkv.sending import AsyncSender, Sender

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from softkv.answers.encoded import Encoded
    from softkv.calls.queries import AttendOptions


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


P = ParamSpec("P")
Target = TypeVar("Target")
One = TypeVar("One", covariant=True)
Many = TypeVar("Many", covariant=True)
M = TypeVar("M", bound=Callable[..., Any])

_RENAMED_ARGUMENTS = {"answer_if": "min_confidence"}


def sync_method(build: Callable[Concatenate[Target, P], Call[T] | Plan[T]]) -> Callable[Concatenate[Any, P], T]:
    """The method of a blocking client; what it stands at is the first argument of the description."""

    def method(self: Any, /, *given: P.args, **named: P.kwargs) -> T:
        _reject_renamed_arguments(named)
        result: T = self._sender.run(build(self._at, *given, **named))
        return result

    return copy_signature(build, method)


def async_method(
    build: Callable[Concatenate[Target, P], Call[T] | Plan[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The method of an awaited client."""

    async def method(self: Any, /, *given: P.args, **named: P.kwargs) -> T:
        _reject_renamed_arguments(named)
        result: T = await self._sender.run(build(self._at, *given, **named))
        return result

    return copy_signature(build, method)


def sync_stream_method(
    build: Callable[Concatenate[Target, P], EventStream[T]],
) -> Callable[Concatenate[Any, P], Iterator[T]]:
    """The method of a blocking client for an answer that is gone through while it comes."""

    def method(self: Any, /, *given: P.args, **named: P.kwargs) -> Iterator[T]:
        from softkv.sending import run_stream

        return run_stream(self._sender, build(self._at, *given, **named))

    return copy_signature(build, method, "Iterator")


def async_stream_method(
    build: Callable[Concatenate[Target, P], EventStream[T]],
) -> Callable[Concatenate[Any, P], AsyncIterator[T]]:
    """The method of an awaited client for such an answer; it is not awaited itself."""

    def method(self: Any, /, *given: P.args, **named: P.kwargs) -> AsyncIterator[T]:
        from softkv.sending import run_stream_async

        return run_stream_async(self._sender, build(self._at, *given, **named))

    return copy_signature(build, method, "AsyncIterator")


def sync_upload_method(build: Callable[Concatenate[Target, P], Upload]) -> Callable[Concatenate[Any, P], Report]:
    """The method of a blocking client that sends rows."""

    def method(self: Any, /, *given: P.args, **named: P.kwargs) -> Report:
        from softkv.uploading import run_upload  # which few need, and not as softkv is imported

        return run_upload(self._sender, build(self._at, *given, **named))

    return copy_signature(build, method, "Report")


def async_upload_method(
    build: Callable[Concatenate[Target, P], Upload],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, Report]]:
    """The method of an awaited client that sends rows."""

    async def method(self: Any, /, *given: P.args, **named: P.kwargs) -> Report:
        from softkv.uploading import run_upload_async

        return await run_upload_async(self._sender, build(self._at, *given, **named))

    return copy_signature(build, method, "Report")


def sync_page_method(build: Callable[Concatenate[Target, P], Paging[T]]) -> Callable[Concatenate[Any, P], Pages[T]]:
    """The method of a blocking client for a list of any length."""

    def method(self: Any, /, *given: P.args, **named: P.kwargs) -> Pages[T]:
        return Pages(self._sender, build(self._at, *given, **named))

    return copy_signature(build, method, "Pages")


def async_page_method(
    build: Callable[Concatenate[Target, P], Paging[T]],
) -> Callable[Concatenate[Any, P], AsyncPages[T]]:
    """The method of an awaited client for a list of any length; it is not awaited itself."""

    def method(self: Any, /, *given: P.args, **named: P.kwargs) -> AsyncPages[T]:
        return AsyncPages(self._sender, build(self._at, *given, **named))

    return copy_signature(build, method, "AsyncPages")


def _reject_renamed_arguments(named: Mapping[str, Any]) -> None:
    """Raise TypeError for an argument that has another name now."""
    for name in named.keys() & _RENAMED_ARGUMENTS.keys():
        raise TypeError(f"{name} is called {_RENAMED_ARGUMENTS[name]} now: write {_RENAMED_ARGUMENTS[name]}=")


def copy_signature(build: Callable[..., Any], method: M, kind: str = "") -> M:
    """Give a method the name, the words and the arguments of what describes its call; what comes back is its own."""
    assert isinstance(build, FunctionType)
    shown = FunctionType(build.__code__, build.__globals__, build.__name__, build.__defaults__)
    shown.__kwdefaults__ = build.__kwdefaults__
    _, bracket, result = build.__annotations__["return"].partition("[")  # of a Call, a Plan or a Paging; not an Upload
    returned = f"{kind}{bracket}{result}" if kind else result.removesuffix("]")
    shown.__annotations__ = build.__annotations__ | {"return": returned}
    shown.__doc__ = build.__doc__
    return update_wrapper(method, shown, updated=())  # type: ignore[return-value]


class Attend(Protocol[One, Many]):
    """`attend` of a collection: one query in, one answer out; a list in, a list out."""

    @overload
    def __call__(
        self,
        query: Encoded | list[str] | list[NDArray[Any]] | list[list[float]] | tuple[str, ...],
        **how: Unpack[AttendOptions],
    ) -> Many: ...
    @overload
    def __call__(
        self,
        query: str | NDArray[Any] | Sequence[float],
        **how: Unpack[AttendOptions],
    ) -> One: ...
