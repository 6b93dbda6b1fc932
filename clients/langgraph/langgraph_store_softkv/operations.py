"""Operations of the store as plans, run by its blocking and asynchronous methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
)

from langgraph_store_softkv import conversion
from langgraph_store_softkv.conversion import InvalidInput, NewItem, StoredItem
from langgraph_store_softkv.filters import ItemFilter
from softkv.answers.answer import Answer
from softkv.answers.documents import Document, Match, parse_document
from softkv.answers.info import CollectionInfo
from softkv.calls import arrays, collections, queries
from softkv.calls import documents as calls
from softkv.calls.call import Call, Page, Plan
from softkv.errors import Invalid, NotFound
from softkv.filters import METADATA, Combination, Comparison, Filter
from softkv.integrations import ACCEPTED_VERDICTS, CollectionSource, Retrieval, collect_pages, copy_error
from softkv.problems import COLLECTION_NOT_FOUND, Reply

_PAGE_SIZE = 1000
_MAX_CANDIDATES = 5000  # values that a filter compares with
_FIELDS: Any = ["key", "value", "metadata"]
_ORDERED_BY_SIMILARITY = {"top_k", "null", "temperature", "max_error", "min_confidence", "accept", "score", "evidence"}
"""The options with which the best text of an item decides its place."""


class StoreSource(CollectionSource):
    """The collection of a store, with what its searches need.

    Attributes:
        defaults: settings of a new collection that are not required of an existing one.
        index: the texts that are embedded; None for a store without searches by text.
        retrieval: how a search by text asks.
        encodes: whether the service encodes the texts.
        clock: returns the present time in UTC.
    """

    defaults: Mapping[str, Any] = {}
    index: conversion.ItemIndex | None = None
    retrieval: Retrieval = Retrieval()
    encodes: bool = True
    clock: Callable[[], datetime] = staticmethod(lambda: datetime.now(UTC))

    def describe(self, row: Document | Mapping[str, Any]) -> str:
        """Return what an error calls an item."""
        metadata = row.fields["metadata"] if isinstance(row, Document) else row["metadata"]
        namespace = conversion.split_namespace(metadata[conversion.NAMESPACE])
        return conversion.item_name(namespace, metadata[conversion.KEY])

    def _get_or_create(self) -> Plan[CollectionInfo]:
        try:
            info = yield from collections.info(self.place)
        except NotFound as error:
            if error.code != COLLECTION_NOT_FOUND:
                raise
            return (yield from collections.create(self.place, **{**self.defaults, **self.settings}, exist_ok=True))
        if self.settings:
            info = yield from collections.create(self.place, **self.settings, exist_ok=True)
        return info


class Batch(NamedTuple):
    """The operations of a batch. Reads see the state before its writes, and of writes to one item the last counts.

    Attributes:
        ops: the operations in their order.
        filters: the filter of each search, by its position.
        writes: the items to write, by id.
        deleted: the ids of the items to delete.
        queries: the texts to search by.
        texts: the texts of the items to write.
    """

    ops: list[Op]
    filters: dict[int, ItemFilter]
    writes: dict[str, NewItem]
    deleted: list[str]
    queries: list[str]
    texts: list[str]


class Vectors(NamedTuple):
    """The vectors that the store's own embedding made, by text."""

    queries: Mapping[str, Any]
    texts: Mapping[str, Any]


NO_VECTORS = Vectors({}, {})


