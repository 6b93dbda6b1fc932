"""Models of the calls `attend` and `sweep`: queries, options and answers."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Len, Lt
from pydantic import ConfigDict, Discriminator, Field, PlainValidator, Tag
from pydantic_core import PydanticCustomError

from attention.lookup import Stands
from service.schemas.defaults import (
    MATCH_FIELDS,
    SWEPT_FIELDS,
    Applied,
    BiasOrNull,
    FilterOrNull,
    FullTextOrNull,
    IncludeOrNull,
    SweptIncludeOrNull,
)
from service.schemas.document import MatchPart, Part
from service.schemas.filter import MetadataField, Warnings
from service.schemas.instants import EXPIRES
from service.schemas.query import QUESTION, QueryOrParts
from service.schemas.terms import AddendLine, FullTextAnswer, Rerank
from service.schemas.vector import VectorAnswer
from service.schemas.wire import (
    INTEGERS,
    MAX_TOP_K,
    CollectionBehind,
    DocumentedAs,
    Form,
    InParts,
    JSONValue,
    Normaliser,
    Null,
    Number,
    OrNull,
    Temperature,
    Text,
    VectorFormat,
    Wire,
    cold_to_hot,
    finite_number,
    well_formed,
)

MAX_QUANTILES, MAX_READS = 100, 10
MAX_GROUPS, MAX_GROUP_DOCUMENTS = 100, 100
MAX_ANSWER_GROUPS = 1000
"""The most groups of all queries of a request together, since each is a lookup of its own."""

ReadAs = Literal["mean", "vote", "quantile"]
How = Annotated[
    ReadAs,
    Field(
        alias="as",
        description="`mean` and `quantile` use numbers; `vote` uses texts, numbers, true and false.",
    ),
]
Scalar = str | int | float | bool | None


class Read(Wire):
    """A metadata field to combine over all documents, and how: each value counts with the weight of its document."""

    field: MetadataField
    how: How
    quantiles: list[Annotated[Number, Gt(0), Lt(1)]] | None = Field(
        None,
        min_length=1,
        max_length=MAX_QUANTILES,
        description="The quantiles to read, with `quantile`. Left out: the median.",
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"field": "metadata.year", "as": "mean"},
                {"field": "metadata.year", "as": "quantile", "quantiles": [0.1, 0.5, 0.9]},
            ]
        }
    )


def one_or_list(value: Any) -> str:
    """Return the form in which a field was sent or is answered: alone, or in a list."""
    return "list" if isinstance(value, list) else "one"


ReadOrList = Annotated[
    Annotated[Read, Tag("one")] | Annotated[list[Read], Len(1, MAX_READS), Tag("list")], Discriminator(one_or_list)
]


def _bound(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value if value is None else well_formed(value)
    if type(value) is int and value not in INTEGERS:
        raise PydanticCustomError("bound", "wanted an integer of at most 64 bits: write a larger one as 1e20")
    if type(value) in (int, float):
        finite_number(value)
        return value
    raise PydanticCustomError("bound", "wanted a number, an ISO 8601 date, or null for no bound")


Bound = Annotated[
    Any,
    PlainValidator(_bound),
    DocumentedAs(Annotated[float | str | None, Field(description="A number, or an ISO 8601 date; null for no bound.")]),
]


class GroupBy(Wire):
    """A metadata field by which the documents that pass are grouped: by its values, or by ranges of them."""

    field: MetadataField
    groups: int = Field(10, ge=1, le=MAX_GROUPS, description="Groups to return, the heaviest ones.")
    documents: int = Field(
        3, ge=0, le=MAX_GROUP_DOCUMENTS, description="Matches to return in each group, the best ones of all documents."
    )
    ranges: Annotated[list[Annotated[list[Bound], Len(2, 2)]], Len(1, MAX_GROUPS)] | None = Field(
        None,
        description="Ranges of numbers or dates, a group each: from the first bound up to the second, which is not "
        "included. They may not overlap. Left out: a group of each value.",
        examples=[[[None, 1950], [1950, 2000]]],
    )
    cursor: Text | None = Field(
        None, description="The `next_cursor` of the page before, for the same question: its lighter groups follow."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"field": "metadata.shelf"},
                {"field": "metadata.year", "ranges": [[1900, 1950], [1950, None]]},
            ]
        }
    )


class Vote(Wire):
    """One value of a field, and the total weight of the documents that have it."""

    value: Scalar = Field(description="A text, a number, true or false.")
    weight: float = Field(description="The share of this value in the weight of all documents that have the field.")


class QuantileAnswer(Wire):
    """A quantile of a field's numbers, by the weights of their documents.

    It is the smallest number such that at least this share of the weight lies on numbers up to it.
    """

    quantile: float = Field(description="The requested quantile.")
    value: float | None = Field(description="The number; null if no document with weight has the field.")
    at_least: float | None = Field(description="A proven lower bound of the exact quantile.")
    at_most: float | None = Field(description="A proven upper bound of the exact quantile.")


class ReadAnswer(Wire):
    """The combined value of a metadata field: a mean, a vote or quantiles over all documents that have the field.

    Documents without the field, and the null key, are left out.
    """

    field: str
    how: How
    value: Scalar = Field(
        description="The mean; the value with the largest weight; or the median, else the first requested "
        "quantile. null if no document with weight has the field."
    )
    weight: float = Field(description="The share of the weight of all documents that have the field, 0 to 1.")
    deviation: OrNull[float] = Field(None, description="For a mean: the weighted standard deviation around it.")
    error: OrNull[float] = Field(
        None,
        description="For a mean: its maximum distance from the exact mean. For a vote: the maximum error of "
        "each share. null if no bound is certain.",
    )
    votes: list[Vote] | None = Field(None, description="For a vote: at most 10 values, the heaviest first.")
    rest_weight: float | None = Field(None, description="For a vote: the share of all other values.")
    quantiles: list[QuantileAnswer] | None = Field(None, description="For quantiles: each requested one, in order.")


UnknownTokens = Annotated[
    int | None,
    Field(
        description="For a query that is a text: the number of its tokens that the model does not know. If "
        "it knows none of the tokens with a letter or a digit, the verdict is never `one`."
    ),
]


class Explanation(Wire):
    """The steps in the computation of a match's weight.

    similarity / temperature + Σ addends = logit, and logit + log_weight_of_other_parts − log_partition = log_weight. An
    addend is a number that full text or a term of the bias adds to the logit.
    """

    similarity: float
    temperature: float
    addends: list[AddendLine] | None = Field(
        None,
        description="The addends of `full_text`, of each term of `bias` and of `rerank`, in this order, if the request "
        "has them.",
    )
    logit: float | None = Field(description="The logit; null for minus infinity.")
    log_weight_of_other_parts: OrNull[float] = Field(
        None,
        description="For a document with several keys: ln(weight of the document / weight of the most similar key), "
        "the contribution of the other keys. At temperature 0, it includes the addends. null for a weight below the "
        "range of float64.",
    )
    log_partition: float | None = Field(description="Equal to that of the evidence.")
    log_weight: float | None = Field(
        description="The logarithm of the weight; null if the weight is 0, and without a log_partition."
    )


class StandsFor(Wire):
    """A document that shares the place of a match, and its own weight."""

    id: str
    weight: float


class Match(Wire):
    """A document and its weight in the answer."""

    id: str
    similarity: float
    logit: float | None = Field(
        description="similarity / temperature + the addends; null for minus infinity, at temperature 0."
    )
    weight: float = Field(
        description="The share of the document in the answer, 0 to 1; for a document with several keys, the "
        "sum of their weights. With `diversity`, the weights of the documents in `stands_for` are added."
    )
    stands_for: list[StandsFor] | None = Field(
        None,
        description="With `diversity`: the documents that share the place of this match, the heaviest first; left out "
        "if no document does. `similarity`, `logit`, `confidence` and `explanation` are of the match without them.",
    )
    confidence: float | None = Field(
        None,
        description="The probability that this document is the right one. Present if the collection is "
        "calibrated and the request uses the settings of the calibration.",
    )
    part: MatchPart | None = Field(
        None,
        description="For a document with several keys: the most similar key, to which `similarity` and `logit` belong.",
    )
    key: OrNull[str] = None
    value: JSONValue = None
    metadata: dict[str, Any] | None = None
    key_vector: VectorAnswer | None = None
    key_vectors: list[VectorAnswer] | None = None
    parts: list[Part] | None = None
    value_vector: VectorAnswer | None = None
    expires: str | None = Field(None, description=EXPIRES, json_schema_extra={"format": "date-time"})
    explanation: Explanation | None = None
    highlight: OrNull[Part] = Field(
        None,
        description="The sentence of `key` that is most similar to the query, in characters; of a document with parts, "
        "among the sentences of the most similar part. null without a key text, and in partial answers of a stream.",
    )


class Group(Wire):
    """The documents that have one value of the field, or a value in one range."""

    value: Scalar | list[float | str | None] = Field(
        description="The value of the field: a text, a number, true or false; the range as it was sent; null for the "
        "documents without the field."
    )
    weight: float = Field(description="The weight of all documents of the group together.")
    documents: int = Field(description="The number of documents of the group that pass the filter.")
    matches: list[Match] = Field(
        description="The best documents of the group, among all that pass, with their share of the whole answer."
    )


class GroupByAnswer(Wire):
    """The weight of the answer by groups of documents. With the null key's, the weights of all groups sum to one."""

    field: str
    groups: list[Group] = Field(
        description="The heaviest groups, without those of weight 0. Equal weights are in the order of their JSON."
    )
    rest_weight: float = Field(
        description="The weight of all documents that are in none of these groups, nor in those of earlier pages."
    )
    next_cursor: str | None = Field(
        description="The `cursor` of the next page; null after the last group, and after 10,000 groups."
    )
    error: float = Field(
        description="The maximum error of the `weight` of each group and each of its matches, and of `rest_weight`."
    )


