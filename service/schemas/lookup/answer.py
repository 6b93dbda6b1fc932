"""The answer of the soft lookup on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from attention.lookup import Stands
from service.schemas.filter import Warnings
from service.schemas.json_object import OrNull
from service.schemas.keys import MatchPart, Part
from service.schemas.lookup.addends import AddendLine, FullTextAnswer
from service.schemas.lookup.read import ReadAnswer
from service.schemas.vector import VectorAnswer
from service.schemas.wire import JSONValue, Wire

UnknownTokens = Annotated[
    int | None,
    Field(
        description="Of a question that is a text: how many of its tokens the model does not know. Where it knows "
        "none with a letter or a digit beside them, no verdict is `one`."
    ),
]


class Explanation(Wire):
    """How it came: similarity / temperature + Σ addends = logit, logit + log_parts − log_partition = log_weight."""

    similarity: float
    temperature: float
    addends: list[AddendLine] | None = Field(
        None, description="What `full_text` and each term of `bias` added, in this order, where they were asked."
    )
    logit: float | None = Field(description="null: minus infinity.")
    log_parts: OrNull[float] = Field(
        None,
        description="Of a document of several keys: what the others add, the logarithm of its weight over that of the "
        "part that spoke; at temperature 0, what was added counts here; null for a weight below all of "
        "float64.",
    )
    log_partition: float | None = Field(description="As in the evidence.")
    log_weight: float | None = Field(
        description="The logarithm of the weight; null where that is 0, and without a log_partition."
    )


class Match(Wire):
    """A document and its share of the answer."""

    id: str
    similarity: float
    logit: float | None = Field(
        description="similarity / temperature + what was added; null for minus infinity, at temperature 0."
    )
    weight: float = Field(description="Its share of the answer, 0 to 1; of a document of several keys, of all of them.")
    confidence: float | None = Field(
        None,
        description="Where the collection is calibrated and asked as it was: the chance that this is the right one.",
    )
    part: MatchPart | None = Field(
        None,
        description="Of a document of several keys: the one that is most similar, whose similarity and logit stand.",
    )
    key: OrNull[str] = None
    value: JSONValue = None
    metadata: dict[str, Any] | None = None
    key_vector: VectorAnswer | None = None
    key_vectors: list[VectorAnswer] | None = None
    parts: list[Part] | None = None
    value_vector: VectorAnswer | None = None
    explanation: Explanation | None = None


class Evidence(Wire):
    """How much the collection knew."""

    verdict: Stands = Field(
        description="`none`: the null key has at least half of all weight, or no document passes. Else `one`: the "
        "heaviest document has more than half, its keys together. Else `several`. With `min_confidence`, where it is "
        "not `none`: `one` where the first match's `confidence` is at least that, else `several`."
    )
    verdict_certain: bool = Field(
        description="Whether the exact weights say the same: false where the certificate's `total_variation` is large "
        "enough to change the verdict. A smaller `max_error` settles it."
    )
    null_weight: float = Field(description='The share of "none of these", the null key; 0 without one.')
    null_similarity: float | None = Field(description="The null key's similarity; null without one.")
    log_partition: float | None = Field(
        description="ln Σ exp(logit), the null key's included; at temperature 0 the logarithm of the number of ties. "
        "null where nothing can be attended to, and for normalisers other than softmax."
    )
    entropy: float = Field(description="Of the keys' weights without the null key, in nats; 0 where none passes.")
    effective_documents: float = Field(
        description="exp(entropy): on how many documents the answer rests, each key of one of several counted; 0 where "
        "none passes."
    )


class Certificate(Wire):
    """A proven bound on the distance between this answer and the exact one."""

    method: Literal["exact", "quantised"] = Field(
        description="`exact`: every key in float64. `quantised`: every key as int8, the best again in float64."
    )
    total_variation: float = Field(
        description="½ Σ |weight − exact weight|, over every document and the null key, is at most this."
    )
    output_error: float | None = Field(
        description="‖output − exact output‖₂ is at most this; null where no output was asked for."
    )


class Coverage(Wire):
    """Of how much of the collection an answer was made."""

    documents: int = Field(description="How many could be asked, whether they pass the filter or not.")
    of: int = Field(description="How many there are.")
    missing_weight_at_most: float = Field(
        description="What those that could not be asked weigh together in the answer over all, at most: 0 where "
        "none is missing, 1 where nothing is known. `certificate` holds for the answer over all."
    )


class AttendAnswer(Wire):
    """The weights of all documents that pass sum to one: the matches' + `rest_weight` + `null_weight`.

    One exception: where no document passes and there is no null key, all are 0.
    """

    matches: list[Match] = Field(description="By weight, then similarity, then id.")
    rest_weight: float = Field(description="What all other documents that pass weigh together.")
    complete: bool = Field(
        description="False where `top_k` came before `top_p`, or the end of the `conformal` set, was reached."
    )
    output: VectorAnswer | None = Field(
        None, description="Σ weight · value vector over all documents that pass, where `include` asks for it."
    )
    evidence: Evidence
    certificate: Certificate
    coverage: Coverage | None = Field(
        None, description="Where `allow_missing` was sent, and of the parts of a `stream`."
    )
    unknown_tokens: UnknownTokens = None
    full_text: FullTextAnswer | None = Field(None, description="What words added, where that was asked.")
    read: ReadAnswer | None = Field(None, description="What `read` asked for.")
    temperature: float = Field(description='As asked; for `"auto"` the one that was found.')
    documents: int = Field(description="How many documents pass the filter and can be attended to.")
    keys: int = Field(description="How many keys they have: the n of the null key.")
    warnings: Warnings = None
    took_ms: float = Field(description="Milliseconds in the service, encoding included.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "matches": [
                        {
                            "id": "qa76",
                            "similarity": 0.649,
                            "logit": 12.973,
                            "weight": 0.99995,
                            "key": "relational databases",
                            "value": "A first course",
                            "metadata": {"year": 1993, "shelf": "QA76"},
                        }
                    ],
                    "rest_weight": 0.00002,
                    "complete": True,
                    "evidence": {
                        "verdict": "one",
                        "verdict_certain": True,
                        "null_weight": 0.00003,
                        "null_similarity": 0.129,
                        "log_partition": 12.973,
                        "entropy": 0.0002,
                        "effective_documents": 1.0002,
                    },
                    "certificate": {
                        "method": "exact",
                        "total_variation": 8.7e-13,
                        "output_error": None,
                    },
                    "unknown_tokens": 0,
                    "temperature": 0.05,
                    "documents": 2,
                    "keys": 2,
                    "took_ms": 1.9,
                }
            ]
        }
    )


class AttendAnswers(Wire):
    """An answer for each of `queries`."""

    results: list[AttendAnswer] = Field(
        description="In the order of the queries; all of one version of the collection."
    )
