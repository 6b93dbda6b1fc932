"""Stores whose collections are gone after the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode

from llama_index.vector_stores.softkv import SoftkvVectorStore


@pytest.fixture
def made(name: Callable[[], str]) -> Callable[..., SoftkvVectorStore]:
    """Makes stores of new collections."""

    def make(**options: Any) -> SoftkvVectorStore:
        return SoftkvVectorStore(name(), **options)

    return make


def text_node(id_: str, text: str, vector: list[float] | None, of: str, **metadata: Any) -> TextNode:
    return TextNode(
        id_=id_,
        text=text,
        embedding=vector,
        metadata=metadata,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=of)},
    )


FILMS = (
    text_node(
        "shawshank",
        "The Shawshank Redemption",
        [1.0, 0.0, 0.0],
        "doc-0",
        author="Stephen King",
        theme="Friendship",
        year=1994,
        rating=9.3,
        tags=["prison", "hope"],
    ),
    text_node(
        "godfather",
        "The Godfather",
        [0.0, 1.0, 0.0],
        "doc-1",
        director="Francis Ford Coppola",
        theme="Mafia",
        year=1972,
        rating=9.2,
        tags=["family", "crime"],
    ),
    text_node(
        "inception",
        "Inception",
        [0.0, 0.0, 1.0],
        "doc-2",
        director="Christopher Nolan",
        theme="Dream",
        year=2010,
        rating=8.8,
        tags=[],
        loc={"shelf": 3},
    ),
    text_node("memento", "Memento", [0.0, 0.6, 0.8], "doc-2", director="Christopher Nolan", year=2000, theme=""),
)


@pytest.fixture
def films(made: Callable[..., SoftkvVectorStore]) -> SoftkvVectorStore:
    """Four nodes of three documents, with vectors of their own."""
    store = made(settings={"encoder": None, "similarity": "dot", "temperature": 1.0})
    store.add(list(FILMS))
    return store
