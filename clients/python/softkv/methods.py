"""Methods of both clients, built from the functions in `softkv.calls`; and `Pages`, the lists that some
methods return.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from functools import partial, update_wrapper
from types import FunctionType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, Unpack, overload

from softkv.answers.documents import Report
from softkv.calls.call import Call, Page, Paging, Plan
from softkv.calls.writing import Upload
from softkv.problems import unexpected_argument
from softkv.sending import AsyncSender, Sender

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from softkv.answers.encoded import Encoded
    from softkv.calls.queries import AttendOptions


T = TypeVar("T")


class Pages(Generic[T]):
    """A list that is fetched page by page during iteration: `for item in pages`."""

    def __init__(self, sender: Sender, build: Callable[[], Paging[T]]) -> None:
        self._sender = sender
        self._build = build
        self._paging = build()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._sender, self._build)  # the calls of a Paging cannot be pickled

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page

    def pages(self) -> Iterator[list[T]]:
        """Yield the items page by page, as lists.

        Returns:
            An iterator of lists.

        Example:
            >>> for documents in collection.find().pages():
            ...     print(len(documents))
        """
        page: Page[T] = self._sender.run(self._paging.ask(None, self._paging.page_size))
        yield page.items
        while page.next_cursor is not None:
            page = self._sender.run(self._paging.ask(page.next_cursor, self._paging.page_size))
            yield page.items

    def page(self, cursor: str | None = None) -> Page[T]:
        """Return one page, for callers that show pages.

        Args:
            cursor: the `next_cursor` of the previous page; None for the first page.

        Returns:
            A page with its `items` and `next_cursor`; the latter is None on the last page.

        Example:
            >>> collection.find().page().next_cursor
        """
        page: Page[T] = self._sender.run(self._paging.ask(cursor, self._paging.page_size))
        return page

    def first(self) -> T | None:
        """Return the first item, or None if the list is empty.

        Example:
            >>> collection.find(where=F.year < 1950).first()
        """
        page = self._sender.run(self._paging.ask(None, 1))
        return page.items[0] if page.items else None

    def count(self) -> int:
        """Return the number of items.

        Example:
            >>> client.collections("lib").count()
        """
        return sum(map(len, self.pages())) if self._paging.count is None else self._sender.run(self._paging.count)


class AsyncPages(Generic[T]):
    """A list that is fetched page by page during iteration: `async for item in pages`."""

    def __init__(self, sender: AsyncSender, build: Callable[[], Paging[T]]) -> None:
        self._sender = sender
        self._build = build
        self._paging = build()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._sender, self._build)  # the calls of a Paging cannot be pickled

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page:
                yield item

    async def pages(self) -> AsyncIterator[list[T]]:
        """Yield the items page by page, as lists.

        Returns:
            An asynchronous iterator of lists.
        """
        page: Page[T] = await self._sender.run(self._paging.ask(None, self._paging.page_size))
        yield page.items
        while page.next_cursor is not None:
            page = await self._sender.run(self._paging.ask(page.next_cursor, self._paging.page_size))
            yield page.items

    async def page(self, cursor: str | None = None) -> Page[T]:
        """Return one page, for callers that show pages.

        Args:
            cursor: the `next_cursor` of the previous page; None for the first page.

        Returns:
            A page with its `items` and `next_cursor`; the latter is None on the last page.
        """
        return await self._sender.run(self._paging.ask(cursor, self._paging.page_size))

    async def first(self) -> T | None:
        """Return the first item, or None if the list is empty."""
        page = await self._sender.run(self._paging.ask(None, 1))
        return page.items[0] if page.items else None

    async def count(self) -> int:
        """Return the number of items."""
        if self._paging.count is not None:
            return await self._sender.run(self._paging.count)
        return sum([len(page) async for page in self.pages()])


P = ParamSpec("P")
Target = TypeVar("Target")
One = TypeVar("One", covariant=True)
Many = TypeVar("Many", covariant=True)
M = TypeVar("M", bound=Callable[..., Any])
S = TypeVar("S", bound=Sender | AsyncSender)
Sync = TypeVar("Sync")
Async = TypeVar("Async")


class Method(Generic[Sync, Async]):
    """A method that both clients have: one blocks, the other is awaited.

    Type checkers see this object. When the program runs, `Methods` puts the function of its client in its place.
    """

    def __init__(self, method: Callable[..., Any], async_method: Callable[..., Any]) -> None:
        self.method, self.async_method = method, async_method

    @overload
    def __get__(self, instance: Methods[Sender], owner: object) -> Sync: ...
    @overload
    def __get__(self, instance: Methods[AsyncSender], owner: object) -> Async: ...
    @overload
    def __get__(self, instance: None, owner: object) -> Any: ...
    def __get__(self, instance: object, owner: object) -> Any:
        return self


class Methods(Generic[S]):
    """The methods that a class of both clients has, as `Method`; its subclasses have those of their sender."""

    _sender: S
    _target: Any

    def __init_subclass__(cls, sender: type[Sender | AsyncSender] | None = None) -> None:
        super().__init_subclass__()
        for name in dir(cls) if sender else ():
            if isinstance(made := getattr(cls, name), Method):
                setattr(cls, name, made.async_method if sender is AsyncSender else made.method)


def _build(self: Any, build: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Return what a function builds of a method's arguments; the HTTP name of `where` is refused with ours.

    `build` gets the cache or the collection as its first argument.
    """
    if "filter" in kwargs and "where" in build.__annotations__:
        raise unexpected_argument(build.__name__, "filter")
    return build(self._target, *args, **kwargs)


