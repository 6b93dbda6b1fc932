"""A Haystack component that queries a collection, and returns documents and the verdict on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.document_stores.types import FilterPolicy, apply_filter_policy

from haystack_integrations.document_stores.softkv.conversion import as_store_error, convert_filter, to_matched_document
from haystack_integrations.document_stores.softkv.store import SoftkvDocumentStore
from softkv.calls.call import Plan
from softkv.integrations import RETRIEVER_OPTIONS, Retrieval, RetrieverOptions, evidence_fields, output_list


@component
class SoftkvRetriever:
    """A retriever that weights every document that passes the filters and returns those with the largest weights.

    The score of a document is its weight. The weights of all documents that pass, with that of "none of these", sum to
    one. Options of `run` override those of the retriever.

    Args:
        document_store: the store whose collection is searched.
        filters: which documents may be attended to.
        filter_policy: whether the filters of `run` replace these, or both apply.
        options: `softkv.integrations.RetrieverOptions`: the arguments of `attend`, `accept`, `score` and `evidence`.

    Raises:
        Invalid: an option is unknown, or `include`, `accept` or `score` has an unknown value.
    """

    def __init__(
        self,
        document_store: SoftkvDocumentStore,
        *,
        filters: dict[str, Any] | None = None,
        filter_policy: FilterPolicy | str = FilterPolicy.REPLACE,
        **options: Unpack[RetrieverOptions],
    ) -> None:
        if not isinstance(document_store, SoftkvDocumentStore):
            raise ValueError(f"document_store: wanted a SoftkvDocumentStore, got {type(document_store).__name__}")
        self.document_store = document_store
        self.filters = filters
        self.filter_policy = FilterPolicy.from_str(filter_policy) if isinstance(filter_policy, str) else filter_policy
        self._retrieval = Retrieval(options)
        for name, kind in RETRIEVER_OPTIONS.items():
            component.set_input_type(self, name, kind | None, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return the retriever and its store as a dictionary, for serialisation."""
        return default_to_dict(
            self,
            document_store=self.document_store.to_dict(),
            filters=self.filters,
            filter_policy=self.filter_policy.value,
            **self._retrieval.options,
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
        **options: Any,
    ) -> dict[str, Any]:
        """Attend from a text, which the collection's encoder encodes, or from a vector.

        Args:
            query: the text.
            query_embedding: the vector [d]; it wins if both are there.
            filters: which documents may be attended to.
            options: `softkv.integrations.RetrieverOptions`; None keeps the retriever's.

        Returns:
            `documents` ordered by weight; `verdict`: "one" if one stands out, "several" if some share the weight,
            "none" if no document is about the query; `evidence` of how well the collection answers; and `output`, the
            weighted sum of value vectors if `include` requests it.

        Raises:
            FilterError: the filter is invalid.
            DocumentStoreError: an option is refused.
            ValueError: there is neither a query nor an embedding.
        """
        return self.document_store._source.run(self._retrieve(query, query_embedding, filters, options))

    @component.output_types(documents=list[Document], verdict=str, evidence=dict[str, Any], output=list[float] | None)
    async def run_async(
        self,
        query: str | None = None,
        query_embedding: list[float] | None = None,
        filters: dict[str, Any] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Run the retriever asynchronously; arguments and result are those of `run`."""
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
            retrieval = self._retrieval.adjust(options)
            answer = yield from retrieval.ask(self.document_store._source, question, where)
        return {
            "documents": [to_matched_document(retrieval, answer, match) for match in retrieval.matches(answer)],
            "verdict": answer.verdict,
            "evidence": evidence_fields(answer),
            "output": output_list(answer),
        }
