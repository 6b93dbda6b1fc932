"""Where one answer leads: the links of the API's description."""

from __future__ import annotations

from typing import Any

Link = dict[str, Any]

CREATED = {"name": "$response.body#/name"}
HERE = {"name": "$request.path.name"}
THIS = HERE | {"id": "$request.path.id"}
OF_A_COLLECTION = (
    "get_collection",
    "patch_collection",
    "delete_collection",
    "put_document",
    "post_documents",
    "query_documents",
)


def _to(operation: str, parameters: dict[str, str], body: dict[str, Any] | None = None) -> Link:
    link: Link = {"operationId": operation, "parameters": parameters}
    return link if body is None else link | {"requestBody": body}


def _asking(query: str, parameters: dict[str, str]) -> dict[str, Link]:
    """Ask for what a document holds: it is its own best match."""
    return {
        "attend": _to("attend", parameters, {"query": query}),
        "sweep": _to("sweep", parameters, {"query": query, "temperatures": [0, 0.05, 1]}),
    }


# operation → name of the link → link; they lead on from every answer that is no refusal
LINKS: dict[str, dict[str, Link]] = {
    "put_collection": {operation: _to(operation, CREATED) for operation in OF_A_COLLECTION},
    "list_collections": {"get_collection": _to("get_collection", {"name": "$response.body#/collections/0/name"})},
    "get_collection": {"query_documents": _to("query_documents", CREATED)},
    "put_document": {
        "get_document": _to("get_document", THIS),
        "patch_document": _to("patch_document", THIS),
        "delete_document": _to("delete_document", THIS),
        "compare": _to("compare", HERE, {"query": "$request.body#/key"}),
        **_asking("$request.body#/key_vector", HERE),
    },
    "post_documents": {
        "get_document": _to("get_document", HERE | {"id": "$request.body#/documents/0/id"}),
        "delete_documents": _to("delete_documents", HERE, {"ids": ["$request.body#/documents/0/id"]}),
        "compare": _to("compare", HERE, {"query": "$request.body#/documents/0/key"}),
        **_asking("$request.body#/documents/0/key_vector", HERE),
    },
    "query_documents": {
        "next_page": _to("query_documents", HERE, {"cursor": "$response.body#/next_cursor"}),
        "get_document": _to("get_document", HERE | {"id": "$response.body#/documents/0/id"}),
    },
    "attend": {"get_document": _to("get_document", HERE | {"id": "$response.body#/matches/0/id"})},
    "sweep": {"attend": _to("attend", HERE, {"query": "$request.body#/query"})},
}
