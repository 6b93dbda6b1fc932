"""One query at many temperatures, from one reading of the keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attention.lookup import Answer, Evidence, Verdict, sweep
from service.retrieval.collections import Collection, Snapshot
from service.retrieval.queries.attend import FullText, filter_warnings, full_text_of, rest_weight
from service.retrieval.queries.confident import as_wanted
from service.retrieval.queries.encoded import encode_queries
from service.retrieval.queries.question import Array, Options, adding_to, questions_of
from service.retrieval.queries.reading import Document, Reading, Spoke


@dataclass(frozen=True)
class Matched:
    """A document of the head; its weight depends on the temperature, its similarity does not.

    Attributes:
        spoke: which of its keys is most similar; None where it has no other.
    """

    document: Document
    similarity: float
    spoke: Spoke | None


@dataclass(frozen=True)
class AtTemperature:
    """What the answer is at one temperature; `weights` float64 [k] are aligned with the matches."""

    weights: Array
    rest_weight: float
    evidence: Evidence
    verdict: Verdict


@dataclass(frozen=True)
class Swept:
    """The head, the same at every temperature, and the answer at each; `unknown_tokens` as in `Result`."""

    matches: list[Matched]
    temperatures: list[AtTemperature]
    documents: int
    keys: int
    unknown_tokens: int | None
    full_text: FullText | None = None
    warnings: Sequence[str] = ()


async def sweep_collection(
    collection: Collection, query: str | Array, temperatures: Sequence[float], options: Options
) -> Swept:
    """Attend at each of the temperatures, instead of the options' own; agrees with `attend` at each.

    Raises:
        RetrievalError: a query that does not fit the collection, options that are not for a sweep.
    """
    options = as_wanted(collection.record, options)
    adding = await adding_to(collection, [query], options)
    (encoded,) = await encode_queries(collection.encoder, collection.record, [query], ["/query"])
    questions = await questions_of(collection, [encoded], options, ["/query"], adding)

    def look_up(snapshot: Snapshot, _: list[Answer]) -> Swept:
        (question,), (added,) = questions(snapshot), adding(snapshot)
        found = sweep(snapshot.view, question, temperatures)
        reading = Reading(snapshot.record, snapshot.reader, options.reads, snapshot.view.facts.several)
        documents = [each for each in reading.documents(found.numbers) if not isinstance(each, str)]
        spoke = reading.spoke(documents, found.numbers, found.parts)
        order = sorted(range(len(documents)), key=lambda i: (-found.similarities[i], documents[i].id))[: found.matches]
        verdicts = [
            encoded.verdict(verdict, evidence, certificate.total_variation)
            for verdict, evidence, certificate in zip(found.verdicts, found.evidence, found.certificates, strict=True)
        ]
        return Swept(
            matches=[Matched(documents[i], float(found.similarities[i]), spoke[i]) for i in order],
            temperatures=[
                AtTemperature(weights[order], rest_weight(evidence, weights[order], found.documents), evidence, verdict)
                for weights, evidence, verdict in zip(found.weights, found.evidence, verdicts, strict=True)
            ],
            documents=found.documents,
            keys=found.keys,
            unknown_tokens=encoded.unknown_tokens,
            full_text=full_text_of(added, snapshot, options.filter),
            warnings=filter_warnings(snapshot, options.filter, found.documents),
        )

    # It shares the version, its masks and its turn; the scan is its own, into a histogram.
    read = (options.top_k or 0) + len(temperatures) * 8
    return await collection.lookups.ask(lambda snapshot: [], look_up, size=len(temperatures), read=read)
