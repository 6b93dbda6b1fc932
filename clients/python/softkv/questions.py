"""Questions as the service takes them: records of them and of their parts, each field with its range and its words.

The service compiles the checks of its requests from these records, and their description. It hands a question on as
the record, with the defaults of the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

from softkv.record import NOT_SENT, ONE_OF, OR_NULL, Keyword, LeftOut, Length, Named, Range, Record

Normaliser: TypeAlias = Literal["softmax", "sparsemax", "entmax15", "one_hot"]
Null: TypeAlias = float | Literal["auto", "lenient", "strict", "calibrated", False]
Bias: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""One term of a bias in the service's JSON, or a list of terms. A `filter` may be an expression as `F.year >= 1990`."""
MatchField: TypeAlias = Literal[
    "value", "key", "metadata", "output", "key_vector", "value_vector", "explanation", "highlight"
]
SweptField: TypeAlias = Literal["key", "value", "metadata", "key_vector", "value_vector"]
VectorFormat: TypeAlias = Literal["numbers", "base64"]
TracedField: TypeAlias = Literal[
    "logits",
    "query",
    "key",
    "value",
    "written",
    "hidden_states",
    "neurons",
    "vector",
    "without_head",
    "changes",
]

# Values whose JSON the service checks by more than a type and a range; it has the check of each name.
Query: TypeAlias = Annotated[Any, Named("QueryOrParts")]
TextQuery: TypeAlias = Annotated[Any, Named("TextOrParts")]
Temperature: TypeAlias = Annotated[float, Named("Temperature")]
TemperatureOrAuto: TypeAlias = Annotated[float | Literal["auto"], Named("TemperatureOrAuto")]
NullKey: TypeAlias = Annotated[Null, Named("Null")]
MetadataField: TypeAlias = Annotated[str, Named("MetadataField")]
Condition: TypeAlias = Annotated[Any, Named("Filter")]
BiasTerms: TypeAlias = Annotated[Bias, Named("Bias")]
FullTextFactor: TypeAlias = Annotated[float | Literal["auto"] | Mapping[str, Any], Named("FullText")]
Factor: TypeAlias = Annotated[float | Literal["auto"], Named("WeightOrAuto")]
Bound: TypeAlias = Annotated[float | str, Named("Bound")]

# Marks of fields of a question. Those about neither matches nor documents are about weights.
ABOUT_MATCHES: Final = "about matches"
ABOUT_DOCUMENTS: Final = "about the documents that are asked"
OF_ANSWER: Final = "of the answer"
"""The mark of a field that adds to the answer and not to its matches."""
DefaultName: TypeAlias = Literal["filter", "bias", "full_text", "rerank", "top_k", "include"]
"""The fields of `Defaults`, for type checkers."""
MAX_TOP_K: Final = 10_000
MAX_TEMPERATURES: Final = 1024
MAX_QUANTILES: Final = 100
MAX_READS: Final = 10
MAX_GROUPS: Final = 100
MAX_GROUP_DOCUMENTS: Final = 100
MAX_DEPTH: Final = 1000
"""The most documents of a query that a reranker reads."""
MATCH_FIELDS: Final[tuple[MatchField, ...]] = ("value", "key", "metadata")
SWEPT_FIELDS: Final[tuple[SweptField, ...]] = ("key", "value", "metadata")
EXAMPLE: Final = "how do databases work?"


class RerankModel(Record):
    """A reranker, and how many documents of a query it reads.

    Attributes:
        model: a reranker of `GET /v1/encoders`. Left out: the first. `late` is late interaction: the words of the
            question and of the documents, as the collection's own encoder reads them.
        depth: the number of documents that it reads: the best ones without it; of `late` 10 if left out. Documents
            beyond it, and those without a key text, keep their logits.
    """

    model: str | None = None
    depth: Annotated[int | None, Range(1, MAX_DEPTH), LeftOut(50)] = None


class Rerank(RerankModel):
    """A reranker that reads the best documents of a query, and adds weight · logit to their logits.

    Attributes:
        weight: the factor of the reranker's logit. `"auto"` is that of the calibration, if it was fitted with this
            model and depth; otherwise 1. Of `late` 1, or 0 to leave it out.
    """

    weight: Factor = "auto"


class Read(Record, sent={"how": "as"}):
    """A metadata field to combine over all documents, and how: each value counts with the weight of its document.

    Attributes:
        field: the field as in filters: `metadata.` and a name.
        how: `mean` and `quantile` use numbers; `vote` uses texts, numbers, true and false.
        quantiles: the quantiles to read, with `quantile`. Left out: the median.
    """

    field: MetadataField
    how: Literal["mean", "vote", "quantile"]
    quantiles: Annotated[Sequence[Annotated[float, Range(above=0, below=1)]] | None, Length(1, MAX_QUANTILES)] = None


