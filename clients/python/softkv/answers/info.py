"""What labelled questions say of a collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from softkv.record import Record


class KeptCalibration(Record):
    """What a collection keeps of a calibration; `outgrown` where it is another collection by now."""

    version: int
    documents: int
    encoder: str | None
    temperature: float
    level: float
    full_text: float
    labels: Mapping[str, int]
    outgrown: bool


class Calibration(Record):
    """What was fitted to labelled questions, and what it gains; docs/calibration.md tells of each field.

    Attributes:
        confidence: slope, slope_above, lead_slope, lead_slope_above and offset of the curve.
        conformal: promises, and the least weight of a match of each set.
        words: the same with `full_text` at what was fitted; None where that is 0.
        before, after, after_words: figures by name, each a value and its standard error.
        gained: by how much `label_loss` and `log_loss` fell, each with the standard error of that.
        reason: why it is not worth keeping; None where it is.
    """

    temperature: float
    level: float
    full_text: float
    confidence: Mapping[str, float]
    conformal: list[Mapping[str, float]]
    words: Mapping[str, Any] | None
    before: Mapping[str, Mapping[str, float | None]]
    after: Mapping[str, Mapping[str, float | None]]
    after_words: Mapping[str, Mapping[str, float | None]] | None
    gained: Mapping[str, Mapping[str, float | None]]
    labels: Mapping[str, int]
    documents: int
    encoder: str | None
    applied: bool
    reason: str | None
    took_ms: float

    @property
    def would_apply(self) -> bool:
        """Whether it gains enough to be kept: it is, or `apply=True` keeps it."""
        return self.reason is None

    def explain(self) -> str:
        """The figures before and after, a line each with its standard error, and whether it is kept."""
        columns = {"before": self.before, "after": self.after}
        if self.after_words is not None:
            columns["after_words"] = self.after_words
        rows = [
            ("", *columns),
            *((name, *(_format_figure(each[name]) for each in columns.values())) for name in self.before),
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
        fell = [f"{name} fell by {_format_figure(figure)}" for name, figure in self.gained.items()]
        return "\n".join([*table, ", ".join(fell), self._kept()])

    def __repr__(self) -> str:
        questions = sum(self.labels.values())
        fell = ", ".join(f"{name} fell by {_format_figure(figure)}" for name, figure in self.gained.items())
        return f"<Calibration of {questions:,} questions, {fell}, {self._kept()}>"

    def _kept(self) -> str:
        if self.reason is not None:
            return f"not applied: {self.reason}"
        return "applied" if self.applied else "not applied: apply=True keeps it"


def _format_figure(figure: Mapping[str, float | None]) -> str:
    value, error = figure["value"], figure["error"]
    return "–" if value is None or error is None else f"{value:.3f} ± {error:.3f}"


def parse_kept_calibration(content: Mapping[str, Any] | None) -> KeptCalibration | None:
    """What a collection keeps, where there is any; a service that is older says nothing of it."""
    return None if content is None else KeptCalibration.read(content)


class Spread(Record):
    """Similarities, as a normal distribution."""

    mean: float
    deviation: float


class Background(Record):
    """How similarities that mean nothing are spread: what a null key with a name stands on.

    Attributes:
        pairs: of keys that were compared.
        short: for a question of one to three words, where most keys are as short; None where there is no other.
    """

    mean: float
    deviation: float
    of: Literal["encoder", "keys", "both", "labels"]
    pairs: int
    short: Spread | None = None


class CollectionInfo(Record):
    """A collection's settings, and how many documents it holds.

    Attributes:
        documents: how many can be attended to; `keyless` ones stand beside them.
        keys: how many keys they have; None while they are read from disk.
    """

    name: str
    similarity: Literal["cosine", "dot", "scaled_dot", "gaussian"]
    dimension: int | None
    value_dimension: int | None
    encoder: str | None
    precision: str | None
    value_from: Literal["value", "key"]
    temperature: float
    null: float | Literal["auto", "lenient", "strict", "calibrated", False]
    background: Background | None
    null_similarity: float | None
    calibration: KeptCalibration | None
    documents: int
    keyless: int
    keys: int | None
    ready: bool


class SlotInfo(Record):
    """A slot that holds keys of a service's; what only it knows is None where it did not answer.

    Attributes:
        ranges: how many it has ready, and how many more are `coming`.
        lag: how many versions it is behind, of the collection of which it is the most.
    """

    name: str
    node: str
    leaving: bool
    ranges: int
    keys: int | None
    coming: int | None
    lag: int | None
    trouble: str | None


class ShardsInfo(Record):
    """How slots hold a service's keys: how many ranges there are, how many have all `copies`, how many none.

    They are None while its store cannot be asked.
    """

    copies: int
    ranges: int | None
    whole: int | None
    unheld: int | None
    slots: list[SlotInfo]


class ServiceInfo(Record):
    """What a service says of itself: its limits by name, as docs/limits.md has them.

    Attributes:
        shards: None where the service holds all keys itself, or is older than they are.
    """

    version: str
    encoder: str | None
    keys_required: bool
    limits: Mapping[str, int]
    shards: ShardsInfo | None = None


class Readiness(Record):
    """Whether everything is loaded, what still loads, and what could not be; true where it is ready."""

    status: Literal["ready", "loading", "failed"]
    loading: list[str]
    failed: list[str]

    def __bool__(self) -> bool:
        return self.status == "ready"


class Model(Record):
    """A model of the service's; what is None is known once it has loaded."""

    id: str
    state: Literal["loading", "ready", "failed"]
    runs_on: str | None
    dimension: int | None
    max_tokens: int | None
    precision: str | None
    similarity: Literal["cosine", "dot", "gaussian"] | None
    temperature: float | None
    temperature_source: Literal["model card", "measured"] | None
    batched: bool | None
    notes: list[str] | None
    object: str
    created: int
    owned_by: str


class FieldValue(Record):
    """A value that a field has, and in how many documents."""

    value: Any
    count: int


class FieldFacts(Record):
    """What a field of the metadata holds.

    Attributes:
        count: how many documents have it.
        values: those of most documents first, where they were asked for; `next_cursor` where there are more of them.
    """

    types: list[str]
    count: int
    distinct: int
    min: Any
    max: Any
    values: list[FieldValue] | None
    next_cursor: str | None


class Written(Record):
    """What a write did.

    Attributes:
        skipped: ids that were taken, whose documents stay as they are.
        truncated: ids of documents with a text that is longer than the encoder reads, and was cut.
    """

    upserted: int
    truncated: list[str]
    skipped: list[str]


def parse_background(content: Mapping[str, Any] | None) -> Background | None:
    """The background of a null key, where there is one."""
    if content is None:
        return None
    short = content.get("short")
    return Background.read(content, short=None if short is None else Spread.read(short))


def parse_service_info(content: Mapping[str, Any]) -> ServiceInfo:
    """A service, with what holds its keys where something does."""
    if (shards := content.get("shards")) is None:
        return ServiceInfo.read(content)
    slots = [SlotInfo.read(each) for each in shards["slots"]]
    return ServiceInfo.read(content, shards=ShardsInfo.read(shards, slots=slots))


def parse_collection_info(content: Mapping[str, Any]) -> CollectionInfo:
    """One collection."""
    kept = parse_kept_calibration(content.get("calibration"))
    return CollectionInfo.read(content, background=parse_background(content["background"]), calibration=kept)


def parse_field_facts(content: Mapping[str, Any]) -> FieldFacts:
    """The facts on one field."""
    values = content["values"]
    found = None if values is None else [FieldValue.read(each) for each in values]
    return FieldFacts.read(content, values=found)
