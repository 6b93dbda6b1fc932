"""Information about the service, its collections, models and fields; and calibrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias, TypedDict

from softkv.answers.calibration import (
    CalibratedReranker,
    CalibrationFigure,
    CalibrationFigures,
    CalibrationGain,
    ConfidenceCurve,
    ConformalLevel,
    ErrorBound,
    Labels,
    Promised,
    RefitStatus,
    Seen,
    WithWords,
)
from softkv.record import ALWAYS_SENT, LEFT_OUT, NAME, Keyword, Named, Record

Scalar: TypeAlias = str | int | float | bool | None
LabelSource: TypeAlias = Literal["labels", "feedback", "self"]
ErrorOf: TypeAlias = Literal["answers", "questions"]
Figures: TypeAlias = Annotated[Mapping[str, CalibrationFigure], CalibrationFigures]


class KeptCalibration(Record, sent={"source": "from"}):
    """The stored calibration of a collection: what was fitted to labelled questions.

    Attributes:
        version: the version of the format.
        documents: the number of documents of the collection at that time.
        encoder: the encoder of the collection at that time.
        level: the null key weighs as much as n keys of this similarity.
        full_text: λ: the factor of the full-text rank in a logit; 0 if words do not help.
        outgrown: whether the calibration is out of date: the collection now has more than twice or less than half
            of these documents, or another temperature or encoder. Then calibrate it again.
        none_from: the weight of this null key from which the verdict is `none`, at least ½. 9 of 10 questions with
            an answer are below it, unless made questions on other topics would be below it, too.
        errors: confidences that keep a promised share of wrong answers; `find_min_confidence` chooses one.
        source: the origin of the questions; "labels" if the caller sent them.
        at: the time of the fit in UTC (RFC 3339); None if it is unknown.
        promised: `ece` and `coverage` on held-out questions; None if they are unknown.
        seen: what feedback says of it since; None in a list of collections. docs/guide/feedback.md explains the
            fields.
        refit: whether a fit to feedback replaces it (`mode`), and whether one that was tried is better
            (`proposed`).
        rerank: model, depth and fitted weight of the reranker; None if the fit had none.
    """

    version: int
    documents: int
    encoder: str | None
    temperature: float
    level: float
    full_text: float
    labels: Annotated[Mapping[str, int], Labels]
    outgrown: bool
    none_from: Annotated[float, ALWAYS_SENT] = 0.5
    errors: Annotated[Sequence[ErrorBound], ALWAYS_SENT] = ()
    source: Annotated[LabelSource, ALWAYS_SENT] = "labels"
    at: Annotated[str | None, ALWAYS_SENT] = None
    promised: Annotated[Promised | None, ALWAYS_SENT] = None
    seen: Annotated[Seen | None, ALWAYS_SENT] = None
    refit: Annotated[RefitStatus | None, RefitStatus, ALWAYS_SENT] = None
    rerank: Annotated[CalibratedReranker | None, ALWAYS_SENT] = None

    def find_min_confidence(self, error: float, of: ErrorOf = "answers") -> float | None:
        """Return the `min_confidence` that keeps a promised share of wrong answers; None if no bound is so strict.

        Args:
            error: the largest share that is wrong.
            of: whether it is a share of the answers, or of all questions.
        """
        return _find_min_confidence(self.errors, error, of)


class Calibration(Record, schema="CalibrateAnswer", sent={"source": "from"}):
    """The result of a calibration: values fitted to labelled questions, and how much they improve answers.
    docs/guide/calibration.md explains each field.

    Attributes:
        level: the null key weighs as much as n keys of this similarity.
        full_text: λ; 0 if words improve the likelihood of the labels by no more than its standard error, or worsen
            the ranking.
        confidence: slope, slope_above, lead_slope, lead_slope_above and offset of the curve.
        conformal: for each promised probability, the least weight of a match in the set that keeps it.
        words: level, confidence and conformal fitted with full text, at the fitted `full_text`; None if that is 0.
        before, after, after_words, after_reranked: figures by name, each a value and its standard error.
        gained: the decrease of these losses, question by question, without words and reranker.
        applied: whether the calibration was stored.
        reason: the reason against storing it: the gain is too small. None if it is large enough.
        none_from: the weight of this null key from which the verdict is `none`, at least ½. 9 of 10 questions with
            an answer are below it, unless made questions on other topics would be below it, too.
        errors: confidences that keep a promised share of wrong answers; `find_min_confidence` chooses one.
        source: the origin of the questions; "labels" if the caller sent them.
        at: when it was fitted, in UTC (RFC 3339); None if unknown.
        collection: the name of the collection that answered, if an alias was named.
        rerank: model, depth and fitted weight of the reranker; None if the call had none.
        reranked: what `words` has, fitted with the reranker; None if its weight is 0.
        left_out: the ids that do not count, since no document with a key has them. A question with no other answer
            is left out.
    """

    temperature: float
    level: float
    full_text: float
    confidence: Annotated[Mapping[str, float], ConfidenceCurve]
    conformal: list[ConformalLevel]
    words: WithWords | None
    before: Figures
    after: Figures
    after_words: Figures | None
    gained: Annotated[Mapping[str, CalibrationFigure], CalibrationGain]
    labels: Annotated[Mapping[str, int], Labels]
    documents: int
    encoder: str | None
    applied: bool
    reason: str | None
    took_ms: float
    none_from: Annotated[float, ALWAYS_SENT] = 0.5
    errors: Annotated[Sequence[ErrorBound], ALWAYS_SENT] = ()
    source: Annotated[LabelSource, ALWAYS_SENT] = "labels"
    at: Annotated[str | None, ALWAYS_SENT] = None
    collection: str | None = None
    rerank: Annotated[CalibratedReranker | None, ALWAYS_SENT] = None
    reranked: Annotated[WithWords | None, ALWAYS_SENT] = None
    after_reranked: Annotated[Figures | None, ALWAYS_SENT] = None
    left_out: Annotated[Sequence[Annotated[Mapping[str, str], Named("FieldProblem")]], ALWAYS_SENT] = ()

    @property
    def would_apply(self) -> bool:
        """Whether the gain is large enough; `apply=True` then stores the calibration."""
        return self.reason is None

    def find_min_confidence(self, error: float, of: ErrorOf = "answers") -> float | None:
        """Return the `min_confidence` that keeps a promised share of wrong answers; None if no bound is so strict.

        Args:
            error: the largest share that is wrong.
            of: whether it is a share of the answers, or of all questions.
        """
        return _find_min_confidence(self.errors, error, of)

    def explain(self) -> str:
        """Return the figures before and after as a table with standard errors, and whether they are stored."""
        columns = {"before": self.before, "after": self.after}
        if self.after_words is not None:
            columns["after_words"] = self.after_words
        if self.after_reranked is not None:
            columns["after_reranked"] = self.after_reranked
        rows = [
            ("", *columns),
            *((name, *(_format_figure(figures[name]) for figures in columns.values())) for name in self.before),
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
        return "\n".join([*table, self._gains_text(), self._status_text()])

    def __repr__(self) -> str:
        questions = sum(self.labels.values())
        return f"<Calibration of {questions:,} questions, {self._gains_text()}, {self._status_text()}>"

    def _gains_text(self) -> str:
        return ", ".join(describe_gain(name, figure) for name, figure in self.gained.items())

    def _status_text(self) -> str:
        unknown = f"; {describe_left_out(self.left_out)}" if self.left_out else ""
        if self.reason is not None:
            return f"not applied: {self.reason}{unknown}"
        return ("applied" if self.applied else "not applied: apply=True keeps it") + unknown


def _find_min_confidence(errors: Sequence[ErrorBound], error: float, of: ErrorOf) -> float | None:
    confidences = [bound["min_confidence"] for bound in errors if bound["of"] == of and bound["error"] <= error]
    return min(confidences, default=None)


def describe_left_out(flaws: Sequence[Mapping[str, str]]) -> str:
    """Return in words how many judgements do not count, and what is said of the first."""
    return f"judgements that do not count: {len(flaws):,}, the first at {flaws[0]['pointer']}: {flaws[0]['detail']}"


def describe_gain(name: str, figure: CalibrationFigure) -> str:
    """Return in words how much a loss fell or rose, with its standard error."""
    fell = figure["value"]
    rose = fell is not None and fell < 0
    return f"{name} rose by {_format_figure(figure)[1:]}" if rose else f"{name} fell by {_format_figure(figure)}"


def _format_figure(figure: CalibrationFigure) -> str:
    """Format a value and its standard error."""
    value, error = figure["value"], figure["error"]
    return "–" if value is None or error is None else f"{value:.3f} ± {error:.3f}"


def parse_kept_calibration(content: Mapping[str, Any] | None) -> KeptCalibration | None:
    """Parse a stored calibration; return None if the service sent null or nothing."""
    return None if content is None else KeptCalibration.read(content)


class Observation(TypedDict):
    """The answer of the collection when the record came.

    Attributes:
        first: the id of the first match; None without one.
        confidence: the confidence of that match; None if the collection was not calibrated.
        covered: whether the right document was in the set of `conformal` 0.9; None if that is unknown.
    """

    first: str | None
    confidence: float | None
    covered: bool | None


class FeedbackRecord(Record):
    """A stored record of feedback.

    Attributes:
        number: the number of the record; later ones have larger numbers.
        query: a text, or a list of numbers.
        id: the document; None for "the collection has no answer".
        right: whether that is right.
        at: when it came, in UTC (RFC 3339).
        observed: the answer of the collection at that time: `first`, the id of the first match, its `confidence`,
            and whether the right document was in the set of 0.9 (`covered`); None if it is unknown.
    """

    number: int
    query: Annotated[str | list[float], Named("Query")]
    id: str | None
    right: bool
    at: str
    observed: Annotated[Observation | None, ALWAYS_SENT] = None


class FeedbackKept(Record):
    """The number of records that were stored, and the judgements that were not.

    Attributes:
        left_out: the judgements of documents that are missing.
        collection: the name of the collection that answered, if an alias was named.
    """

    kept: int
    left_out: list[Annotated[Mapping[str, str], Named("FieldProblem")]]
    collection: str | None = None


class FeedbackPage(Record):
    """A page of feedback, the oldest first.

    Attributes:
        next_cursor: for the next page; None after the last.
        count: the number of all records; at most 100,000, of which the oldest make room.
        collection: the name of the collection that answered, if an alias was named.
    """

    feedback: list[FeedbackRecord]
    next_cursor: str | None
    count: int
    collection: str | None = None


class FeedbackDeleted(Record):
    """The number of records that were deleted.

    Attributes:
        collection: the name of the collection that answered, if an alias was named.
    """

    deleted: int
    collection: str | None = None


class Spread(Record):
    """The mean and standard deviation of some similarities."""

    mean: float
    deviation: float


class CappedSpread(Spread):
    """The mean and standard deviation of similarities, and a distribution up to whose null similarity they count.

    Attributes:
        at_most: the other distribution: that of the encoder, one deviation higher; None if nothing bounds it.
    """

    at_most: Annotated[Spread | None, ALWAYS_SENT] = None


class Background(Record, schema="NullBackground"):
    """The distribution of similarities between unrelated keys, from which named null keys are computed.

    Attributes:
        of: the source of the distribution. `encoder`: unrelated questions and texts. `keys`: the keys of two
            different documents. `both`: a blend of these two. `labels`: labelled questions, which set the mean; the
            deviation is 0.
        pairs: the number of pairs of keys that were compared; 0 for the sources `encoder` and `labels`.
        at_most: the other distribution: that of the encoder, one deviation higher; None if nothing bounds it.
        short: the distribution for a question of one to three words, if most keys are as short: unrelated words are
            more similar than sentences. None if keys are longer, and without an encoder.
        at_least: the similarities of one question to keys of the collection, whose null similarity counts if it is
            higher. None in the description of a collection, because each question has others, and for null keys
            other than `auto`.
        fades_from: the temperature from which `at_least` counts less; from twice of it on it does not count. None
            without `at_least`.
    """

    mean: float
    deviation: float
    of: Literal["encoder", "keys", "both", "labels"]
    pairs: int
    at_most: Annotated[Spread | None, ALWAYS_SENT] = None
    short: Annotated[CappedSpread | None, ALWAYS_SENT] = None
    at_least: Annotated[CappedSpread | None, ALWAYS_SENT] = None
    fades_from: Annotated[float | None, ALWAYS_SENT] = None


class Alias(Record, schema="AliasAnswer"):
    """An alias, and the name of the collection for which it stands.

    Attributes:
        alias, collection: a letter or digit, then up to 127 letters, digits, dots, underscores or dashes.
    """

    alias: Annotated[str, NAME, Keyword("examples", ("current",))]
    collection: Annotated[str, NAME, Keyword("examples", ("library",))]


class AliasList(Record):
    """A list of aliases, ordered by name: all of them, or one page.

    Attributes:
        next_cursor: the position of the next page; None at the end, and with a limit of 0.
    """

    aliases: list[Alias]
    next_cursor: str | None


class ReEncoding(Record, schema="ReEncodeAnswer", sent={"source": "from"}):
    """A job that moves a collection to another encoder, and how far it is.

    Attributes:
        state: `paused` while it waits, for example for the encoder: it goes on by itself.
        reason: why it is paused or has failed; None otherwise.
        source: the encoder until now; None for a collection to which callers sent all vectors.
        to: the other encoder.
        documents: the documents of the collection; after the end, those that it had then.
        done: the number of those that have vectors of the other encoder.
        started, ended: times in UTC (RFC 3339); `ended` is None before the end.
        drops: the settings that do not survive: calibration and projection are of the vectors until now.
        collection: the name of the collection, if an alias was named.
    """

    state: Literal["running", "paused", "done", "failed", "cancelled"]
    reason: str | None
    source: str | None
    to: str
    documents: int
    done: int
    started: str
    ended: str | None
    drops: list[Literal["calibration", "projection"]]
    collection: str | None = None

    @property
    def over(self) -> bool:
        """Whether the job has ended."""
        return self.state not in ("running", "paused")


class TrainingReport(Record):
    """The quality of a projection on labelled pairs, as its trainer measured it.

    Attributes:
        pairs: the number of pairs that it was trained on.
        held_out: the number of other pairs, on which its quality was measured.
        mrr_before, mrr_after: the mean reciprocal rank of the right documents, as served before and with it.
        error: the standard error of their difference, which is paired.
    """

    pairs: int
    held_out: int
    mrr_before: float
    mrr_after: float
    error: float


class KeptProjection(Record):
    """A projection without its vectors.

    Attributes:
        rank: the number of directions that it changes.
        at: when it was stored, in UTC (RFC 3339).
        trained: the quality on labelled pairs; None if it was not sent.
    """

    rank: int
    at: str
    trained: TrainingReport | None


class ProjectionInfo(KeptProjection, schema="ProjectionAnswer"):
    """The map of a collection's queries, without its vectors.

    Attributes:
        drops: for one that was just stored, the settings that the collection lost by it: a calibration is of other
            similarities.
        collection: the name of the collection that answered, if an alias was named.
    """

    drops: Annotated[Sequence[str], ALWAYS_SENT] = ()
    collection: str | None = None


def parse_projection_info(content: Mapping[str, Any] | None) -> ProjectionInfo | None:
    """Parse the description of a projection; return None if the service sent null or nothing."""
    if content is None:
        return None
    trained = content["trained"]
    return ProjectionInfo.read(content, trained=trained and TrainingReport.read(trained))


class CollectionCosts(Record):
    """The costs of a collection: memory, disk, and the times of its questions.

    Attributes:
        memory_bytes: the bytes of its keys, values and codes in the memory of this process, with room for more; 0
            while they are not in memory, None if shard servers hold them.
        disk_bytes: about how many bytes it takes in the database, with its indexes. At most 128 of its documents
            are measured, again whenever their number changes; free pages and the log are not counted.
        asked: the number of questions that this process has answered since its start.
        p99_ms: the milliseconds within which 99 of 100 calls with questions were answered, rounded up by at most a
            fifth; without the encoding of texts. None before the first.
    """

    memory_bytes: int | None
    disk_bytes: int
    asked: int
    p99_ms: float | None


class CollectionInfo(Record, schema="CollectionAnswer"):
    """The settings of a collection, its size, and whether it is ready for queries.

    Attributes:
        name: a letter or digit, then up to 127 letters, digits, dots, underscores or dashes.
        similarity: cosine: q·k/‖q‖‖k‖; dot: q·k; scaled_dot: q·k/√d; gaussian: −‖q − k‖²/2.
        dimension: the width of the keys; None before it is set.
        value_dimension: the width of the values; None before it is set.
        encoder: the encoder of its texts; None if its documents come with vectors.
        precision: the number format of the encoder: float32 or bfloat16.
        background: the basis of a null key with a name; None without one, and before it can be measured.
        null_similarity: the similarity of the null key at the collection's temperature, over all of its documents.
            A question that is similar to all of them raises it, if `null` is "auto".
        calibration: the stored calibration; None without one.
        documents: the number of documents that can be attended to; `keyless` documents are counted separately.
        keyless: the number of further documents, which have no key: they are found by id and filter, and never
            weighed.
        keys: the number of keys of its documents: one each, or several. None until it is `ready`.
        ready: false while its keys are read from disk after a start, or while it is loaded as a demo collection.
        costs: memory, disk and times. None in lists, in answers to PUT and PATCH, for a key with a filter, and if a
            document that is measured is damaged.
        defaults: the options of queries that do not send their own; None without any, and from an older service.
        expire_after: the seconds after which a new document expires that has no `expires` of its own; None: never.
        expired: the number of documents that have expired, and are absent, but are not deleted yet; 0 for a key
            with a filter.
        projection: the map of its queries, which was trained on labelled pairs; None without one.
    """

    name: Annotated[str, NAME, Keyword("examples", ("library",))]
    similarity: Literal["cosine", "dot", "scaled_dot", "gaussian"]
    dimension: int | None
    value_dimension: int | None
    encoder: str | None
    precision: str | None
    value_from: Literal["value", "key"]
    temperature: Annotated[float, Named("Temperature")]
    null: Annotated[float | Literal["auto", "lenient", "strict", "calibrated", False], Named("Null")]
    background: Background | None
    null_similarity: float | None
    calibration: KeptCalibration | None
    documents: int
    keyless: int
    keys: int | None
    ready: bool
    costs: Annotated[CollectionCosts | None, ALWAYS_SENT] = None
    defaults: Annotated[Annotated[Mapping[str, Any], Named("Defaults")] | None, ALWAYS_SENT] = None
    expire_after: Annotated[float | None, ALWAYS_SENT] = None
    expired: Annotated[int | None, int, ALWAYS_SENT] = None
    projection: Annotated[Annotated[ProjectionInfo, KeptProjection] | None, ALWAYS_SENT] = None


class CollectionList(Record):
    """A list of collections, ordered by name: all of them, or one page.

    Attributes:
        next_cursor: the position of the next page; None at the end, and with a limit of 0.
        access: the access of this caller; each includes those before it.
    """

    collections: list[CollectionInfo]
    next_cursor: str | None
    access: Literal["read", "feedback", "write"]


class ServerInfo(Record, schema="ServerAnswer"):
    """A shard server, a process in a Ray cluster that holds a part of all keys. Fields that only the server knows are
    None if it did not answer within a second.

    Attributes:
        machine: the machine that the server runs on.
        leaving: whether the server stops as soon as others hold its shards.
        ranges: the number of shards that the server holds.
        keys: the number of keys that can be attended to, in these shards.
        coming: the number of shards that the server is reading, or will read.
        lag: the number of versions that the server is behind, for the collection that is furthest behind.
        trouble: the reason that the last reading of the store failed; None if it succeeded.
    """

    name: str
    machine: str | None
    leaving: bool
    ranges: int
    keys: int | None
    coming: int | None
    lag: int | None
    trouble: str | None


class ShardsInfo(Record, schema="ShardsAnswer"):
    """The state of the servers that hold the keys: the number of shards, and how many have all copies or none.

    `ranges`, `whole` and `unheld` are None while the store is unavailable.

    Attributes:
        copies: the number of servers that shall hold each shard; 0 if no servers are deployed.
        ranges: the number of shards of all collections together.
        whole: the number of those that as many servers hold as `copies` says, or all servers.
        unheld: the number of those that no server holds.
        servers: all servers, by name.
    """

    copies: int
    ranges: int | None
    whole: int | None
    unheld: int | None
    servers: list[ServerInfo]


class Limits(TypedDict):
    """The limits of one request. A request above a limit gets a 422 or a 413, unless the field says otherwise.

    Attributes:
        body_bytes: bytes of a JSON body, or of a line of NDJSON.
        requests_at_once: calls of one kind in progress at once; one more is a 429.
        calibrate_questions: `questions` of one calibration.
        documents: documents in a JSON body; a stream of NDJSON takes any number.
        queries: `queries` of one attend.
        temperatures: `temperatures` of one sweep.
        top_k: `top_k`, in every call that has it.
        answer_matches: `top_k` times the number of `queries` of one attend. Without `top_k`, 10 matches count for
            each query, or 1,000 with `top_p` or `conformal`. With `diversity`, ten times `top_k`, but 100 to 1,000
            of them.
        query_parts: parts of one `query` that is a list.
        request_parts: parts of all `queries` of one attend together.
        read_fields: fields of one `read`.
        groups: `groups`, and `ranges`, of one `group_by`.
        group_documents: `documents` of one `group_by`.
        answer_groups: `groups` of a `group_by` times the number of `queries` of one attend.
        sweep_weights: `top_k` times the number of `temperatures` of one sweep.
        page: `limit` of a page.
        document_keys: keys of one document: its `key_vectors`, or the parts of its text.
        feedback_characters: characters of a question of feedback.
        rows: `rows` of one compare.
        highlight_sentences: different sentences of the key texts of one answer with `highlight`.
        filter_depth: levels of AND, OR and NOT in a filter.
        filter_values: values that one filter compares with, including those in the lists of `in` and `not in`. A
            text of `contains` counts as 100.
        filter_fields: different fields that one filter compares.
        fields: `fields` that one request for field facts names, and fields in one answer.
        field_values: `limit` of field facts: the values of each field.
        encode_texts: texts of one encode.
        encode_texts_with_tokens: texts of one encode with `tokens`.
        embeddings_inputs: `input` of one embeddings request; one more is a 400, as with OpenAI.
        rerank_documents: `documents` of one rerank, or pairs of one score.
        rerank_query_characters: characters of the query of one rerank.
        score_characters: characters of the texts of one score together.
        trace_characters: characters of the text and the pair of a trace together.
        trace_layers: `layers`, or `heads`, named in one trace.
        trace_numbers: numbers in the answer of one trace.
        logits: logits of attention on arrays in the request.
        hopfield_steps: `hopfield_steps` of attention on arrays in the request.
        vector_width: numbers of a vector.
        id_characters: unicode code points of a document's id.
        name_characters: characters of a collection's name.
        idempotency_key_characters: characters of an `Idempotency-Key`.
        idempotency_hours: hours for which a repeated write with the same key gets the first answer again.
        json_depth: levels of JSON in a stored value.
        rooms: rooms open at once. One more is a 429, and so is one above the share of a caller.
        room_rows: rows of a room.
        room_bytes: bytes of a room's rows and questions.
        room_characters: characters of a room's key, value or question.
        room_listeners: callers that listen to one room at once; one more is a 429.
        room_seconds: seconds that a room lives after its last use.
    """

    body_bytes: int
    requests_at_once: int
    calibrate_questions: int
    documents: int
    queries: int
    temperatures: int
    top_k: int
    answer_matches: int
    query_parts: int
    request_parts: int
    read_fields: int
    groups: int
    group_documents: int
    answer_groups: int
    sweep_weights: int
    page: int
    document_keys: int
    feedback_characters: int
    rows: int
    highlight_sentences: int
    filter_depth: int
    filter_values: int
    filter_fields: int
    fields: int
    field_values: int
    encode_texts: int
    encode_texts_with_tokens: int
    embeddings_inputs: int
    rerank_documents: int
    rerank_query_characters: int
    score_characters: int
    trace_characters: int
    trace_layers: int
    trace_numbers: int
    logits: int
    hopfield_steps: int
    vector_width: int
    id_characters: int
    name_characters: int
    idempotency_key_characters: int
    idempotency_hours: int
    json_depth: int
    rooms: int
    room_rows: int
    room_bytes: int
    room_characters: int
    room_listeners: int
    room_seconds: int


class ServiceInfo(Record, schema="ServiceAnswer"):
    """A service's version, encoder and limits by name; docs/reference/limits.md explains the limits.

    Attributes:
        encoder: the encoder of texts, unless a collection has its own; None without one.
        keys_required: whether a call without a key is refused. If false, such a call may still be limited to
            reading.
        shards: the servers that hold the keys; None if the service holds them itself.
    """

    version: str
    encoder: str | None
    keys_required: bool
    limits: Annotated[Mapping[str, int], Limits]
    shards: Annotated[ShardsInfo | None, ALWAYS_SENT] = None


class Liveness(Record):
    """The answer that shows that the service's process is alive."""

    status: Literal["alive"]


