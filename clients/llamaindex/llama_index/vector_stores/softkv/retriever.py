"""A retriever over a collection. It returns nothing if no node is about the query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

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
from softkv.calls.collections import Null
from softkv.calls.options import Bias, IgnoredDefaults
from softkv.calls.queries import Normaliser
from softkv.integrations.retrieval import Accept, Extra, RetrievalOptions, Score


class SoftkvRetriever(BaseRetriever):
    """A retriever that weights every node that passes the filters and returns those with the largest weights.

    The score of a node is its weight. The weights of all nodes that pass, with that of "none of these", sum to one.

    Args:
        vector_store: the store whose collection is searched.
        embed_model: encodes queries; the collection's encoder if left out.
        filters: which nodes may be attended to.
        node_ids: only nodes with these ids.
        doc_ids: only nodes of these documents.
        temperature: 0, or from 1e-30 on; `"auto"` chooses the one at which the answer rests on `effective_documents`.
        effective_documents: for `"auto"`; 8 if left out.
        top_k: how many nodes to return; 10 if left out.
        top_p: return the fewest nodes that hold this share of the nodes' weight.
        normaliser: the function that turns logits into weights.
        null: the similarity of "none of these"; `False` for none, or "auto", "lenient" or "strict".
        max_error: the largest error that the certificate may state.
        full_text: the factor of the full-text rank, such as 0.1; "auto" for the calibrated one.
        bias: further terms of the logits, such as recency, priors or soft filters.
        min_confidence: the confidence that the first node needs for the verdict "one". Needs a calibrated collection.
        conformal: the probability with which the returned set must contain the right node. Needs a calibrated
            collection.
        ignore_defaults: True to ask without the collection's defaults, or the names of those to leave out.
        include: "key_vector" for embeddings, "explanation" for the steps from similarity to weight, "value_vector".
        accept: "several" returns nodes unless the verdict is "none", "one" only if one stands out, "any" always.
        score: "weight", or "similarity".
        evidence: whether the metadata has the weight and the answer's evidence under `softkv`.
        mode: "mmr" for a diverse selection.
        mmr: the options of that selection: `mmr_threshold`, `mmr_prefetch_k` and `mmr_prefetch_factor`.

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
        temperature: float | Literal["auto"] | None = None,
        effective_documents: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        normaliser: Normaliser | None = None,
        null: Null | None = None,
        max_error: float | None = None,
        full_text: float | Literal["auto"] | None = None,
        bias: Bias | None = None,
        min_confidence: float | None = None,
        conformal: float | None = None,
        ignore_defaults: IgnoredDefaults | None = None,
        include: Sequence[Extra] | None = None,
        accept: Accept = "several",
        score: Score = "weight",
        evidence: bool = False,
        mode: VectorStoreQueryMode | str = VectorStoreQueryMode.DEFAULT,
        mmr: dict[str, Any] | None = None,
        callback_manager: CallbackManager | None = None,
        object_map: dict[str, Any] | None = None,
        objects: list[Any] | None = None,
        verbose: bool = False,
    ) -> None:
        self._vector_store = vector_store
        self._embed_model = embed_model
        self._where = convert_filters(filters, node_ids=node_ids, doc_ids=doc_ids)
        self._mode, self._mmr = VectorStoreQueryMode(mode), mmr or {}
        with as_value_error():
            self._asking = RetrievalOptions(
                temperature=temperature,
                effective_documents=effective_documents,
                top_k=top_k,
                top_p=top_p,
                normaliser=normaliser,
                null=null,
                max_error=max_error,
                full_text=full_text,
                bias=bias,
                min_confidence=min_confidence,
                conformal=conformal,
                ignore_defaults=ignore_defaults,
                include=include,
                accept=accept,
                score=score,
                evidence=evidence,
            )
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
        options = self._asking
        with as_value_error():
            answer, matches = yield from select_matches(
                self._vector_store._source, options, question, self._where, self._mode, **self._mmr
            )
        return [
            NodeWithScore(node=to_matched_node(options, answer, match), score=options.score_of(match))
            for match in matches
        ]