class GroupBy(Record):
    """A metadata field by which the documents that pass are grouped: by its values, or by ranges of them.

    Attributes:
        field: the field as in filters: `metadata.` and a name.
        groups: groups to return, the heaviest ones.
        documents: matches to return in each group, the best ones of all documents.
        ranges: ranges of numbers or dates, a group each: from the first bound up to the second, which is not included.
            They may not overlap. Left out: a group of each value.
        cursor: the `next_cursor` of the page before, for the same question: its lighter groups follow.
    """

    field: MetadataField
    groups: Annotated[int, Range(1, MAX_GROUPS)] = 10
    documents: Annotated[int, Range(0, MAX_GROUP_DOCUMENTS)] = 3
    ranges: Annotated[
        Sequence[Annotated[Sequence[Bound | None], Length(2, 2)]] | None,
        Length(1, MAX_GROUPS),
        Keyword("examples", [[[None, 1950], [1950, 2000]]]),
    ] = None
    cursor: str | None = None


class Question(Record, schema="AttendRequest"):
    """One query or several, by exactly one of `query` and `queries`, with the options of the question.

    Attributes:
        query: a text, encoded by the collection's encoder; a vector of the keys' width; or a list of parts, whose
            weighted sum is the query.
        queries: several queries at once, instead of `query`; at most 64 unless the service sets another limit.
        temperature: T in logit = similarity / T: near 0 the best match has all weight, and larger values share it
            among more documents; `"auto"` chooses T so that the answer rests on `effective_documents` documents. It
            does so within 1 %, and needs softmax. Left out: the collection's.
        effective_documents: the number of documents on which the answer rests, with `temperature` `"auto"`; at most
            half of those that pass.
        top_k: matches to return. Left out: the collection's default, or 10; with `top_p` at most 1,000. None: without
            the default of the collection.
        top_p: return the smallest set of matches that holds this share of the document weight.
        filter: a filter for the documents that may be attended to; the collection's default filter holds, too. Left
            out: the collection's default, or all documents. None: without the default.
        normaliser: the function that turns logits into weights. softmax gives every document some weight; sparsemax
            and entmax15 give the worse documents none; one_hot gives all weight to the best.
        null: the similarity of the null key, "none of these"; or the name of a rule for it, or False for no null key.
            Left out: the collection's.
        max_error: the largest error that the certificate may state: as `total_variation`, and as `output_error`
            relative to the largest value.
        full_text: the factor of a document's full-text rank, which is added to its logit; `"auto"` is that of the
            calibration, and {"weight": 0.1, "query": text} ranks a text of its own, with "phrases" in quotes and
            prefix*. A number needs a query that is a text; both need softmax, and a temperature that is a number. 0
            has no effect. Left out: the collection's default, or 0. None: 0.
        bias: one more term of the logits, such as {"field": "metadata.year", "half_life": 10}. Several are a list.
            Needs softmax, and a temperature that is a number. Left out: the collection's default, or none. None: none.
        rerank: a reranker that reads the best documents and adds weight · its logit to their logits; {} is the first
            one, and `late` compares the words of the question and of the documents. An example is
            {"model": "marco", "depth": 50}. Needs a query that is a text, softmax, and a temperature that is a number.
            Left out: the collection's default; without one, late interaction if the collection has `late`, and the
            question and the calibration allow it. None: none.
        min_confidence: the confidence that the first match needs for the verdict "one", in a calibrated collection.
            The question then needs the settings of its calibration.
        diversity: let documents share the place of a heavier match if the cosine distance (1 − cosine) of their keys
            is at most this: the match then has their weight, too. Left out: each document has a place of its own.
        allow_missing: answer even if some documents are unavailable; `coverage` of the answer says how many were read.
            If False, such a request is a 503 `shards_missing`.
        read: a metadata field whose values are combined over every document that passes. An example is
            {"field": "metadata.year", "as": "mean"}. Several are a list.
        group_by: a metadata field by which the documents that pass are grouped: the answer has the weight of each
            group and its best documents. An example is {"field": "metadata.shelf", "groups": 10}; with "ranges":
            [[1900, 1950], [1950, None]], the groups are ranges of its values.
        include: fields of a match to return, besides its numbers; `output` is the weighted sum of value vectors, and
            belongs to the whole answer. Left out: the collection's default, or these three. None: these three.
        vector_format: the format of vectors in the answer: lists of numbers, or base64 of little-endian float32.
        ignore_defaults: the names of the fields that are None although the collection may have a default.
    """

    query: Annotated[Query | None, Keyword("examples", [EXAMPLE])] = None
    queries: Annotated[Sequence[Query] | None, Length(1)] = None
    temperature: TemperatureOrAuto | None = None
    effective_documents: Annotated[float, Range(least=1)] = 8.0
    top_k: Annotated[int | None, Range(0, MAX_TOP_K), OR_NULL, ABOUT_MATCHES] = None
    top_p: Annotated[float | None, Range(above=0, most=1), ABOUT_MATCHES] = None
    filter: Annotated[Condition | None, OR_NULL, ABOUT_DOCUMENTS] = None
    normaliser: Normaliser = "softmax"
    null: NullKey | None = None
    max_error: Annotated[float | None, Range(above=0)] = None
    full_text: Annotated[FullTextFactor | None, OR_NULL] = None
    bias: Annotated[BiasTerms | None, OR_NULL] = None
    rerank: Annotated[Rerank | None, OR_NULL] = None
    min_confidence: Annotated[float | None, Range(0, 1), ABOUT_MATCHES] = None
    diversity: Annotated[float | None, Range(0, 1), ABOUT_MATCHES] = None
    allow_missing: Annotated[bool, ABOUT_DOCUMENTS, OF_ANSWER] = False
    # No question is built by the class method of this name.
    read: Annotated[Read | Sequence[Read] | None, ONE_OF, Length(1, MAX_READS), ABOUT_MATCHES, OF_ANSWER] = None  # type: ignore[assignment]
    group_by: Annotated[GroupBy | None, ABOUT_MATCHES, OF_ANSWER] = None
    include: Annotated[Sequence[MatchField] | None, OR_NULL, Keyword("default", [*MATCH_FIELDS])] = None
    vector_format: VectorFormat = "numbers"
    ignore_defaults: Annotated[frozenset[str], NOT_SENT] = frozenset()