def prepare(source: StoreSource, ops: Iterable[Op]) -> Batch:
    """Check the operations of a batch, and list the texts to encode.

    Raises:
        InvalidNamespaceError: a namespace is invalid.
        InvalidInput: a value, a time to live, a path of texts or a filter is invalid.
        ValueError: an operation is unknown.
    """
    batch = Batch(list(ops), {}, {}, [], [], [])
    changes: dict[str, NewItem | None] = {}
    for position, op in enumerate(batch.ops):
        if isinstance(op, PutOp):
            conversion.check_namespace(op.namespace)
            identity = conversion.document_id(op.namespace, op.key)
            changes[identity] = None if op.value is None else _new_item(source, op, op.value)
        elif isinstance(op, SearchOp):
            conversion.check_namespace(op.namespace_prefix)
            batch.filters[position] = ItemFilter.read(op.filter)
            if op.query and source.index is not None:
                batch.queries.append(op.query)
        elif isinstance(op, GetOp):
            conversion.check_namespace(op.namespace)
        elif isinstance(op, ListNamespacesOp):
            for condition in op.match_conditions or ():
                _check_condition(condition)
        else:
            raise ValueError(f"Unknown operation type: {type(op)}")
    batch.writes.update({identity: item for identity, item in changes.items() if item is not None})
    batch.deleted.extend(identity for identity, item in changes.items() if item is None)
    batch.texts.extend(dict.fromkeys(text for item in batch.writes.values() for text in item.texts))
    return batch


def _new_item(source: StoreSource, op: PutOp, value: Mapping[str, Any]) -> NewItem:
    if not op.namespace:
        raise InvalidNamespaceError("Expected a namespace with at least one label, got ().")
    if not isinstance(value, Mapping):
        raise InvalidInput.of(f"value: expected an object, as {{'text': …}}, got {type(value).__name__}.")
    name = conversion.item_name(op.namespace, op.key)
    if op.ttl is not None:
        conversion.check_ttl(source.clock(), op.ttl, name)
    stored = conversion.to_stored_value(value, name)
    texts = [] if source.index is None else source.index.texts(stored, op.index)
    return NewItem(tuple(op.namespace), op.key, stored, op.ttl, texts)


def _check_condition(condition: MatchCondition) -> None:
    conversion.check_namespace(condition.path)
    if condition.match_type not in ("prefix", "suffix"):
        raise ValueError(f"Unsupported match type: {condition.match_type}")


def run_batch(source: StoreSource, batch: Batch, vectors: Vectors) -> Plan[list[Result]]:
    """Run the reads of a batch, then its writes and deletions; return a result for each operation."""
    yield from source.info()
    results: list[Result] = [None] * len(batch.ops)
    refreshed: dict[str, float] = {}
    gets = {position: op for position, op in enumerate(batch.ops) if isinstance(op, GetOp)}
    stored = yield from _get_items(source, [conversion.document_id(op.namespace, op.key) for op in gets.values()])
    for (position, get), item in zip(gets.items(), stored, strict=True):
        if item is not None:
            results[position] = item.item()
            _note_ttl(refreshed, [item], get.refresh_ttl)
    for position, op in enumerate(batch.ops):
        if isinstance(op, SearchOp):
            items, results[position] = yield from _search(source, op, batch.filters[position], vectors)
            _note_ttl(refreshed, items, op.refresh_ttl)
        elif isinstance(op, ListNamespacesOp):
            results[position] = yield from _list_namespaces(source, op)
    changed = {*batch.writes, *batch.deleted}
    yield from _refresh(source, {identity: ttl for identity, ttl in refreshed.items() if identity not in changed})
    yield from _write(source, batch, vectors)
    for begin in range(0, len(batch.deleted), _PAGE_SIZE):
        yield from calls.delete(source.place, batch.deleted[begin : begin + _PAGE_SIZE])
    return results


def _get_items(source: StoreSource, ids: Sequence[str]) -> Plan[list[StoredItem | None]]:
    documents = (yield from calls.get_many(source.place, ids, include=_FIELDS)) if ids else []
    return [None if document is None else StoredItem.read(document) for document in documents]


def _note_ttl(refreshed: dict[str, float], items: Iterable[StoredItem], refresh: bool) -> None:
    """Note the times to live that a read renews."""
    if refresh:
        refreshed.update({item.id: item.ttl for item in items if item.ttl is not None})