class Readiness(Record):
    """Whether the service is ready, is loading or draining, or has failed; and which parts.

    In a condition, it is true if the service is ready.

    Attributes:
        loading: parts that are still loading: the encoder, collections, demo collections.
        failed: parts that could not be loaded or are damaged on disk, each with the reason.
    """

    status: Literal["ready", "loading", "failed", "draining"]
    loading: list[str]
    failed: list[str]

    def __bool__(self) -> bool:
        return self.status == "ready"


class SlowRequest(Record, schema="SlowRequestAnswer"):
    """A request that took long, without its path and its content.

    Attributes:
        at: the time at which it ended (RFC 3339).
        route: the route, such as `/v1/collections/{name}/attend`.
        stages_ms: the time in each stage: `encode`, `scan`, `finish` and `storage`. Empty if no stage took part.
        collection: the collection that its path names; None without one.
        request_id: its id in the log.
    """

    at: str
    method: str
    route: str
    status: int
    took_ms: float
    stages_ms: dict[str, float]
    collection: str | None
    request_id: str | None


class SlowRequestList(Record):
    """The slowest requests since the start of the service, the slowest first; at most 100.

    Attributes:
        threshold_ms: only requests that took longer are listed (SOFTKV_SLOW_REQUEST_MS); 0 for no list.
    """

    threshold_ms: float
    requests: list[SlowRequest]


