"""One query at many temperatures, from one reading of the keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attention.lookup import Answer, Evidence, Verdict, sweep
from service.retrieval.collections import Collection, Snapshot
from service.retrieval.queries.attend import FullText, compute_rest_weight, explain_filter, summarise_full_text
from service.retrieval.queries.confident import resolve_options
from service.retrieval.queries.encoded import encode_queries
from service.retrieval.queries.question import Array, Options, prepare_questions, prepare_terms
from service.retrieval.queries.reading import BestKey, Document, StoredDocuments


@dataclass(frozen=True)
class SweepMatch:
    """A document of the head; its weight depends on the temperature, its similarity does not.

    Attributes:
        spoke: which of its keys is most similar; None where it has no other.
    """

    document: Document
    similarity: float
    spoke: BestKey | None


@dataclass(frozen=True)
class TemperatureResult:
    """What the answer is at one temperature; `weights` float64 [k] are aligned with the matches."""

    weights: Array
    rest_weight: float
    evidence: Evidence
    verdict: Verdict


@dataclass(frozen=True)
class SweepResult:
    """The head, the same at every temperature, and the answer at each; `unknown_tokens` as in `Result`."""

    matches: list[SweepMatch]
    temperatures: list[TemperatureResult]
    documents: int
    keys: int
    unknown_tokens: int | None
    full_text: FullText | None = None
    warnings: Sequence[str] = ()


async def sweep_collection(
    collection: Collection, query: str | Array, temperatures: Sequence[float], options: Options
) -> SweepResult:
    """Attend at each of the temperatures, instead of the options' own; agrees with `attend` at each.

    Raises:
        RetrievalError: a query that does not fit the collection, options that are not for a sweep.
    """
    options = resolve_options(collection.record, options)
    adding = await prepare_terms(collection, [query], options)
    (encoded,) = await encode_queries(collection.encoder, collection.record, [query], ["/query"])
    questions = await prepare_questions(collection, [encoded], options, ["/query"], adding)

    def look_up(snapshot: Snapshot, _: list[Answer]) -> SweepResult:
        (question,), (added,) = questions(snapshot), adding(snapshot)
        found = sweep(snapshot.view, question, temperatures)
        reading = StoredDocuments(snapshot.record, snapshot.reader, options.reads, snapshot.view.facts.several)
        documents = [each for each in reading.documents(found.numbers) if not isinstance(each, str)]
        spoke = reading.spoke(documents, found.numbers, found.parts)
        order = sorted(range(len(documents)), key=lambda i: (-found.similarities[i], documents[i].id))[: found.matches]
        verdicts = [
            encoded.verdict(verdict, evidence, certificate.total_variation)
            for verdict, evidence, certificate in zip(found.verdicts, found.evidence, found.certificates, strict=True)
        ]
        return SweepResult(
            matches=[SweepMatch(documents[i], float(found.similarities[i]), spoke[i]) for i in order],
            temperatures=[
                TemperatureResult(
                    weights[order], compute_rest_weight(evidence, weights[order], found.documents), evidence, verdict
                )
                for weights, evidence, verdict in zip(found.weights, found.evidence, verdicts, strict=True)
            ],
            documents=found.documents,
            keys=found.keys,
            unknown_tokens=encoded.unknown_tokens,
            full_text=summarise_full_text(added, snapshot, options.filter),
            warnings=explain_filter(snapshot, options.filter, found.documents),
        )

    # It shares the version, its masks and its turn; the scan is its own, into a histogram.
    read = (options.top_k or 0) + len(temperatures) * 8
    return await collection.lookups.ask(lambda snapshot: [], look_up, size=len(temperatures), read=read)
