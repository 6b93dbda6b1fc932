"""A retriever that asks a collection, and hands nothing on where the collection knows nothing of the question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.vector_stores import MetadataFilters
from llama_index.core.vector_stores.types import VectorStoreQueryMode

from softkv.calls.call import Plan
from softkv.calls.collections import Null
from softkv.calls.queries import Bias, Normaliser
from softkv.integrations.retrieval import Accept, Extra, RetrievalOptions, Score
from softkv.llamaindex.conversion import as_value_error, convert_filters
from softkv.llamaindex.operations import select_matches, to_matched_node
from softkv.llamaindex.store import SoftkvVectorStore


class SoftkvRetriever(BaseRetriever):
    """Gives every node that passes the filters its weight, and names those with most of it.

    A node's score is its weight: of all nodes that pass and of "none of these" they sum to one.

    Args:
        vector_store: whose collection is asked.
        embed_model: makes a vector of a question; left out, the collection's encoder does.
        filters: which nodes may be attended to.
        node_ids: only these.
        doc_ids: only those made of these documents.
        temperature: 0, or from 1e-30 on; `"auto"` for the one at which the answer rests on `effective_documents`.
        effective_documents: with `"auto"`, 8 if left out.
        top_k: how many nodes to name, 10 if left out.
        top_p: name the fewest that hold this share of the nodes' weight.
        normaliser: what makes weights of the logits.
        null: the similarity of "none of these", `False` for none, or "auto", "lenient", "strict".
        max_error: a bound asked of the certificate.
        full_text: what the words of a question count beside its meaning, as 0.1; "auto" as calibrated.
        bias: what else is added to the logits, a term or a list: recency, priors, soft filters.
        min_confidence: of a calibrated collection, how sure the first node must be for the verdict "one".
        conformal: of a calibrated collection, the set that the right node is in with this chance.
        include: "key_vector" for embeddings, "explanation" for how each weight came about, "value_vector".
        accept: "several" for the nodes of each answer whose verdict is not "none", "one" only where one stands out,
            "any" whatever the verdict.
        score: "weight", or "similarity".
        evidence: whether the metadata says under `softkv` what each weighs and how much the collection knew.
        mode: "mmr" for a varied choice.
        mmr: `mmr_threshold`, `mmr_prefetch_k` and `mmr_prefetch_factor` of it.

    Raises:
        ValueError: something of these is none that it can be.
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
        return self._vector_store._source.run(self._found(query_bundle.query_str if vector is None else vector))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        vector = query_bundle.embedding
        if vector is None and self._embed_model is not None:
            vector = await self._embed_model.aget_agg_embedding_from_queries(query_bundle.embedding_strs)
        asked = query_bundle.query_str if vector is None else vector
        return await self._vector_store._source.run_awaited(self._found(asked))

    def _found(self, asked: str | list[float]) -> Plan[list[NodeWithScore]]:
        asking = self._asking
        with as_value_error():
            answer, found = yield from select_matches(
                self._vector_store._source, asking, asked, self._where, self._mode, **self._mmr
            )
        return [
            NodeWithScore(node=to_matched_node(asking, answer, each), score=asking.score_of(each)) for each in found
        ]
