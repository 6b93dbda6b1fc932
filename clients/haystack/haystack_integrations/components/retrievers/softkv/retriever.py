"""A Haystack component that queries a collection, and returns documents and the verdict on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.document_stores.types import FilterPolicy, apply_filter_policy

from haystack_integrations.document_stores.softkv.conversion import as_store_error, convert_filter, to_matched_document
from haystack_integrations.document_stores.softkv.store import SoftkvDocumentStore
from softkv.calls.call import Plan
from softkv.calls.collections import Null
from softkv.calls.options import Bias, IgnoredDefaults
from softkv.calls.queries import Normaliser
from softkv.integrations.retrieval import Accept, Extra, RetrievalOptions, Score, output_list
from softkv.integrations.retrieval import evidence_fields as evidence_of


@component
class SoftkvRetriever:
    """A retriever that weights every document that passes the filters and returns those with the largest weights.

    The score of a document is its weight. The weights of all documents that pass, with that of "none of these", sum to
    one. Options of `run` override those of the retriever.

    Args:
        document_store: the store whose collection is searched.
        filters: which documents may be attended to.
        filter_policy: whether the filters of `run` replace these, or both apply.
        temperature: 0, or from 1e-30 on; `"auto"` chooses the one at which the answer rests on `effective_documents`.
        effective_documents: for `"auto"`; 8 if left out.
        top_k: how many documents to return; 10 if left out.
        top_p: return the fewest documents that hold this share of the documents' weight.
        normaliser: the function that turns logits into weights.
        null: the similarity of "none of these"; `False` for none, or "auto", "lenient" or "strict".
        max_error: the largest error that the certificate may state.
        full_text: the factor of the full-text rank, such as 0.1; "auto" for the calibrated one.
        bias: further terms of the logits, such as recency, priors or soft filters.
        min_confidence: the confidence that the first document needs for the verdict "one". Needs a calibrated
            collection.
        conformal: the probability with which the returned set must contain the right document. Needs a calibrated
            collection.
        ignore_defaults: True to ask without the collection's defaults, or the names of those to leave out.
        include: "key_vector" for embeddings, "explanation" for the steps from similarity to weight, "value_vector";
            "output" for the weighted sum of value vectors.
        accept: "several" returns documents unless the verdict is "none", "one" only if one stands out, "any" always.
        score: "weight", or "similarity".
        evidence: whether the metadata has the weight and the answer's evidence under `softkv`.

    Raises:
        Invalid: `include`, `accept` or `score` has an unknown value.
    """

    def __init__(
        self,
        document_store: SoftkvDocumentStore,
        *,
        filters: dict[str, Any] | None = None,
        filter_policy: FilterPolicy | str = FilterPolicy.REPLACE,
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
        include: list[Extra] | None = None,
        accept: Accept = "several",
        score: Score = "weight",
        evidence: bool = False,
    ) -> None:
        if not isinstance(document_store, SoftkvDocumentStore):
            raise ValueError(f"document_store: wanted a SoftkvDocumentStore, got {type(document_store).__name__}")
        self.document_store = document_store
        self.filters = filters
        self.filter_policy = FilterPolicy.from_str(filter_policy) if isinstance(filter_policy, str) else filter_policy
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

    def to_dict(self) -> dict[str, Any]:
        """Return the retriever and its store as a dictionary, for serialisation."""
        return default_to_dict(
            self,
            document_store=self.document_store.to_dict(),
            filters=self.filters,
            filter_policy=self.filter_policy.value,
            **self._asking._fields(),
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SoftkvRetriever:
        """Create a retriever from the dictionary that `to_dict` returned."""
        parameters = dict(data.get("init_parameters", {}))
        if isinstance(parameters.get("document_store"), dict):
            parameters["document_store"] = SoftkvDocumentStore.from_dict(parameters["document_store"])
        return default_from_dict(cls, {**data, "init_parameters": parameters})

    @component.output_types(documents=list[Document], verdict=str, evidence=dict[str, Any], output=list[float] | None)
    def run(
        self,
        query: str | None = None,
        query_embedding: list[float] | None = None,
        filters: dict[str, Any] | None = None,
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
        include: list[Extra] | None = None,
        accept: Accept | None = None,
        score: Score | None = None,
        evidence: bool | None = None,
    ) -> dict[str, Any]:
        """Attend from a text, which the collection's encoder encodes, or from a vector.

        Returns:
            `documents` ordered by weight; `verdict`: "one" if one stands out, "several" if some share the weight,
            "none" if no document is about the query; `evidence` of how well the collection answers; and `output`, the
            weighted sum of value vectors if `include` requests it.

        Raises:
            FilterError: the filter is invalid.
            DocumentStoreError: an option is refused.
            ValueError: there is neither a query nor an embedding.
        """
        options = {name: option for name, option in locals().items() if name in RetrievalOptions._names}
        return self.document_store._source.run(self._retrieve(query, query_embedding, filters, options))

    @component.output_types(documents=list[Document], verdict=str, evidence=dict[str, Any], output=list[float] | None)
    async def run_async(
        self,
        query: str | None = None,
        query_embedding: list[float] | None = None,
        filters: dict[str, Any] | None = None,
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
        include: list[Extra] | None = None,
        accept: Accept | None = None,
        score: Score | None = None,
        evidence: bool | None = None,
    ) -> dict[str, Any]:
        """Run the retriever asynchronously; arguments and result are those of `run`."""
        options = {name: option for name, option in locals().items() if name in RetrievalOptions._names}
        return await self.document_store._source.run_async(self._retrieve(query, query_embedding, filters, options))

    def _retrieve(
        self,
        query: str | None,
        query_embedding: list[float] | None,
        filters: dict[str, Any] | None,
        options: Mapping[str, Any],
    ) -> Plan[dict[str, Any]]:
        question = query_embedding if query_embedding is not None else query
        if question is None:
            raise ValueError("wanted a query, or a query_embedding; got neither")
        where = convert_filter(apply_filter_policy(self.filter_policy, self.filters, filters))
        with as_store_error():
            retrieval = self._asking.adjust(options)
            answer = yield from retrieval.ask(self.document_store._source, question, where)
        return {
            "documents": [to_matched_document(retrieval, answer, match) for match in retrieval.matches(answer)],
            "verdict": answer.verdict,
            "evidence": evidence_of(answer),
            "output": output_list(answer),
        }