class Defaults(Record):
    """Options of questions to a collection, for questions that do not send their own, as their JSON. They protect
    nothing: every caller may send None instead. The `filter` of an API key protects.

    Attributes:
        filter: the documents that may be attended to; joined to a question's own.
        bias: terms added to the logits, unless the temperature or the normaliser allows none.
        full_text: the factor λ of full text, if every query is a text; or an object with a text of its own. `"auto"`:
            the λ of the calibration, if there is one.
        rerank: a reranker, if every query is a text that it reads, and the temperature and the normaliser allow it. It
            has no effect on other questions. Late interaction is `late` of the collection.
        top_k: matches to return, unless the question has `top_p`.
        include: fields of a match to return, as far as the call has them.
    """

    filter: Annotated[Any, Named("StoredFilter")] | None = None
    bias: Annotated[Bias, Named("StoredBias")] | None = None
    full_text: FullTextFactor | None = None
    rerank: Annotated[Mapping[str, Any], Named("StoredRerank")] | None = None
    top_k: Annotated[int | None, Range(0, MAX_TOP_K)] = None
    include: Sequence[MatchField] | None = None


class Compare(Record, schema="CompareRequest"):
    """A question, to be answered from a collection by SQL's `=`, by SQL's full text, by top-k and by attention.

    Attributes:
        query: the question for all four ways: a text, or a list of parts as for `attend`. SQL then looks for the texts
            of the parts with a positive weight.
        temperature: the temperature of attention. Left out: the collection's.
        null: the null key of attention. Left out: the collection's.
        top_k: rows to return for each of the four ways. Left out: the collection's default, or 10. None: 10.
        filter: the documents that may be found; the collection's default filter holds, too. Left out: that default, or
            all documents. None: without the default.
        ignore_defaults: the names of the fields that are None although the collection may have a default.
    """

    query: TextQuery
    temperature: Temperature | None = None
    null: NullKey | None = None
    top_k: Annotated[int | None, Range(0, MAX_TOP_K), OR_NULL] = None
    filter: Annotated[Condition | None, OR_NULL] = None
    ignore_defaults: Annotated[frozenset[str], NOT_SENT] = frozenset()


class Sweep(Record, schema="SweepRequest"):
    """A query that is to be answered at several temperatures (a sweep).

    Attributes:
        query: a text, encoded by the collection's encoder; a vector of the keys' width; or a list of parts, whose
            weighted sum is the query.
        temperatures: 1 to 1,024 temperatures.
        top_k: matches to return. Left out: the collection's default, or 10. None: 10.
        null, filter, full_text, bias: as for `attend`.
        include: fields of a match to return, besides its similarity. Left out: the collection's default as far as a
            sweep has these fields, or these three. None: these three.
        vector_format: the format of vectors in the answer: lists of numbers, or base64 of little-endian float32.
        ignore_defaults: the names of the fields that are None although the collection may have a default.
    """

    query: Query
    temperatures: Annotated[Sequence[Temperature], Length(1, MAX_TEMPERATURES)]
    top_k: Annotated[int | None, Range(0, MAX_TOP_K), OR_NULL] = None
    null: NullKey | None = None
    filter: Annotated[Condition | None, OR_NULL] = None
    full_text: Annotated[FullTextFactor | None, OR_NULL] = None
    bias: Annotated[BiasTerms | None, OR_NULL] = None
    include: Annotated[Sequence[SweptField] | None, OR_NULL, Keyword("default", [*SWEPT_FIELDS])] = None
    vector_format: VectorFormat = "numbers"
    ignore_defaults: Annotated[frozenset[str], NOT_SENT] = frozenset()
