"""What a vector store does, as plans, which the store's methods wait for or await."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores import MetadataFilters, VectorStoreQuery, VectorStoreQueryResult
from llama_index.core.vector_stores.types import VectorStoreQueryMode

from softkv.answers.answer import Answer
from softkv.answers.documents import Match
from softkv.calls import arrays
from softkv.calls import documents as calls
from softkv.calls.call import Plan
from softkv.filters import Combination, Comparison, Where
from softkv.integrations.connection import CollectionSource, collect_pages
from softkv.integrations.retrieval import RetrievalOptions, key_vector_list, matched_key, select_by_mmr
from softkv.llamaindex import conversion as stored
from softkv.llamaindex.conversion import REF_DOC_ID, as_value_error, convert_filters

_MATCH_ALL = Combination("AND", ())
_BATCH_ROWS = 1000
_MMR_FACTOR, _MMR_RELEVANCE = 4, 0.5


def add(source: CollectionSource, /, nodes: Sequence[BaseNode], **kwargs: Any) -> Plan[list[str]]:
    """Write nodes, in place of what has their ids, a thousand at a time, of which all are written or none → their ids.

    A node without an embedding is encoded by the service, where the collection has an encoder.

    Raises:
        ValueError: a node is refused, or there is nothing by which it could be found.
    """
    with as_value_error():
        info = yield from source.info()
        rows = [stored.to_row(each, info.encoder is not None) for each in nodes]
        yield from source.write({each.id: each for each in rows}.values())
    return [each.node_id for each in nodes]


def delete(source: CollectionSource, /, ref_doc_id: str, **delete_kwargs: Any) -> Plan[None]:
    """Delete the nodes that were made of this document."""
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
    """Delete the nodes of these ids, those that pass, or of these ids those that pass; unknown ids are silent.

    Raises:
        ValueError: there are neither ids nor filters.
    """
    where = convert_filters(filters)
    if node_ids is None and where is None:
        raise ValueError("wanted node_ids, filters or both, got neither: clear() deletes all")
    with as_value_error():
        yield from source.info()
        if node_ids is None:
            yield from calls.delete(source.place, where=where)
        for begin in range(0, len(node_ids or ()), _BATCH_ROWS):
            part = (node_ids or [])[begin : begin + _BATCH_ROWS]
            if where is None:
                yield from calls.delete(source.place, part)
            else:
                yield from calls.delete(source.place, where=convert_filters(filters, node_ids=part))


def get_nodes(
    source: CollectionSource, /, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
) -> Plan[list[BaseNode]]:
    """The nodes of these ids, in this order, or all; of them those that pass.

    They have embeddings where the collection has no encoder, and so they came with them.
    """
    where = convert_filters(filters)
    with as_value_error():
        info = yield from source.info()
        include: Any = ["key", "value", "metadata", *(["key_vector"] if info.encoder is None else [])]
        found = []
        if node_ids is None:
            found = yield from collect_pages(calls.find(source.place, where=where, include=include, page=_BATCH_ROWS))
        for begin in range(0, len(node_ids or ()), _BATCH_ROWS):
            part = list(dict.fromkeys((node_ids or [])[begin : begin + _BATCH_ROWS]))
            page = calls.find(source.place, where=where, ids=part, include=include, page=_BATCH_ROWS)
            by_id = {each.id: each for each in (yield from collect_pages(page))}
            found += [by_id[each] for each in part if each in by_id]
    return [
        stored.to_node(each, each.metadata, None if each.key_vector is None else each.key_vector.tolist())
        for each in found
    ]


def clear(source: CollectionSource, /) -> Plan[None]:
    """Delete all nodes."""
    with as_value_error():
        yield from source.info()
        yield from calls.delete(source.place, where=_MATCH_ALL)


def query(source: CollectionSource, /, query: VectorStoreQuery, **kwargs: Any) -> Plan[VectorStoreQueryResult]:
    """The nodes that weigh most, or a varied choice of these with the mode MMR; `similarities` are their weights.

    Args:
        query: with an embedding, or a text that the collection's encoder makes a vector of.
        kwargs: of `SoftkvRetriever`, from `temperature` to `score`, where `accept` is "any" if left out; and
            `mmr_threshold`, `mmr_prefetch_k`, `mmr_prefetch_factor`.

    Raises:
        ValueError: it is refused, or asks in a way that softkv has not.
    """
    where = convert_filters(query.filters, node_ids=query.node_ids, doc_ids=query.doc_ids)
    asked = query.query_embedding if query.query_embedding is not None else query.query_str
    if asked is None:
        raise ValueError("wanted a query_embedding, or a query_str; got neither")
    mmr = {
        name: kwargs.pop(name) for name in ("mmr_threshold", "mmr_prefetch_k", "mmr_prefetch_factor") if name in kwargs
    }
    if query.mmr_threshold is not None:
        mmr.setdefault("mmr_threshold", query.mmr_threshold)
    with as_value_error():
        asking = RetrievalOptions(accept="any", top_k=query.similarity_top_k).adjusted(kwargs)
        answer, found = yield from select_matches(source, asking, asked, where, query.mode, **mmr)
    return VectorStoreQueryResult(
        nodes=[to_matched_node(asking, answer, each) for each in found],
        similarities=[asking.score_of(each) for each in found],
        ids=[each.id for each in found],
    )


def select_matches(
    source: CollectionSource,
    asking: RetrievalOptions,
    asked: str | list[float],
    where: Where | None,
    mode: VectorStoreQueryMode = VectorStoreQueryMode.DEFAULT,
    *,
    mmr_threshold: float | None = None,
    mmr_prefetch_k: int | None = None,
    mmr_prefetch_factor: float | None = None,
) -> Plan[tuple[Answer, list[Match]]]:
    """The answer to a question, and which of its matches are handed on.

    Args:
        mmr_threshold: with the mode MMR: 1 for the most similar, 0 for those least like others; 0.5 if left out.
        mmr_prefetch_k: from how many it chooses; left out, `mmr_prefetch_factor` times as many as are wanted, 4 times
            if that is left out, too.

    Raises:
        ValueError: there is no such mode.
    """
    if mode is VectorStoreQueryMode.DEFAULT:
        answer = yield from asking.ask(source, asked, where)
        return answer, asking.matches(answer)
    if mode is not VectorStoreQueryMode.MMR:
        raise ValueError(f"there is no asking in the mode {mode!r}: wanted default or mmr")
    wanted = 10 if asking.top_k is None else asking.top_k
    factor = _MMR_FACTOR if mmr_prefetch_factor is None else mmr_prefetch_factor
    many = max(wanted, round(wanted * factor) if mmr_prefetch_k is None else mmr_prefetch_k)
    answer = yield from asking.replaced(top_k=many).ask(source, asked, where, also=["key_vector"])
    if not (found := asking.matches(answer)):
        return answer, []
    relevance = _MMR_RELEVANCE if mmr_threshold is None else mmr_threshold
    vector = yield from _query_vector(source, asked)
    return answer, [found[at] for at in select_by_mmr(vector, list(map(matched_key, found)), wanted, relevance)]


def _query_vector(source: CollectionSource, asked: str | list[float]) -> Plan[list[float]]:
    """What is asked, as the collection's encoder sees it."""
    if not isinstance(asked, str):
        return asked
    info = yield from source.info()
    encoded = yield from arrays.encode(source.place.known, [asked], model=info.encoder, purpose="query")
    vector: list[float] = encoded[0].tolist()
    return vector


def to_matched_node(asking: RetrievalOptions, answer: Answer, match: Match) -> BaseNode:
    """A node that an answer names; with its embedding where that was asked for."""
    vector = key_vector_list(match) if "key_vector" in (asking.include or ()) else None
    return stored.to_node(match, asking.metadata(answer, match), vector)
