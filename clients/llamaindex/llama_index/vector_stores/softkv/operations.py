"""Operations of the vector store as plans, run by its blocking and asynchronous methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores import MetadataFilters, VectorStoreQuery, VectorStoreQueryResult
from llama_index.core.vector_stores.types import VectorStoreQueryMode

from llama_index.vector_stores.softkv import conversion
from llama_index.vector_stores.softkv.conversion import REF_DOC_ID, as_value_error, convert_filters
from softkv.answers.answer import Answer
from softkv.answers.documents import Document, Match
from softkv.calls import arrays
from softkv.calls import documents as calls
from softkv.calls.call import Plan
from softkv.filters import Comparison, Where
from softkv.integrations import CollectionSource, Retrieval, collect_pages, key_vector_list, select_by_mmr, select_key

_EVERY_DOCUMENT = Comparison("id", "!=", "")
_BATCH_ROWS = 1000
_MMR_FACTOR, _MMR_RELEVANCE = 4, 0.5


class NodeSource(CollectionSource):
    """The collection of a vector store, whose documents are nodes."""

    def describe(self, row: Document | Mapping[str, Any]) -> str:
        """Return what an error calls a node."""
        return super().describe(row).replace("document", "node", 1)


def add(source: CollectionSource, /, nodes: Sequence[BaseNode], **kwargs: Any) -> Plan[list[str]]:
    """Write nodes, replacing those with the same ids; return the ids.

    Nodes are written in transactions of 1,000. The service encodes nodes without an embedding if the collection has an
    encoder.

    Args:
        nodes: the nodes to write.

    Raises:
        ValueError: a node is refused, or has neither an embedding nor a text that can be encoded.
    """
    with as_value_error():
        info = yield from source.info()
        rows = [conversion.to_row(row, info.encoder is not None) for row in nodes]
        yield from source.write({row.id: row for row in rows}.values())
    return [row.node_id for row in nodes]


def delete(source: CollectionSource, /, ref_doc_id: str, **delete_kwargs: Any) -> Plan[None]:
    """Delete all nodes that belong to a source document.

    Raises:
        ValueError: the id is not a text.
    """
    if not isinstance(ref_doc_id, str):
        raise ValueError(f"Expected the id of a source document, got {ref_doc_id!r}. delete_nodes deletes by node.")
    with as_value_error():
        yield from source.info()
        yield from calls.delete(source.place, where=Comparison(REF_DOC_ID, "==", ref_doc_id))


def delete_nodes(
    source: CollectionSource,
    /,
    node_ids: list[str] | None = None,
    filters: MetadataFilters | None = None,
    **delete_kwargs: Any,
) -> Plan[None]:
    """Delete the nodes with these ids, those that pass the filters, or those that do both. Unknown ids are ignored.

    Raises:
        ValueError: neither ids nor filters were given.
    """
    where = convert_filters(filters)
    if node_ids is None and where is None:
        raise ValueError("wanted node_ids, filters or both, got neither: clear() deletes all")
    with as_value_error():
        yield from source.info()
        if node_ids is None:
            yield from calls.delete(source.place, where=where)
        for begin in range(0, len(node_ids or ()), _BATCH_ROWS):
            batch = (node_ids or [])[begin : begin + _BATCH_ROWS]
            if where is None:
                yield from calls.delete(source.place, batch)
            else:
                yield from calls.delete(source.place, where=convert_filters(filters, node_ids=batch))


def get_nodes(
    source: CollectionSource, /, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
) -> Plan[list[BaseNode]]:
    """Return the nodes of a collection that pass the filters.

    Nodes have embeddings only if the collection has no encoder, because then the embeddings were sent with the nodes.

    Args:
        source: the collection.
        node_ids: return only the nodes with these ids, in this order; None for all nodes.
        filters: None for no filter.
    """
    where = convert_filters(filters)
    with as_value_error():
        info = yield from source.info()
        include: Any = ["key", "value", "metadata", *(["key_vector"] if info.encoder is None else [])]
        documents = []
        if node_ids is None:
            documents = yield from collect_pages(
                calls.find(source.place, where=where, include=include, page=_BATCH_ROWS)
            )
        for begin in range(0, len(node_ids or ()), _BATCH_ROWS):
            batch = list(dict.fromkeys((node_ids or [])[begin : begin + _BATCH_ROWS]))
            page = calls.find(source.place, where=where, ids=batch, include=include, page=_BATCH_ROWS)
            by_id = {document.id: document for document in (yield from collect_pages(page))}
            documents += [by_id[document] for document in batch if document in by_id]
    return [
        conversion.to_node(
            document, document.metadata, None if document.key_vector is None else document.key_vector.tolist()
        )
        for document in documents
    ]


def clear(source: CollectionSource, /) -> Plan[None]:
    """Delete all nodes of the collection."""
    with as_value_error():
        yield from source.info()
        yield from calls.delete(source.place, where=_EVERY_DOCUMENT)


def query(source: CollectionSource, /, query: VectorStoreQuery, **kwargs: Any) -> Plan[VectorStoreQueryResult]:
    """Return the nodes with the largest weights, or with the mode MMR a diverse selection; `similarities` are weights.

    Args:
        query: with an embedding, or a text for the collection's encoder. An empty list of `doc_ids` selects no node;
            one of `node_ids` selects all, because a `VectorStoreIndex` sends it for all of them.
        kwargs: `softkv.integrations.RetrieverOptions`, where `accept` defaults to "any"; and
            `mmr_threshold`, `mmr_prefetch_k`, `mmr_prefetch_factor`.

    Raises:
        ValueError: the query is refused, or its mode is not supported.
    """
    # A VectorStoreIndex over a store that keeps the texts sends an empty list of node ids for all nodes.
    where = convert_filters(query.filters, node_ids=query.node_ids or None, doc_ids=query.doc_ids)
    question = query.query_embedding if query.query_embedding is not None else query.query_str
    if question is None:
        raise ValueError("wanted a query_embedding, or a query_str; got neither")
    mmr = {
        name: kwargs.pop(name) for name in ("mmr_threshold", "mmr_prefetch_k", "mmr_prefetch_factor") if name in kwargs
    }
    if query.mmr_threshold is not None:
        mmr.setdefault("mmr_threshold", query.mmr_threshold)
    with as_value_error():
        retrieval = Retrieval({"accept": "any", "top_k": query.similarity_top_k}).adjust(kwargs)
        answer, matches = yield from select_matches(source, retrieval, question, where, query.mode, **mmr)
    return VectorStoreQueryResult(
        nodes=[to_matched_node(retrieval, answer, match) for match in matches],
        similarities=[retrieval.score_of(match) for match in matches],
        ids=[match.id for match in matches],
    )


def select_matches(
    source: CollectionSource,
    retrieval: Retrieval,
    question: str | list[float],
    where: Where | None,
    mode: VectorStoreQueryMode = VectorStoreQueryMode.DEFAULT,
    *,
    mmr_threshold: float | None = None,
    mmr_prefetch_k: int | None = None,
    mmr_prefetch_factor: float | None = None,
) -> Plan[tuple[Answer, list[Match]]]:
    """Return the answer to a query, and the selected matches.

    Args:
        mmr_threshold: for the mode MMR: 1 selects by similarity, 0 by diversity; 0.5 if left out.
        mmr_prefetch_k: the number of candidates; `mmr_prefetch_factor` times `top_k` if left out.
        mmr_prefetch_factor: 4 if left out.

    Raises:
        ValueError: the mode is not supported.
    """
    if mode is VectorStoreQueryMode.DEFAULT:
        answer = yield from retrieval.ask(source, question, where)
        return answer, retrieval.matches(answer)
    if mode is not VectorStoreQueryMode.MMR:
        raise ValueError(f"expected the mode default or mmr, got {mode!r}")
    top_k = retrieval.options.get("top_k", 10)
    factor = _MMR_FACTOR if mmr_prefetch_factor is None else mmr_prefetch_factor
    prefetch_k = max(top_k, round(top_k * factor) if mmr_prefetch_k is None else mmr_prefetch_k)
    answer = yield from retrieval.adjust({"top_k": prefetch_k}).ask(source, question, where, required=["key_vector"])
    if not (matches := retrieval.matches(answer)):
        return answer, []
    relevance = _MMR_RELEVANCE if mmr_threshold is None else mmr_threshold
    vector = yield from _query_vector(source, question)
    return answer, [matches[index] for index in select_by_mmr(vector, list(map(select_key, matches)), top_k, relevance)]


def _query_vector(source: CollectionSource, question: str | list[float]) -> Plan[list[float]]:
    """Return the vector of a query, encoded by the collection's encoder if it is a text."""
    if not isinstance(question, str):
        return question
    info = yield from source.info()
    encoded = yield from arrays.encode(source.place.cache, [question], model=info.encoder, purpose="query")
    vector: list[float] = encoded[0].tolist()
    return vector


def to_matched_node(retrieval: Retrieval, answer: Answer, match: Match) -> BaseNode:
    """Convert a match to a node, with its embedding if it was requested."""
    vector = key_vector_list(match) if "key_vector" in retrieval.include else None
    return conversion.to_node(match, retrieval.metadata(answer, match), vector)
