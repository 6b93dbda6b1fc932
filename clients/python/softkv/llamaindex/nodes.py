"""LlamaIndex's nodes as softkv keeps them, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_index.core.constants import DATA_KEY, TYPE_KEY
from llama_index.core.schema import BaseNode, MetadataMode, TextNode
from llama_index.core.storage.docstore.utils import json_to_doc

from softkv import Document
from softkv.answers.match import Match
from softkv.integrations.asking import EVIDENCE
from softkv.integrations.content import text_of

_REF = "ref_doc_id"


def row(node: Any, encoded: bool) -> Document:
    """A node on its way to the service: its key is what LlamaIndex would embed, its value all but its metadata.

    Args:
        encoded: whether the service makes vectors of texts.

    Raises:
        ValueError: there is nothing by which it could be found.
    """
    if not isinstance(node, BaseNode):
        raise ValueError(f"wanted nodes, got {type(node).__name__}")
    text = node.get_content(metadata_mode=MetadataMode.EMBED)
    if node.embedding is None and not (encoded and text):
        raise ValueError(
            f"node {node.node_id!r} has no embedding, and "
            + ("no text that could be encoded" if encoded else "the collection has no encoder: embed it first")
        )
    data = node.model_dump(mode="json") | {"class_name": node.class_name(), "embedding": None}
    metadata = data.pop("metadata", None) or {}
    fields: dict[str, Any] = {"value": {TYPE_KEY: node.get_type(), DATA_KEY: data}, "metadata": metadata}
    if node.ref_doc_id is not None:
        fields["metadata"] = {**metadata, _REF: node.ref_doc_id}
    if text:
        fields["key"] = text
    if node.embedding is not None:
        fields["key_vector"] = node.embedding
    return Document(node.node_id, **fields)


def node(read: Document | Match, metadata: Mapping[str, Any], embedding: list[float] | None = None) -> BaseNode:
    """A node that was read; of a document that others wrote, one with its value as text, or its key."""
    value = read.value
    if isinstance(value, dict) and value.keys() == {TYPE_KEY, DATA_KEY}:
        found = json_to_doc({**value, DATA_KEY: {**value[DATA_KEY], "metadata": dict(metadata)}})
        if found.metadata.get(_REF) == found.ref_doc_id:
            found.metadata.pop(_REF, None)
    else:
        found = TextNode(id_=read.id, text=text_of(read), metadata=dict(metadata))
    if EVIDENCE in found.metadata:  # which is for programs, and nothing for a model to read
        found.excluded_embed_metadata_keys = [*found.excluded_embed_metadata_keys, EVIDENCE]
        found.excluded_llm_metadata_keys = [*found.excluded_llm_metadata_keys, EVIDENCE]
    found.embedding = embedding
    return found
