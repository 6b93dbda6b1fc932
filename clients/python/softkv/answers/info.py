"""Information about collections: settings, aliases, jobs and fields; and the results of writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from softkv.answers.calibration import KeptCalibration, parse_kept_calibration
from softkv.record import ALWAYS_SENT, LEFT_OUT, NAME, Keyword, Named, Record

Scalar: TypeAlias = str | int | float | bool | None


class Spread(Record):
    """The mean and standard deviation of some similarities."""

    mean: float
    deviation: float


class CappedSpread(Spread):
    """The mean and standard deviation of similarities, and a distribution up to whose null similarity they count.

    Attributes:
        at_most: the other distribution: that of the encoder, some deviations higher; None if nothing bounds it.
    """

    at_most: Annotated[Spread | None, ALWAYS_SENT] = None


class Background(Record, schema="NullBackground"):
    """The distribution of similarities between unrelated keys, from which named null keys are computed.

    Attributes:
        of: the source of the distribution. `encoder`: unrelated questions and texts. `keys`: the keys of two
            different documents. `both`: a blend of these two. `labels`: labelled questions, which set the mean; the
            deviation is 0.
        pairs: the number of pairs of keys that were compared; 0 for the sources `encoder` and `labels`.
        at_most: the other distribution: that of the encoder, some deviations higher; None if nothing bounds it.
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


class WordCounts(Record):
    """The keys of a collection that keeps words for late interaction.

    Attributes:
        kept: the number of keys whose words are kept.
        waiting: the number of keys with a text whose words are still to be made; a question encodes them.
    """

    kept: int
    waiting: int


class ValueCounts(Record):
    """The documents of a collection that encodes values, those that the caller sees.

    Attributes:
        encoded: the number of documents with a key whose value has its vector.
        waiting: the number of documents whose value is a text that is still to be encoded.
        failed: the number of documents whose value the encoder refuses.
    """

    encoded: int
    waiting: int
    failed: int


class CollectionInfo(Record, schema="CollectionAnswer"):
    """The settings of a collection, its size, and whether it is ready for queries.

    Attributes:
        name: a letter or digit, then up to 127 letters, digits, dots, underscores or dashes.
        similarity: cosine: q·k/‖q‖‖k‖; dot: q·k; scaled_dot: q·k/√d; gaussian: −‖q − k‖²/2.
        dimension: the width of the keys; None before it is set.
        value_dimension: the width of the values; None before it is set.
        encoder: the encoder of its texts; None if its documents come with vectors.
        precision: the number format of the encoder: float32, int16 or bfloat16.
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
        re_encode: its last move to another encoder. None without one, in lists, in answers to PUT and PATCH, and for a
            key with a filter.
        defaults: the options of queries that do not send their own; None without any, and from an older service.
        expire_after: the seconds after which a new document expires that has no `expires` of its own; None: never.
        expired: the number of documents that have expired, and are absent, but are not deleted yet; 0 for a key
            with a filter.
        projection: the map of its queries, which was trained on labelled pairs; None without one.
        notice: what is to do about its calibration, because the service was upgraded or `late` set; None if nothing.
        late: late interaction: whether the words of its keys are kept, and read by questions that send no `rerank`.
        words: the numbers of keys with and without words. None if none are kept, in lists, in answers to PUT and PATCH,
            and for a key with a filter.
        values: the numbers of documents whose values are encoded, and are not yet. None if the collection encodes no
            values, in lists, and in answers to PUT and PATCH.
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
    re_encode: Annotated[ReEncoding | None, ALWAYS_SENT] = None
    defaults: Annotated[Annotated[Mapping[str, Any], Named("Defaults")] | None, ALWAYS_SENT] = None
    expire_after: Annotated[float | None, ALWAYS_SENT] = None
    expired: Annotated[int | None, int, ALWAYS_SENT] = None
    projection: Annotated[Annotated[ProjectionInfo, KeptProjection] | None, ALWAYS_SENT] = None
    notice: Annotated[str | None, ALWAYS_SENT] = None
    late: Annotated[bool, ALWAYS_SENT] = False
    words: Annotated[WordCounts | None, ALWAYS_SENT] = None
    values: Annotated[ValueCounts | None, ALWAYS_SENT] = None


class CollectionList(Record):
    """A list of collections, ordered by name: all of them, or one page.

    Attributes:
        next_cursor: the position of the next page; None at the end, and with a limit of 0.
        access: the access of this caller; each includes those before it.
    """

    collections: list[CollectionInfo]
    next_cursor: str | None
    access: Literal["read", "feedback", "write"]


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
    return Background.read(content, at_most=parse_spread(content.get("at_most")), **capped)


def _parse_capped(content: Mapping[str, Any] | None) -> CappedSpread | None:
    return None if content is None else CappedSpread.read(content, at_most=parse_spread(content.get("at_most")))


def parse_spread(content: Mapping[str, Any] | None) -> Spread | None:
    """Parse the mean and deviation of some similarities; return None for null."""
    return None if content is None else Spread.read(content)


def parse_collection_info(content: Mapping[str, Any]) -> CollectionInfo:
    """Parse the response with a collection's information."""
    calibration = parse_kept_calibration(content.get("calibration"))
    costs = None if content.get("costs") is None else CollectionCosts.read(content["costs"])
    words = None if content.get("words") is None else WordCounts.read(content["words"])
    values = None if content.get("values") is None else ValueCounts.read(content["values"])
    re_encode = None if content.get("re_encode") is None else ReEncoding.read(content["re_encode"])
    background, projection = parse_background(content["background"]), parse_projection_info(content.get("projection"))
    return CollectionInfo.read(
        content,
        background=background,
        calibration=calibration,
        costs=costs,
        re_encode=re_encode,
        projection=projection,
        words=words,
        values=values,
    )


def parse_field_facts(content: Mapping[str, Any]) -> FieldFacts:
    """Parse the statistics of a field."""
    values = content["values"]
    parsed = None if values is None else [FieldValue.read(value) for value in values]
    return FieldFacts.read(content, values=parsed)
