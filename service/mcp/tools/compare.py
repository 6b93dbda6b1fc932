"""`compare`: the same question asked as SQL, as full text, as nearest neighbours, and by attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.mcp.library import Library
from service.mcp.schema import COLLECTION, TEXT, fixed_object, integer, list_of, number, text
from service.mcp.shown import LIST_CHARACTERS
from service.mcp.tool import Tool
from service.mcp.tools.ask import ANSWER, QUESTION, told

FOUND = fixed_object({"id": text(), "text": TEXT})
NEAR = fixed_object({"id": text(), "similarity": number(), "text": TEXT})


async def compare(library: Library, collection: str, question: str, top_k: int) -> dict[str, Any]:
    """Ask in four ways."""
    found = await library.collection(collection).compare(question, top_k=top_k)
    return {
        "equal": [_row(each) for each in found.sql.rows],
        "full_text": [_row(each) for each in found.full_text.rows],
        "nearest": [
            {"id": each.id, "similarity": each.similarity, "text": _cut(each.key)} for each in found.top_k.matches
        ],
        "attention": told(found.attention),
    }


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": row["id"], "text": _cut(row["key"])}


def _cut(given: str | None) -> str:
    found = given or ""
    return f"{found[:LIST_CHARACTERS]}…" if len(found) > LIST_CHARACTERS else found


COMPARE = Tool(
    name="compare",
    title="Compare four ways to search",
    description=(
        "Ask one question in four ways, all of the same documents: SQL's =, full text, nearest by similarity (always "
        "some, whether or not anything fits), and attention, as ask. Use it to explain how these differ, or when the "
        "user wants to know why something was or was not found; to answer a question use ask."
    ),
    input=fixed_object(
        {
            "collection": COLLECTION,
            "question": QUESTION,
            "top_k": integer("How many documents each way may name.", default=3, minimum=1, maximum=10),
        }
    ),
    output=fixed_object(
        {
            "equal": list_of(FOUND, "Documents whose text is the question, word for word."),
            "full_text": list_of(FOUND, "Documents with words of the question."),
            "nearest": list_of(NEAR, "The most similar documents, without a threshold."),
            "attention": fixed_object(ANSWER),
        }
    ),
    run=compare,
    pointers={"/query:": "/question:"},
)