class Network(Record, schema="NetworkAnswer"):
    """Whether the service is open to the network, and under which URL.

    Attributes:
        open: whether other machines may read, and join rooms, since a caller has opened it.
        url: the URL of the service for other machines; None if it is closed.
        public: whether its address, or the first of `addresses` before it is opened, is one of the internet.
        moved: whether it is open at an address that the machine no longer has, because its network changed: open it
            again.
        addresses: the addresses of the machine in its networks, that of the default route first. Empty for callers
            on other machines.
        obstacle: why this caller cannot open the service: `caller` (only one on the same machine that may write
            can), `container`, `proxy` (or a Unix socket), `listening` (it listens on the network by its settings),
            `server` (`softkv serve` does not run it), or `offline`. None if it can.
    """

    open: bool
    url: str | None
    public: bool
    moved: bool
    addresses: list[str]
    obstacle: Literal["caller", "container", "proxy", "listening", "server", "offline"] | None


class EncoderInfo(Record, schema="EncoderAnswer"):
    """An encoder of the service, and what is known of it. Some fields are None before it has loaded once.

    Attributes:
        name: the name by which collections and calls choose it.
        kind: the kind of its computation: softkv's own Transformer (core), sentence-transformers (library), a table
            of token vectors (static), or a service elsewhere (remote). None for a model of this machine that was
            never loaded.
        model: the model behind the name, with settings that change its vectors.
        dimension: the width of its vectors; None before it has loaded once.
        state: `unloaded` until a text needs it, and after its memory was released.
        detail: the reason of a failure, or notes for the operator; None without any.
        temperature: the default temperature of its collections; None before it has loaded once.
        background: the cosines of unrelated questions and texts; None before it has loaded once.
        memory_bytes: the memory of its parameters in this process; 0 unless it is ready.
        default: whether it encodes texts for which no encoder is named.
    """

    name: str
    kind: Literal["core", "library", "static", "remote"] | None
    model: str
    dimension: int | None
    state: Literal["unloaded", "loading", "ready", "failed"]
    detail: str | None
    temperature: float | None
    background: Spread | None
    memory_bytes: int
    default: bool