class Evidence(Wire):
    """Measures of how well the collection matches the query, and a verdict on them: one document, several, or none."""

    verdict: Stands = Field(
        description="`none`: the null key has at least half of all weight (in a calibrated collection, `none_from`), "
        "or no document passes the filter. Otherwise `one`: the heaviest document has more than half, summed over its "
        "keys. Otherwise `several`. With `min_confidence`, a verdict other than `none` is `one` if the first match has "
        "at least this `confidence`, else `several`."
    )
    verdict_certain: bool = Field(
        description="Whether the exact weights give the same verdict: false if the `total_variation` of the "
        "certificate is large enough to change it. A smaller `max_error` makes it certain."
    )
    alike: bool = Field(
        description="Whether the documents that share the weight say nearly the same; false unless the verdict is "
        "`several`. The first match and its copies then have more than half of all weight, and no document has it "
        "alone. The key of a copy has a cosine of 0.95 or more to that of the first match. The 128 heaviest keys are "
        "compared."
    )
    null_weight: float = Field(
        description='The weight of the null key, which means "none of these"; 0 without a null key.'
    )
    null_similarity: float | None = Field(description="The similarity of the null key; null without a null key.")
    log_partition: float | None = Field(
        description="ln Σ exp(logit), including the null key; at temperature 0, the logarithm of the number "
        "of ties. null without keys to attend to, and for normalisers other than softmax."
    )
    entropy: float = Field(
        description="The entropy of the weights of the keys without the null key, in nats; 0 if no document passes."
    )
    effective_documents: float = Field(
        description="exp(entropy): the number of documents on which the answer rests. Each key of a document "
        "with several keys counts. 0 if no document passes."
    )


