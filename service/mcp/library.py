"""What a caller may use of a service: a client, and the limits that this server was started with."""

from __future__ import annotations

from dataclasses import dataclass

import softkv
from service.mcp.errors import ToolError
from softkv import AsyncClient, AsyncCollection, CollectionInfo

MOST_NAMED = 50


@dataclass(frozen=True)
class Library:
    """A service's collections, as far as a caller may use them.

    Attributes:
        client: with the caller's key.
        url: where the service is, for whoever reads an error.
        only: names of collections; empty for all that the key may see.
        read_only: whether nothing is written, whatever the key allows.
    """

    client: AsyncClient
    url: str = "this address"
    only: tuple[str, ...] = ()
    read_only: bool = False

    def collection(self, name: str) -> AsyncCollection:
        """A collection by its name.

        Raises:
            ToolError: it is none of those that this server is for.
            NotFound: no collection can be called so.
        """
        if self.only and name not in self.only:
            raise ToolError(not_there(name, list(self.only)))
        try:
            return self.client.collection(name)
        except softkv.Invalid as error:
            raise softkv.NotFound(error.detail, code="collection_not_found") from None

    async def collections(self) -> list[CollectionInfo]:
        """Those that are there, by name."""
        return [each async for each in self.client.collections() if not self.only or each.name in self.only]

    async def may_write(self) -> bool:
        """Whether writing makes sense; where the service cannot be asked now, a call will say what is wrong."""
        if self.read_only:
            return False
        try:
            return await self.client.access() == "write"
        except softkv.Error:
            return True


def not_there(name: str, names: list[str]) -> str:
    """What to say of a collection that is not there, and which are."""
    if not names:
        return f"there is no collection {name!r}, and no other: tell the user that nothing is stored yet"
    shown = ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")
    return f"there is no collection {name!r}: use one of these names: {shown}"