class RerankerInfo(Record, schema="RerankerAnswer"):
    """A reranker of the service, which scores a query and a document together. `kind`
    and `max_tokens` are None unless it is in memory.

    Attributes:
        name: the name by which calls choose it.
        kind: the kind of its computation: softkv's own Transformer (core) or sentence-transformers (library). None
            unless it is in memory.
        model: the model behind the name.
        max_tokens: the number of tokens of a pair that it reads; None unless it is in memory.
        state: `unloaded` until a call needs it.
        detail: the reason of a failure; None without one.
        memory_bytes: the memory of its parameters in this process; 0 unless it is ready.
    """

    name: str
    kind: Literal["core", "library"] | None
    model: str
    max_tokens: int | None
    state: Literal["unloaded", "loading", "ready", "failed"]
    detail: str | None
    memory_bytes: int


class EncoderList(Record):
    """The encoders and the rerankers of this service, in the order of its settings; empty without any."""

    encoders: list[EncoderInfo]
    rerankers: list[RerankerInfo]


class Model(Record, closed=False):
    """A model of the service. From `state` on its fields are not OpenAI's; later ones are None before it is ready.

    Attributes:
        max_tokens: the number of tokens that it reads of a text; None also if it reads all.
        similarity: the similarity recommended by its makers: the default of its collections.
        temperature: the default temperature of its collections with that similarity: that of its training, or a
            measured one.
        temperature_source: the source of the temperature: the model card in its folder, or a measurement on pairs
            of questions and texts when it loaded.
        batched: false if its vectors depend on the other texts in a batch: then each text is encoded alone.
        notes: notes for the operator of the service.
        created: the time at which its weights were stored on this machine, in seconds of Unix time.
    """

    id: str
    state: Literal["unloaded", "loading", "ready", "failed"]
    runs_on: (
        Literal[
            "attention/transformer",
            "NumPy",
            "provider",
            "sentence-transformers with attention",
            "sentence-transformers",
        ]
        | None
    )
    dimension: int | None
    max_tokens: int | None
    precision: str | None
    similarity: Literal["cosine", "dot", "gaussian"] | None
    temperature: float | None
    temperature_source: Literal["model card", "measured"] | None
    batched: bool | None
    notes: list[str] | None
    object: Literal["model"]
    created: int
    owned_by: str


