"""From the description of a call to the methods of both clients: they have its arguments and its words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from functools import update_wrapper
from types import FunctionType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, Unpack, overload

from softkv.answers.report import Report
from softkv.calls.call import Call, Plan
from softkv.calls.paging import Paging
from softkv.calls.teaching.hearing import Stream
from softkv.calls.upload import Upload
from softkv.pages import AsyncPages, Pages

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from softkv.answers.encoded import Encoded
    from softkv.calls.attending import How

P = ParamSpec("P")
T = TypeVar("T")
At = TypeVar("At")
One = TypeVar("One", covariant=True)
Many = TypeVar("Many", covariant=True)
M = TypeVar("M", bound=Callable[..., Any])

_RENAMED = {"answer_if": "min_confidence"}


def blocking(build: Callable[Concatenate[At, P], Call[T] | Plan[T]]) -> Callable[Concatenate[Any, P], T]:
    """The method of a blocking client; what it stands at is the first argument of the description."""

    def method(self: Any, /, *given: P.args, **named: P.kwargs) -> T:
        _refuse_renamed(named)
        result: T = self._sender.run(build(self._at, *given, **named))
        return result

    return with_words_of(build, method)


def awaited(
    build: Callable[Concatenate[At, P], Call[T] | Plan[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The method of an awaited client."""

    async def method(self: Any, /, *given: P.args, **named: P.kwargs) -> T:
        _refuse_renamed(named)
        result: T = await self._sender.run(build(self._at, *given, **named))
        return result

    return with_words_of(build, method)


def streaming(build: Callable[Concatenate[At, P], Stream[T]]) -> Callable[Concatenate[Any, P], Iterator[T]]:
    """The method of a blocking client for an answer that is gone through while it comes."""

    def method(self: Any, /, *given: P.args, **named: P.kwargs) -> Iterator[T]:
        from softkv.streaming import run

        return run(self._sender, build(self._at, *given, **named))

    return with_words_of(build, method, "Iterator")


def async_streaming(build: Callable[Concatenate[At, P], Stream[T]]) -> Callable[Concatenate[Any, P], AsyncIterator[T]]:
    """The method of an awaited client for such an answer; it is not awaited itself."""

    def method(self: Any, /, *given: P.args, **named: P.kwargs) -> AsyncIterator[T]:
        from softkv.streaming import run_awaited

        return run_awaited(self._sender, build(self._at, *given, **named))

    return with_words_of(build, method, "AsyncIterator")


def uploading(build: Callable[Concatenate[At, P], Upload]) -> Callable[Concatenate[Any, P], Report]:
    """The method of a blocking client that sends rows."""

    def method(self: Any, /, *given: P.args, **named: P.kwargs) -> Report:
        from softkv.uploading import run  # which few need, and not as softkv is imported

        return run(self._sender, build(self._at, *given, **named))

    return with_words_of(build, method, "Report")


def async_uploading(
    build: Callable[Concatenate[At, P], Upload],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, Report]]:
    """The method of an awaited client that sends rows."""

    async def method(self: Any, /, *given: P.args, **named: P.kwargs) -> Report:
        from softkv.uploading import run_awaited

        return await run_awaited(self._sender, build(self._at, *given, **named))

    return with_words_of(build, method, "Report")


def paged(build: Callable[Concatenate[At, P], Paging[T]]) -> Callable[Concatenate[Any, P], Pages[T]]:
    """The method of a blocking client for a list of any length."""

    def method(self: Any, /, *given: P.args, **named: P.kwargs) -> Pages[T]:
        return Pages(self._sender, build(self._at, *given, **named))

    return with_words_of(build, method, "Pages")


def async_paged(build: Callable[Concatenate[At, P], Paging[T]]) -> Callable[Concatenate[Any, P], AsyncPages[T]]:
    """The method of an awaited client for a list of any length; it is not awaited itself."""

    def method(self: Any, /, *given: P.args, **named: P.kwargs) -> AsyncPages[T]:
        return AsyncPages(self._sender, build(self._at, *given, **named))

    return with_words_of(build, method, "AsyncPages")


def _refuse_renamed(named: Mapping[str, Any]) -> None:
    """Raise TypeError for an argument that has another name now."""
    for name in named.keys() & _RENAMED.keys():
        raise TypeError(f"{name} is called {_RENAMED[name]} now: write {_RENAMED[name]}=")


def with_words_of(build: Callable[..., Any], method: M, kind: str = "") -> M:
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
        **how: Unpack[How],
    ) -> Many: ...
    @overload
    def __call__(
        self,
        query: str | NDArray[Any] | Sequence[float],
        **how: Unpack[How],
    ) -> One: ...