def _refresh(source: StoreSource, ttls: Mapping[str, float]) -> Plan[None]:
    """Renew the time to live of items, with one call for each length."""
    now = source.clock()
    for ttl in sorted(set(ttls.values())):
        ids = [identity for identity, minutes in ttls.items() if minutes == ttl]
        for begin in range(0, len(ids), _PAGE_SIZE):
            yield from calls.update(source.place, ids[begin : begin + _PAGE_SIZE], expires=conversion.expiry(now, ttl))


def _write(source: StoreSource, batch: Batch, vectors: Vectors) -> Plan[None]:
    """Write the items of a batch. An item that exists keeps the time of its first write."""
    if not batch.writes:
        return
    encoded = vectors.texts
    several = [text for item in batch.writes.values() if len(item.texts) > 1 for text in item.texts]
    info = yield from source.info()
    if source.encodes and batch.texts and info.encoder is None:
        raise InvalidInput.of(
            f"The collection {info.name!r} has no encoder, so that no search would find these texts. Give the store an "
            "embedding, as index={'embed': …, 'dims': …}, or index=False for a store without searches by text."
        )
    if source.encodes and several:
        texts = list(dict.fromkeys(several))
        rows = yield from arrays.encode(source.place.cache, texts, model=info.encoder, purpose="document")
        encoded = dict(zip(texts, rows, strict=True))
    existing = yield from calls.get_many(source.place, list(batch.writes), include=["metadata"])
    now = source.clock()
    documents = []
    for index, (item, document) in enumerate(zip(batch.writes.values(), existing, strict=True)):
        # A microsecond apart, so that items of one batch keep their order.
        written = now + timedelta(microseconds=index)
        created = (
            conversion.to_text(written)
            if document is None
            else document.metadata.get(conversion.CREATED, conversion.to_text(written))
        )
        of_texts = [encoded[text] for text in item.texts] if len(item.texts) > 1 or not source.encodes else None
        documents.append(item.document(created, written, of_texts))
    try:
        yield from source.write(documents)
    except Invalid as error:
        raise copy_error(error, InvalidInput) from error


def _search(
    source: StoreSource, op: SearchOp, condition: ItemFilter, vectors: Vectors
) -> Plan[tuple[list[StoredItem], list[SearchItem]]]:
    """Return the stored items that a search finds, and the same as its result."""
    if not op.query or source.index is None:
        items = (yield from _list(source, op, condition))[op.offset : op.offset + op.limit]
        return items, [item.search_item() for item in items]
    if min(op.offset, op.limit) < 0:
        raise ValueError(f"Expected a limit and an offset from 0 on, got {op.limit} and {op.offset}.")
    if op.limit == 0:
        return [], []
    where = _join(conversion.within(op.namespace_prefix), condition.where)
    if not condition.exact:
        where = _one_of((yield from _list(source, op, condition)))
    retrieval = source.retrieval.adjust({"top_k": op.offset + op.limit})
    query = vectors.queries.get(op.query, op.query)
    answer = yield from retrieval.ask(source, query, where)
    if answer.documents and answer.verdict not in ACCEPTED_VERDICTS[retrieval.accept]:
        return [], []
    matches = yield from _by_similarity(source, answer, query, where, retrieval.options)
    page = matches[op.offset :]
    items = [StoredItem.read(match) for match in page]
    result: list[SearchItem] = [
        item.search_item(retrieval.score_of(match), match.weight, match.similarity, match.confidence)
        for item, match in zip(items, page, strict=True)
    ]
    if len(result) < op.limit and (answer.evidence.null_similarity is None or retrieval.accept == "any"):
        unindexed = Comparison(METADATA + conversion.INDEXED, "==", False)
        unscored = (yield from _list(source, op, condition, unindexed))[: op.limit - len(result)]
        items += unscored
        result += [item.search_item() for item in unscored]
    return items, result