class FieldValue(Record):
    """A value of a metadata field, and the number of documents that have this value.

    Attributes:
        value: a text, a number, true or false; None only as an element of a list.
        count: the number of documents that have it, as the field itself or as an element of its list.
    """

    value: Scalar
    count: int


class FieldFacts(Record):
    """Statistics of one metadata field, over the documents that pass the filter.

    Attributes:
        types: the types that occur. `integer` is a number without a point or an exponent, `number` one with. A list
            adds `list` and the types of its scalars. The fields inside an `object` are listed under their own
            paths.
        count: the number of documents that have the field; None counts as absent.
        distinct: the number of different values: 1, 1.0, "1" and true are four. For a list, its scalars count.
        min: the smallest number. If there are only texts, the first by code point; otherwise None.
        max: the largest number. If there are only texts, the last by code point; otherwise None.
        values: the most frequent values first, then None, false, true, numbers and texts in their order; None
            without `values` in the request.
        next_cursor: the position of the next values; None at the end.
    """

    types: list[Literal["integer", "number", "text", "boolean", "null", "list", "object"]]
    count: int
    distinct: int
    min: int | float | str | None
    max: int | float | str | None
    values: list[FieldValue] | None
    next_cursor: str | None


class FieldsAnswer(Record):
    """Statistics of metadata fields, by name, in the order of the names or of the request.

    Attributes:
        next_cursor: the position of further fields; None at the end.
    """

    fields: dict[str, FieldFacts]
    next_cursor: str | None