def call_method(
    build: Callable[Concatenate[Target, P], Call[T] | Plan[T]],
) -> Method[Callable[P, T], Callable[P, Coroutine[Any, Any, T]]]:
    """Make the methods of a function that builds a call."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = self._sender.run(_build(self, build, *args, **kwargs))
        return result

    async def async_method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = await self._sender.run(_build(self, build, *args, **kwargs))
        return result

    return Method(copy_signature(build, method), copy_signature(build, async_method))


def upload_method(
    build: Callable[Concatenate[Target, P], Upload],
) -> Method[Callable[P, Report], Callable[P, Coroutine[Any, Any, Report]]]:
    """Make methods that upload rows."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Report:
        from softkv.uploading import run_upload  # deferred, as few programs upload

        return run_upload(self._sender, _build(self, build, *args, **kwargs))

    async def async_method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Report:
        from softkv.uploading import run_upload_async

        return await run_upload_async(self._sender, _build(self, build, *args, **kwargs))

    return Method(copy_signature(build, method, "Report"), copy_signature(build, async_method, "Report"))


def page_method(
    build: Callable[Concatenate[Target, P], Paging[T]],
) -> Method[Callable[P, Pages[T]], Callable[P, AsyncPages[T]]]:
    """Make methods that return a list in pages; the call itself is not awaited."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Pages[T]:
        return Pages(self._sender, partial(_build, self, build, *args, **kwargs))

    def async_method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> AsyncPages[T]:
        return AsyncPages(self._sender, partial(_build, self, build, *args, **kwargs))

    return Method(copy_signature(build, method, "Pages"), copy_signature(build, async_method, "AsyncPages"))


def copy_signature(build: Callable[..., Any], method: M, kind: str = "") -> M:
    """Give a method the name, docstring and arguments of the function that builds its call, and its own return type."""
    assert isinstance(build, FunctionType)
    code = build.__code__.replace(co_varnames=("self", *build.__code__.co_varnames[1:]))  # shown, never run
    documented = FunctionType(code, build.__globals__, build.__name__, build.__defaults__, build.__closure__)
    documented.__kwdefaults__ = build.__kwdefaults__
    _, bracket, result = build.__annotations__["return"].partition("[")  # of a Call, a Plan or a Paging; not an Upload
    returned = f"{kind}{bracket}{result}" if kind else result.removesuffix("]")
    first = build.__code__.co_varnames[0]
    annotations = {name: annotation for name, annotation in build.__annotations__.items() if name != first}
    documented.__annotations__ = annotations | {"return": returned}
    documented.__doc__ = build.__doc__
    signature: inspect.Signature | None = getattr(build, "__signature__", None)
    if signature is not None:
        _, *parameters = signature.parameters.values()
        myself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        signature = signature.replace(parameters=[myself, *parameters], return_annotation=returned)
        documented.__signature__ = signature  # type: ignore[attr-defined]
    return update_wrapper(method, documented, updated=())  # type: ignore[return-value]


class AttendMethod(Protocol[One, Many]):
    """The type of the method `attend`: one query gives one answer, a list of queries gives a list of answers."""

    @overload
    def __call__(
        self,
        query: Encoded
        | list[str]
        | list[NDArray[Any]]
        | list[list[float]]
        | tuple[str, ...]
        | Sequence[Sequence[Mapping[str, Any]]],
        **how: Unpack[AttendOptions],
    ) -> Many: ...
    @overload
    def __call__(
        self,
        query: str | NDArray[Any] | Sequence[float] | Sequence[Mapping[str, Any]],
        **how: Unpack[AttendOptions],
    ) -> One: ...