def _by_similarity(
    source: StoreSource, answer: Answer, query: Any, where: Filter | None, options: Mapping[str, Any]
) -> Plan[list[Match]]:
    """Return the matches in the order of their best text, as LangGraph's stores do.

    An answer is in the order of weights, and an item with several texts has the weight of all of them. With options
    that change which items have how much weight, and with late interaction, that order stays.
    """
    is_ordered = options.keys() <= _ORDERED_BY_SIMILARITY and answer.certificate.reranked is None
    if answer.keys == answer.documents or not is_ordered:
        return answer.matches
    swept = yield from queries.sweep(
        source.place,
        query,
        [answer.temperature],
        top_k=options["top_k"],
        null=options.get("null"),
        where=where,
        include=_FIELDS,
    )
    confidences = {match.id: match.confidence for match in answer.matches}
    return [
        match.copy_with(weight=float(weight), confidence=confidences.get(match.id))
        for match, weight in zip(swept.matches, swept.weights[0], strict=True)
    ]


def _list(
    source: StoreSource, op: SearchOp, condition: ItemFilter, further: Filter | None = None
) -> Plan[list[StoredItem]]:
    """Return all items of a namespace that pass a filter, in LangGraph's order."""
    where = _join(conversion.within(op.namespace_prefix), condition.where, further)
    paging = calls.find(source.place, where=where, include=_FIELDS, page=_PAGE_SIZE)
    documents = yield from collect_pages(paging.copy_with(ask=lambda *page: _without_warnings(paging.ask(*page))))
    items = conversion.in_order(map(StoredItem.read, documents))
    return items if condition.exact else [item for item in items if condition.passes(item.value)]


def _without_warnings(call: Call[Page[Document]]) -> Call[Page[Document]]:
    """Return the call without warnings of fields that no item has, which are usual in a young memory."""

    def parse(reply: Reply) -> Page[Document]:
        content = reply.json()
        return Page([parse_document(item) for item in content["documents"]], content["next_cursor"])

    return call.copy_with(parse=parse)


def _one_of(items: Sequence[StoredItem]) -> Filter:
    """Return the filter for these items.

    Raises:
        ValueError: there are too many of them.
    """
    if len(items) > _MAX_CANDIDATES:
        raise ValueError(
            f"The filter compares objects, or lists of them, and {len(items):,} items pass it: together with a query "
            f"at most {_MAX_CANDIDATES:,} may. Narrow the namespace or the filter."
        )
    return Comparison("id", "in", [item.id for item in items])


def _join(*filters: Filter | None) -> Filter | None:
    present = tuple(condition for condition in filters if condition is not None)
    return present[0] if len(present) == 1 else Combination("AND", present) if present else None


def _list_namespaces(source: StoreSource, op: ListNamespacesOp) -> Plan[list[tuple[str, ...]]]:
    conditions = op.match_conditions or ()
    values = yield from collect_pages(
        collections.values(source.place, METADATA + conversion.NAMESPACE, where=_narrow(conditions))
    )
    texts = [value.value for value in values if isinstance(value.value, str)]
    namespaces = {
        labels
        for labels in map(conversion.split_namespace, texts)
        if all(_matches(condition, labels) for condition in conditions)
    }
    return sorted({labels[: op.max_depth] for labels in namespaces})[op.offset : op.offset + op.limit]


def _narrow(conditions: Iterable[MatchCondition]) -> Filter | None:
    """Return a filter for namespaces that begin as a prefix does, up to its first wildcard."""
    prefixes = [
        tuple(condition.path[: condition.path.index("*")] if "*" in condition.path else condition.path)
        for condition in conditions
        if condition.match_type == "prefix"
    ]
    return _join(*map(conversion.within, prefixes))


def _matches(condition: MatchCondition, labels: tuple[str, ...]) -> bool:
    """Return whether a namespace begins or ends with a pattern, in which "*" stands for any label."""
    length = len(condition.path)
    if len(labels) < length:
        return False
    part = labels[:length] if condition.match_type == "prefix" else labels[len(labels) - length :]
    return all(pattern in ("*", label) for label, pattern in zip(part, condition.path, strict=True))
