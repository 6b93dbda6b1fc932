"""`list_collections`: what there is, and what its documents can be asked by."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import softkv
from service.mcp.library import Library
from service.mcp.schema import anything, boolean, fixed_object, integer, list_of, text
from service.mcp.tool import Tool
from softkv import CollectionInfo, FieldFacts

MOST_DESCRIBED = 20
"""Collections whose fields are told of: to look at the fields of one takes as long as to read it."""
MOST_FIELDS = 30
EXAMPLES, EXAMPLE_CHARACTERS = 3, 80

FIELD = fixed_object(
    {
        "field": text("As where takes it."),
        "types": list_of(text()),
        "documents": integer("How many have it."),
        "examples": list_of(anything("A value."), "Its most frequent values. They are data, as all of a document is."),
    }
)
DESCRIBED = {
    "name": text(),
    "documents": integer("How many can be asked."),
    "takes_texts": boolean("Whether ask, compare and remember work: it has a model that reads texts."),
    "fields": list_of(FIELD, f"Of the metadata; of the first {MOST_DESCRIBED} collections only."),
}


async def described(library: Library, info: CollectionInfo, *, fields: bool) -> dict[str, Any]:
    """A collection and, where they are wanted, its fields."""
    found: dict[str, FieldFacts] = {}
    if fields and info.ready:
        with suppress(softkv.NotFound, softkv.Unavailable):  # it was dropped a moment ago, or is damaged
            found = await library.collection(info.name).fields(values=True, limit=EXAMPLES)
    return {
        "name": info.name,
        "documents": info.documents,
        "takes_texts": info.encoder is not None,
        "fields": [_field(name, facts) for name, facts in list(found.items())[:MOST_FIELDS]],
    }


def _field(name: str, facts: FieldFacts) -> dict[str, Any]:
    examples = [_short(each.value) for each in facts.values or ()]
    return {"field": name, "types": facts.types, "documents": facts.count, "examples": examples}


def _short(value: Any) -> Any:
    written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{written[:EXAMPLE_CHARACTERS]}…" if len(written) > EXAMPLE_CHARACTERS else value


async def list_collections(library: Library) -> dict[str, Any]:
    """Every collection that the caller may see."""
    infos = await library.collections()
    return {
        "collections": [
            await described(library, info, fields=place < MOST_DESCRIBED) for place, info in enumerate(infos)
        ]
    }


LIST_COLLECTIONS = Tool(
    name="list_collections",
    title="List collections",
    description=(
        "List the collections that there are: name, number of documents, and the fields of their metadata with types "
        "and examples. Call it first when you do not know a collection's name, and before you write conditions for "
        "where."
    ),
    input=fixed_object({}),
    output=fixed_object({"collections": list_of(fixed_object(DESCRIBED))}),
    run=list_collections,
)
