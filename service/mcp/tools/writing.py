"""`remember` and `forget`: a document more, or some fewer; for keys that may write."""

from __future__ import annotations

import uuid
from typing import Any

from service.mcp.library import Library
from service.mcp.schema import COLLECTION, boolean, fixed_object, free_object, integer, text
from service.mcp.tool import Tool
from service.mcp.tools.reading import IDS


async def remember(
    library: Library,
    collection: str,
    text: str,
    metadata: dict[str, Any],
    id: str,  # noqa: A002
) -> dict[str, Any]:
    """Store one document."""
    name = id or uuid.uuid4().hex
    written = await library.collection(collection).put(name, text, metadata=metadata)
    return {"id": name, "truncated": bool(written.truncated)}


async def forget(library: Library, collection: str, ids: list[str]) -> dict[str, Any]:
    """Delete documents."""
    return {"deleted": await library.collection(collection).delete(ids)}


REMEMBER = Tool(
    name="remember",
    title="Store a document",
    description=(
        "Store a text in a collection, so that ask finds it from now on. Use it when the user wants it kept. One "
        "fact or passage a document; what it is about belongs into metadata, with the fields that the collection has "
        "already. With an id it takes the place of the document that has it; without one it gets a new id."
    ),
    input=fixed_object(
        {
            "collection": COLLECTION,
            "text": text("What to store, understandable by itself.", minLength=1),
            "metadata": free_object("Fields for where, such as a source or a year.", default={}),
            "id": text("To replace a document, or to choose the id. Left out: a new one.", default="", maxLength=256),
        }
    ),
    output=fixed_object(
        {
            "id": text("Of the document."),
            "truncated": boolean("Whether the model reads only its beginning, by which it is found."),
        }
    ),
    run=remember,
    writes=True,
    idempotent=False,
    pointers={"/key:": "/text:"},
)
FORGET = Tool(
    name="forget",
    title="Delete documents",
    description=(
        "Delete documents by their ids, for good. Use it only when the user asked for it, with ids that ask, find or "
        "get gave you. Ids that are not there are passed over."
    ),
    input=fixed_object({"collection": COLLECTION, "ids": IDS}),
    output=fixed_object({"deleted": integer("How many there were.")}),
    run=forget,
    writes=True,
)
