"""A sweep: the answers to one query at several temperatures, from a single scan of the keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from softkv_attention.lookup import Evidence, Policy, Verdict, judge, sweep
from softkv_service.retrieval.collections import Collection, Snapshot
from softkv_service.retrieval.queries.attend import Plan
from softkv_service.retrieval.queries.documents import BestKey, Document, StoredDocuments
from softkv_service.retrieval.queries.encoded import Array
from softkv_service.retrieval.queries.query_parts import Query
from softkv_service.retrieval.queries.results import (
    FullText,
    compute_rest_weight,
    share_alike,
    summarise_full_text,
    warn_of_filters,
)
from softkv_service.retrieval.question import CollectionQuestion


@dataclass(frozen=True)
class SweepMatch:
    """A document among the most similar ones of a sweep, which answers a query at several temperatures.

    Its weight depends on the temperature, its similarity does not.

    Attributes:
        spoke: the document's most similar key; None if it has only one key.
    """

    document: Document
    similarity: float
    spoke: BestKey | None


@dataclass(frozen=True)
class TemperatureResult:
    """The answer of a sweep at one temperature; `weights` float64[k] are those of its k matches.

    `alike` says whether the documents that share the weight say nearly the same.
    """

    weights: Array
    rest_weight: float
    evidence: Evidence
    verdict: Verdict
    alike: bool


@dataclass(frozen=True)
class SweepResult:
    """The result of a sweep, which answers a query at several temperatures.

    It has the most similar documents, which are the same at every temperature, and the answer at each temperature.
    `unknown_tokens` is the number of the query's tokens that the model does not know; None for a vector.
    """

    matches: list[SweepMatch]
    temperatures: list[TemperatureResult]
    documents: int
    keys: int
    unknown_tokens: int | None
    full_text: FullText | None = None
    warnings: Sequence[str] = ()


async def sweep_collection(
    collection: Collection, query: Query, temperatures: Sequence[float], question: CollectionQuestion
) -> SweepResult:
    """Answer a query at each of these temperatures, with a single scan of the keys.

    The results agree with `attend` at that temperature.

    Raises:
        RetrievalError: a query does not fit the collection, or options are not for a sweep.
    """
    plan = await Plan.prepare(collection, [query], question, ["/query"])
    question = plan.question

    def look_up(snapshot: Snapshot) -> SweepResult:
        planned = plan.build(snapshot)
        (encoded,), (plain,), (query_terms,) = planned.queries, planned.questions, planned.terms
        swept = sweep(snapshot.view, plain, temperatures)
        reader = StoredDocuments(snapshot, "texts" if question.reads == "ids" else question.reads)
        documents = [document for document in reader.documents(swept.numbers) if not isinstance(document, str)]
        spoke = reader.find_best_keys(documents, swept.numbers, swept.parts)
        order = sorted(range(len(documents)), key=lambda i: (-swept.similarities[i], documents[i].id))[: swept.matches]
        similarity = snapshot.record.settings.similarity
        policy = Policy(is_readable=not encoded.words_unknown)
        verdicts = [judge(shares, policy) for shares in swept.shares]
        kept_keys = dict[bytes, Array]()  # the heaviest keys are the same ones at most temperatures

        def read_keys(rows: Array) -> Array:
            name = rows.tobytes()
            if name not in kept_keys:
                kept_keys[name] = reader.keys(rows)
            return kept_keys[name]

        return SweepResult(
            matches=[SweepMatch(documents[i], float(swept.similarities[i]), spoke[i]) for i in order],
            temperatures=[
                TemperatureResult(
                    weights[order],
                    compute_rest_weight(evidence, weights[order], swept.documents),
                    evidence,
                    verdict,
                    share_alike(similarity, verdict, heavy_rows, read_keys, is_readable=policy.is_readable),
                )
                for weights, evidence, verdict, heavy_rows in zip(
                    swept.weights, swept.evidence, verdicts, swept.heavy_rows, strict=True
                )
            ],
            documents=swept.documents,
            keys=swept.keys,
            unknown_tokens=encoded.unknown_tokens,
            full_text=summarise_full_text(query_terms, snapshot, question),
            warnings=warn_of_filters(snapshot, question, swept.documents),
        )

    # A sweep shares the batch's version and masks, but scans by itself, into a histogram.
    read = (question.top_k or 0) + len(temperatures) * 8
    return await collection.read(look_up, size=len(temperatures), read=read)