class Certificate(Wire):
    """A proven bound on how far the weights of this answer may differ from the exact ones."""

    method: Literal["exact", "quantised"] = Field(
        description="`exact`: every key is compared in float64. `quantised`: every key is compared as int8, "
        "and the best again in float64."
    )
    total_variation: float = Field(
        description="An upper bound of ½ Σ |weight − exact weight|, over every document and the null key."
    )
    output_error: float | None = Field(
        description="An upper bound of ‖output − exact output‖₂; null if the request does not include the output."
    )
    reranked: int | None = Field(
        None, description="The `depth` of `rerank`, if the request has it. The bounds hold for the logits with it."
    )


class Coverage(Wire):
    """The part of the collection from which an answer was computed, while other documents were unavailable.

    It also bounds the weight that the missing documents may have.
    """

    documents: int = Field(description="The number of available documents, whether they pass the filter or not.")
    total: int = Field(description="The number of all documents of the collection.")
    max_missing_weight: float = Field(
        description="An upper bound of the weight of all unavailable documents together, in the answer over "
        "all: 0 if none is missing, 1 if nothing is known of them. `certificate` holds for the answer over "
        "all."
    )


class AttendAnswer(Wire):
    """The answer to a query.

    The weights of all documents that pass the filter sum to one, together with that of the null key.

    That is: the weights of the matches + `rest_weight` + `null_weight` = 1. If no document passes and
    the null key is absent, all are 0.
    """

    matches: list[Match] = Field(description="The matches in the order of weight, then similarity, then id.")
    rest_weight: float = Field(description="The weight of all other documents that pass, together.")
    complete: bool = Field(description="False if `top_k` cut off matches that `top_p` or the `conformal` set needs.")
    output: VectorAnswer | None = Field(
        None, description="Σ weight · value vector over all documents that pass, if `include` lists `output`."
    )
    reason: str = Field(
        description="The reason for the verdict, in two sentences for a person: where the weight lies; how similar the "
        "first match is, and what the labels of a calibration say about it. Without them it claims no probability."
    )
    evidence: Evidence
    certificate: Certificate
    coverage: Coverage | None = Field(
        None, description="Present with `allow_missing`, and in the partial answers of a `stream`."
    )
    unknown_tokens: UnknownTokens = None
    full_text: FullTextAnswer | None = Field(None, description="The effect of `full_text`, if the request has it.")
    read: (
        Annotated[
            Annotated[ReadAnswer, Tag("one")] | Annotated[list[ReadAnswer], Tag("list")], Discriminator(one_or_list)
        ]
        | None
    ) = Field(None, description="The result of `read`; for a list of fields, a list of results in this order.")
    group_by: GroupByAnswer | None = Field(None, description="The result of `group_by`.")
    temperature: float = Field(description='The requested temperature; for `"auto"`, the one that was found.')
    documents: int = Field(description="The number of documents that pass the filter and can be attended to.")
    keys: int = Field(description="The number of their keys: the n of the null key.")
    warnings: Warnings = None
    applied: Applied = None
    collection: CollectionBehind = None
    took_ms: float = Field(description="Milliseconds in the service, including encoding.")

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
                    "reason": "“qa76” stands out: it has more than 99 % of the weight, all other documents less than "
                    "1 % and “none of these” less than 1 %. The best match has similarity 0.649, above 0.129, where "
                    "“none of these” lies; without labels, a weight is no probability of being right.",
                    "evidence": {
                        "verdict": "one",
                        "verdict_certain": True,
                        "alike": False,
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
    """The answers to several queries, one for each of the request's `queries`."""

    results: list[AttendAnswer] = Field(
        description="The answers in the order of the queries, all computed from one version of the collection."
    )
    applied: Applied = None
    collection: CollectionBehind = None


def _temperature_or_auto(value: Any) -> Any:
    return value if value == "auto" else cold_to_hot(value)


TemperatureOrAuto = Annotated[Any, PlainValidator(_temperature_or_auto), DocumentedAs(Temperature | Literal["auto"])]


class AttendRequest(Wire):
    """One query or several. Each is compared with every key of a collection, and gives a weight to every document."""

    forms: ClassVar[tuple[Form, ...]] = (
        Form("AttendOne", "query", "A query, attended over every key of a collection."),
        Form("AttendMany", "queries", "Several queries, each attended over every key of a collection."),
    )

    query: QueryOrParts | None = Field(
        None,
        description="A text, encoded by the collection's encoder; a vector of the keys' width; or a list of parts, "
        "whose weighted sum is the query.",
        examples=[QUESTION],
    )
    queries: Annotated[list[QueryOrParts], Len(1), InParts] | None = Field(
        None,
        description="Several queries at once, instead of `query`; at most 64 unless the service sets another limit.",
    )
    temperature: TemperatureOrAuto | None = Field(
        None,
        description='The temperature T in logit = similarity / T. Left out: the collection\'s. `"auto"`: the '
        "temperature at which the answer rests on `effective_documents` documents, within 1 % (softmax only).",
    )
    effective_documents: Annotated[Number, Ge(1)] = Field(
        8.0,
        description='For `"auto"`: the number of documents on which the answer rests; at most half of those that pass.',
        json_schema_extra={"minimum": 1},
    )
    top_k: OrNull[int] = Field(
        None,
        ge=0,
        le=MAX_TOP_K,
        description="Matches to return. Left out: the collection's default, or 10; with `top_p` at most 1,000. null: "
        "without the default of the collection.",
    )
    top_p: Annotated[Number, Gt(0), Le(1)] | None = Field(
        None,
        description="Return the smallest set of matches that holds this share of the document weight.",
        json_schema_extra={"exclusiveMinimum": 0, "maximum": 1},
    )
    filter: FilterOrNull = None
    normaliser: Normaliser = "softmax"
    null: Null | None = Field(None, description="Left out: the collection's.")
    max_error: Annotated[Number, Gt(0)] | None = Field(
        None,
        description="The bound that the certificate must meet: on `total_variation`, and on `output_error` "
        "relative to the largest value.",
        json_schema_extra={"exclusiveMinimum": 0},
    )
    full_text: FullTextOrNull = None
    bias: BiasOrNull = None
    rerank: Rerank | None = Field(
        None,
        description="A cross-encoder that reads the best documents and adds to their logits. Needs a query that is a "
        "text, softmax, and a temperature that is a number.",
    )
    min_confidence: Annotated[Number, Ge(0), Le(1)] | None = Field(
        None,
        description="The confidence of the first match that the verdict `one` needs. For a calibrated "
        "collection, with the settings of its calibration.",
        json_schema_extra={"minimum": 0, "maximum": 1},
    )
    conformal: Annotated[Number, Ge(0.5), Le(0.99)] | None = Field(
        None,
        description="Return the set of matches that contains the right document with this probability, for "
        "queries that have an answer; at most `top_k` or 1,000 matches. For a calibrated collection, with the "
        "settings of its calibration.",
        json_schema_extra={"minimum": 0.5, "maximum": 0.99},
    )
    diversity: Annotated[Number, Ge(0), Le(1)] | None = Field(
        None,
        description="Let documents share the place of a heavier match if the cosine distance (1 − cosine) of their "
        "keys is at most this: the match then has their weight, too. Left out: each document has a place of its own.",
        json_schema_extra={"minimum": 0, "maximum": 1},
    )
    allow_missing: bool = Field(
        False,
        description="Whether to answer with `coverage` if some documents are unavailable. If false, such a "
        "request is a 503 `shards_missing`.",
    )
    stream: bool = Field(
        False,
        description="Whether to answer one `query` as server-sent events: `partial` answers over growing "
        "parts of the collection, whose certificates hold for all of it, then the final `answer`.",
    )
    read: ReadOrList | None = Field(
        None,
        description="A metadata field whose values are combined over every document that passes, or a list of at most "
        "10 of them.",
    )
    group_by: GroupBy | None = Field(
        None,
        description="A metadata field by which the documents that pass are grouped: the answer has the weight of each "
        "group and its best documents.",
    )
    include: IncludeOrNull = Field(
        default=MATCH_FIELDS,
        description="Fields of a match to return, besides its numbers; `output` is the blended value. Left out: the "
        "collection's default, or these three. null: these three.",
    )
    vector_format: VectorFormat = "numbers"

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": QUESTION, "top_k": 3},
                {
                    "query": QUESTION,
                    "temperature": "auto",
                    "filter": {"field": "metadata.year", "operator": ">=", "value": 2000},
                },
                {"queries": [QUESTION, "what does a cat need?"], "top_p": 0.9, "include": ["key", "explanation"]},
                {"query": [{"text": QUESTION}, {"id": "qa76", "weight": -0.5}], "diversity": 0.1},
            ]
        }
    )


