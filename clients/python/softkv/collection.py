"""A collection, for both clients: the same words, waited for or awaited."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Generic, TypeAlias, TypeVar, cast

from softkv.answers.answer import Answer
from softkv.calls import asking, attending, collections, documents, facts, writing
from softkv.calls.place import Place
from softkv.methods import (
    Attend,
    async_paged,
    async_streaming,
    async_uploading,
    awaited,
    blocking,
    paged,
    streaming,
    uploading,
)
from softkv.sending import AsyncSender, Sender

S = TypeVar("S", bound=Sender | AsyncSender)
_Attend: TypeAlias = Attend[Answer, list[Answer]]
_AsyncAttend: TypeAlias = Attend[Coroutine[Any, Any, Answer], Coroutine[Any, Any, list[Answer]]]


class _Named(Generic[S]):
    def __init__(self, sender: S, place: Place) -> None:
        self._sender = sender
        self._at = place

    @property
    def name(self) -> str:
        """What it is called."""
        return self._at.name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} at {self._sender.http.base_url}>"


class Collection(_Named[Sender]):
    """A collection by its name; nothing is sent before something is asked of it."""

    create = blocking(collections.create)
    change = blocking(collections.change)
    info = blocking(collections.info)
    drop = blocking(collections.drop)

    attend: _Attend = cast("_Attend", blocking(attending.attend))
    attend_stream = streaming(attending.attend_stream)
    sweep = blocking(asking.sweep)
    compare = blocking(asking.compare)
    calibrate = blocking(asking.calibrate)

    put = blocking(documents.put)
    patch = blocking(documents.patch)
    get = blocking(documents.get)
    get_many = blocking(documents.get_many)
    exists = blocking(documents.exists)
    find = paged(documents.find)
    count = blocking(documents.count)
    remove = blocking(documents.remove)
    delete = blocking(documents.delete)
    update = blocking(documents.update)
    write = blocking(writing.write)
    upsert = uploading(writing.upsert)

    fields = blocking(facts.fields)
    values = paged(facts.values)


class AsyncCollection(_Named[AsyncSender]):
    """A collection by its name; nothing is sent before something is asked of it."""

    create = awaited(collections.create)
    change = awaited(collections.change)
    info = awaited(collections.info)
    drop = awaited(collections.drop)

    attend: _AsyncAttend = cast("_AsyncAttend", awaited(attending.attend))
    attend_stream = async_streaming(attending.attend_stream)
    sweep = awaited(asking.sweep)
    compare = awaited(asking.compare)
    calibrate = awaited(asking.calibrate)

    put = awaited(documents.put)
    patch = awaited(documents.patch)
    get = awaited(documents.get)
    get_many = awaited(documents.get_many)
    exists = awaited(documents.exists)
    find = async_paged(documents.find)
    count = awaited(documents.count)
    remove = awaited(documents.remove)
    delete = awaited(documents.delete)
    update = awaited(documents.update)
    write = awaited(writing.write)
    upsert = async_uploading(writing.upsert)

    fields = awaited(facts.fields)
    values = async_paged(facts.values)