class Written(Record, schema="Upserted"):
    """The result of a write: how many documents were written, and which were left out or cut.

    Attributes:
        upserted: the number of documents written.
        truncated: the ids of documents whose text is longer than the encoder reads; None if the encoder does not
            tell.
        skipped: the ids that existed already, whose documents stay unchanged.
        deleted: the number of documents that were deleted because the new ones supersede them.
    """

    upserted: int
    truncated: list[str] | None
    skipped: Annotated[list[str], LEFT_OUT]
    deleted: int = 0


def parse_background(content: Mapping[str, Any] | None) -> Background | None:
    """Parse the background of a null key; return None for null."""
    if content is None:
        return None
    capped = {name: _parse_capped(content.get(name)) for name in ("short", "at_least")}
    return Background.read(content, at_most=_parse_spread(content.get("at_most")), **capped)


def _parse_capped(content: Mapping[str, Any] | None) -> CappedSpread | None:
    return None if content is None else CappedSpread.read(content, at_most=_parse_spread(content.get("at_most")))


def _parse_spread(content: Mapping[str, Any] | None) -> Spread | None:
    return None if content is None else Spread.read(content)


def parse_encoder_info(content: Mapping[str, Any]) -> EncoderInfo:
    """Parse the response with an encoder's information."""
    return EncoderInfo.read(content, background=_parse_spread(content["background"]))


def parse_service_info(content: Mapping[str, Any]) -> ServiceInfo:
    """Parse the response with a service's information."""
    if (shards := content.get("shards")) is None:
        return ServiceInfo.read(content)
    servers = [ServerInfo.read(server) for server in shards["servers"]]
    return ServiceInfo.read(content, shards=ShardsInfo.read(shards, servers=servers))


def parse_collection_info(content: Mapping[str, Any]) -> CollectionInfo:
    """Parse the response with a collection's information."""
    calibration = parse_kept_calibration(content.get("calibration"))
    costs = None if content.get("costs") is None else CollectionCosts.read(content["costs"])
    background, projection = parse_background(content["background"]), parse_projection_info(content.get("projection"))
    return CollectionInfo.read(
        content, background=background, calibration=calibration, costs=costs, projection=projection
    )


def parse_field_facts(content: Mapping[str, Any]) -> FieldFacts:
    """Parse the statistics of a field."""
    values = content["values"]
    parsed = None if values is None else [FieldValue.read(value) for value in values]
    return FieldFacts.read(content, values=parsed)
