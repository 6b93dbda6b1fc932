"""A retriever over a collection. It returns nothing if no node is about the query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.vector_stores import MetadataFilters
from llama_index.core.vector_stores.types import VectorStoreQueryMode

from llama_index.vector_stores.softkv.conversion import as_value_error, convert_filters
from llama_index.vector_stores.softkv.operations import select_matches, to_matched_node
from llama_index.vector_stores.softkv.store import SoftkvVectorStore
from softkv.calls.call import Plan
from softkv.integrations import Retrieval, RetrieverOptions


class SoftkvRetriever(BaseRetriever):
    """A retriever that weights every node that passes the filters and returns those with the largest weights.

    The score of a node is its weight. The weights of all nodes that pass, with that of "none of these", sum to one.

    Args:
        vector_store: the store whose collection is searched.
        embed_model: encodes queries; the collection's encoder if left out.
        filters: which nodes may be attended to.
        node_ids: only nodes with these ids; an empty list selects none.
        doc_ids: only nodes of these documents; an empty list selects none.
        mode: "mmr" for a diverse selection.
        mmr: the options of that selection: `mmr_threshold`, `mmr_prefetch_k` and `mmr_prefetch_factor`.
        options: `softkv.integrations.RetrieverOptions`: the arguments of `attend`, `accept`, `score` and `evidence`.

    Raises:
        ValueError: an argument has an invalid value.
    """

    def __init__(
        self,
        vector_store: SoftkvVectorStore,
        *,
        embed_model: BaseEmbedding | None = None,
        filters: MetadataFilters | None = None,
        node_ids: Sequence[str] | None = None,
        doc_ids: Sequence[str] | None = None,
        mode: VectorStoreQueryMode | str = VectorStoreQueryMode.DEFAULT,
        mmr: dict[str, Any] | None = None,
        callback_manager: CallbackManager | None = None,
        object_map: dict[str, Any] | None = None,
        objects: list[Any] | None = None,
        verbose: bool = False,
        **options: Unpack[RetrieverOptions],
    ) -> None:
        self._vector_store = vector_store
        self._embed_model = embed_model
        self._where = convert_filters(filters, node_ids=node_ids, doc_ids=doc_ids)
        self._mode, self._mmr = VectorStoreQueryMode(mode), mmr or {}
        with as_value_error():
            self._retrieval = Retrieval(options)
        super().__init__(callback_manager=callback_manager, object_map=object_map, objects=objects, verbose=verbose)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        vector = query_bundle.embedding
        if vector is None and self._embed_model is not None:
            vector = self._embed_model.get_agg_embedding_from_queries(query_bundle.embedding_strs)
        return self._vector_store._source.run(
            self._retrieve_nodes(query_bundle.query_str if vector is None else vector)
        )

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        vector = query_bundle.embedding
        if vector is None and self._embed_model is not None:
            vector = await self._embed_model.aget_agg_embedding_from_queries(query_bundle.embedding_strs)
        question = query_bundle.query_str if vector is None else vector
        return await self._vector_store._source.run_async(self._retrieve_nodes(question))

    def _retrieve_nodes(self, question: str | list[float]) -> Plan[list[NodeWithScore]]:
        retrieval = self._retrieval
        with as_value_error():
            answer, matches = yield from select_matches(
                self._vector_store._source, retrieval, question, self._where, self._mode, **self._mmr
            )
        return [
            NodeWithScore(node=to_matched_node(retrieval, answer, match), score=retrieval.score_of(match))
            for match in matches
        ]