MAX_TEMPERATURES = 1024


class SweepRequest(Wire):
    """A query that is to be answered at several temperatures (a sweep)."""

    query: QueryOrParts = Field(
        description="A text, encoded by the collection's encoder; a vector of the keys' width; or a list of parts, "
        "whose weighted sum is the query."
    )
    temperatures: Annotated[list[Temperature], Len(1, MAX_TEMPERATURES)] = Field(description="1 to 1,024 temperatures.")
    top_k: OrNull[int] = Field(
        None,
        ge=0,
        le=MAX_TOP_K,
        description="Matches to return. Left out: the collection's default, or 10. null: 10.",
    )
    null: Null | None = Field(None, description="Left out: the collection's.")
    filter: FilterOrNull = None
    full_text: FullTextOrNull = None
    bias: BiasOrNull = None
    include: SweptIncludeOrNull = Field(
        default=SWEPT_FIELDS,
        description="Fields of a match to return, besides its similarity. Left out: the collection's default as far as "
        "a sweep has these fields, or these three. null: these three.",
    )
    vector_format: VectorFormat = "numbers"

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "how do databases work?", "temperatures": [0, 0.05, 0.1, 1]}]}
    )


class SweptMatch(Wire):
    """A document among the matches of a sweep over temperatures. Its similarity is the same at every temperature."""

    id: str
    similarity: float
    part: MatchPart | None = Field(None, description="For a document with several keys: the most similar key.")
    key: OrNull[str] = None
    value: JSONValue = None
    metadata: dict[str, Any] | None = None
    key_vector: VectorAnswer | None = None
    value_vector: VectorAnswer | None = None
    expires: str | None = Field(None, description=EXPIRES, json_schema_extra={"format": "date-time"})


class AtTemperature(Wire):
    """The answer of a sweep at one of its temperatures: the weights of the matches, and the rest."""

    temperature: float
    weights: list[float] = Field(description="The weights of the `matches`, in their order.")
    rest_weight: float = Field(description="The weight of all other documents that pass, together.")
    evidence: Evidence


class SweepAnswer(Wire):
    """The result of a sweep: the most similar documents, and the weight of each document at each temperature."""

    matches: list[SweptMatch]
    temperatures: list[AtTemperature] = Field(description="The answers in the order of the requested temperatures.")
    unknown_tokens: UnknownTokens = None
    full_text: FullTextAnswer | None = Field(None, description="The effect of `full_text`, if the request has it.")
    documents: int = Field(description="The number of documents that pass the filter and can be attended to.")
    keys: int = Field(description="The number of their keys.")
    warnings: Warnings = None
    applied: Applied = None
    collection: CollectionBehind = None
    took_ms: float
