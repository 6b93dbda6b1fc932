"""A component that asks a collection: the documents that are named, and the verdict on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.document_stores.types import FilterPolicy, apply_filter_policy

from softkv.calls.call import Plan
from softkv.calls.collections import Null
from softkv.calls.queries import Bias, Normaliser
from softkv.haystack.conversion import as_store_error, convert_filter, to_matched_document
from softkv.haystack.store import SoftkvDocumentStore
from softkv.integrations.retrieval import Accept, Extra, RetrievalOptions, Score, output_list
from softkv.integrations.retrieval import evidence_fields as evidence_of


@component
class SoftkvRetriever:
    """Gives every document that passes the filters its weight, and names those with most of it.

    A document's score is its weight: of all documents that pass and of "none of these" they sum to one. Options of
    `run` go before those of the retriever.

    Args:
        document_store: whose collection is asked.
        filters: which documents may be attended to.
        filter_policy: whether filters of `run` replace these, or both count.
        temperature: 0, or from 1e-30 on; `"auto"` for the one at which the answer rests on `effective_documents`.
        effective_documents: with `"auto"`, 8 if left out.
        top_k: how many documents to name, 10 if left out.
        top_p: name the fewest that hold this share of the documents' weight.
        normaliser: what makes weights of the logits.
        null: the similarity of "none of these", `False` for none, or "auto", "lenient", "strict".
        max_error: a bound asked of the certificate.
        full_text: what the words of a question count beside its meaning, as 0.1; "auto" as calibrated.
        bias: what else is added to the logits, a term or a list: recency, priors, soft filters.
        min_confidence: of a calibrated collection, how sure the first document must be for the verdict "one".
        conformal: of a calibrated collection, the set that the right document is in with this chance.
        include: "key_vector" for embeddings, "explanation" for how each weight came about, "value_vector"; "output" for
            the blended value.
        accept: "several" for the documents of each answer whose verdict is not "none", "one" only where one stands out,
            "any" whatever the verdict.
        score: "weight", or "similarity".
        evidence: whether the metadata says under `softkv` what each weighs and how much the collection knew.

    Raises:
        Invalid: `include`, `accept` or `score` is none of these words.
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
            include=include,
            accept=accept,
            score=score,
            evidence=evidence,
        )

    def to_dict(self) -> dict[str, Any]:
        """The retriever with its store, as a pipeline writes it down."""
        return default_to_dict(
            self,
            document_store=self.document_store.to_dict(),
            filters=self.filters,
            filter_policy=self.filter_policy.value,
            **self._asking._fields(),
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SoftkvRetriever:
        """The retriever that was written down."""
        given = dict(data.get("init_parameters", {}))
        if isinstance(given.get("document_store"), dict):
            given["document_store"] = SoftkvDocumentStore.from_dict(given["document_store"])
        return default_from_dict(cls, {**data, "init_parameters": given})

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
        include: list[Extra] | None = None,
        accept: Accept | None = None,
        score: Score | None = None,
        evidence: bool | None = None,
    ) -> dict[str, Any]:
        """Ask with a text, which the collection's encoder makes a vector of, or with a vector.

        Returns:
            `documents` by weight; `verdict`, "one" where one stands out, "several" where they share the weight, "none"
            where none is about that; `evidence`, how much the collection knew; `output`, the blended value where
            `include` asked for it.

        Raises:
            FilterError: the filter is none.
            DocumentStoreError: an option is refused.
            ValueError: there is neither a query nor an embedding.
        """
        given = {name: each for name, each in locals().items() if name in RetrievalOptions._names}
        return self.document_store._source.run(self._asked(query, query_embedding, filters, given))

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
        include: list[Extra] | None = None,
        accept: Accept | None = None,
        score: Score | None = None,
        evidence: bool | None = None,
    ) -> dict[str, Any]:
        """As `run`, awaited."""
        given = {name: each for name, each in locals().items() if name in RetrievalOptions._names}
        return await self.document_store._source.run_awaited(self._asked(query, query_embedding, filters, given))

    def _asked(
        self,
        query: str | None,
        query_embedding: list[float] | None,
        filters: dict[str, Any] | None,
        given: Mapping[str, Any],
    ) -> Plan[dict[str, Any]]:
        asked = query_embedding if query_embedding is not None else query
        if asked is None:
            raise ValueError("wanted a query, or a query_embedding; got neither")
        where = convert_filter(apply_filter_policy(self.filter_policy, self.filters, filters))
        with as_store_error():
            asking = self._asking.adjusted(given)
            answer = yield from asking.ask(self.document_store._source, asked, where)
        return {
            "documents": [to_matched_document(asking, answer, each) for each in asking.matches(answer)],
            "verdict": answer.verdict,
            "evidence": evidence_of(answer),
            "output": output_list(answer),
        }
