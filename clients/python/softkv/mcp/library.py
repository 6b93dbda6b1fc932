"""The part of a service that a caller may use, and the error texts for a model.

An error text says what was expected, what came, and what the model can do about it with these tools.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import softkv
from softkv import AsyncClient, AsyncCollection, CollectionInfo

COLLECTION_NOT_FOUND = "collection_not_found"
MAX_NAMES = 50
"""The most collections that an error text names."""
ADVICE: Mapping[type[softkv.Error], str] = {
    softkv.Busy: "The service has too much to do: wait a few seconds and call again.",
    softkv.Unavailable: "If it does not work a little later either, tell the user.",
    softkv.KeyRefused: "Tell the user: the key is given where this server is configured.",
    softkv.Forbidden: "Do not try it again; tell the user that the key does not allow it.",
    softkv.StorageFull: "Tell the user that the disk is full; nothing was written.",
    softkv.ServiceFailed: "Tell the user; the service's log has the cause.",
    softkv.TimedOut: "It may have been done: look before you call again, or tell the user that the service is slow.",
}
UNEXPECTED = "this server failed on the call, and its log has the cause: try something else, or tell the user"


class ToolError(Exception):
    """A call that this server does not pass on; its text is for the model."""


@dataclass(frozen=True)
class Library:
    """The collections of a service that a caller may use.

    Attributes:
        client: the client, with the caller's key.
        url: the service's URL, for error texts.
        only: the names or aliases of the usable collections; None for all that the key may see.
        read_only: whether writing is forbidden, whatever the key allows.
    """

    client: AsyncClient
    url: str = "this address"
    only: tuple[str, ...] | None = None
    read_only: bool = False

    def collection(self, name: str) -> AsyncCollection:
        """Return a collection by its name.

        Raises:
            ToolError: this server does not offer the collection.
            NotFound: the name is invalid for a collection.
        """
        if self.only is not None and name not in self.only:
            raise ToolError(missing_collection(name, list(self.only)))
        try:
            return self.client.collection(name)
        except softkv.Invalid as error:
            raise softkv.NotFound(error.detail, code=COLLECTION_NOT_FOUND) from None

    async def collections(self) -> list[CollectionInfo]:
        """Return the existing collections that the caller may use, by name; one that an alias names, by that."""
        if self.only is None:
            return [info async for info in self.client.collections()]
        infos = []
        for name in sorted(set(self.only)):
            try:
                infos.append((await self.client.collection(name).info()).copy_with(name=name))
            except softkv.NotFound:
                continue
        return infos

    async def has_reranker(self) -> bool:
        """Return whether the service has a reranker; False if it does not answer now."""
        try:
            return bool(await self.client.rerankers())
        except softkv.Error:
            return False

    async def may_write(self) -> bool:
        """Return whether the caller may write; if the service does not answer now, True, since the call will tell."""
        if self.read_only:
            return False
        try:
            return await self.client.access() == "write"
        except softkv.Error:
            return True


def missing_collection(name: str, names: list[str]) -> str:
    """Return the error text for a missing collection, with the names of the existing ones."""
    if not names:
        return f"there is no collection {name!r}, and no other: tell the user that nothing is stored yet"
    shown = ", ".join(names[:MAX_NAMES]) + (", …" if len(names) > MAX_NAMES else "")
    return f"there is no collection {name!r}: use one of these names: {shown}"


def error_text(error: softkv.Error, pointers: Mapping[str, str], url: str) -> str:
    """Return an error of the client as a text for a model: the detail, every flaw, and what to do.

    Args:
        error: the error.
        pointers: maps pointers into the request to the service to pointers into the tool's arguments.
        url: the service's URL.
    """
    if isinstance(error, softkv.Unreachable) and not isinstance(error, softkv.TimedOut):
        return (
            f"no service answers at {url}: tell the user to start one with `softkv serve`, or to correct the address "
            "that this server was given"
        )
    text = error.detail
    if any(flaw.pointer for flaw in error.errors):  # the detail is the first of them
        text = "\n".join(f"{flaw.pointer or '/'}: {flaw.detail}" for flaw in error.errors)
    for sent, argument in pointers.items():
        text = text.replace(sent, argument)
    advice = next((ADVICE[kind] for kind in type(error).__mro__ if kind in ADVICE), "")
    return "\n".join(filter(None, (text, advice)))
