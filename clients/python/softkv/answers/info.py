"""Small answers whose fields are those of the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from softkv.answers.calibration import KeptCalibration, kept_calibration
from softkv.record import Record


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


def background(content: Mapping[str, Any] | None) -> Background | None:
    """The background of a null key, where there is one."""
    if content is None:
        return None
    short = content.get("short")
    return Background.read(content, short=None if short is None else Spread.read(short))


def service_info(content: Mapping[str, Any]) -> ServiceInfo:
    """A service, with what holds its keys where something does."""
    if (shards := content.get("shards")) is None:
        return ServiceInfo.read(content)
    slots = [SlotInfo.read(each) for each in shards["slots"]]
    return ServiceInfo.read(content, shards=ShardsInfo.read(shards, slots=slots))


def collection_info(content: Mapping[str, Any]) -> CollectionInfo:
    """One collection."""
    kept = kept_calibration(content.get("calibration"))
    return CollectionInfo.read(content, background=background(content["background"]), calibration=kept)


def field_facts(content: Mapping[str, Any]) -> FieldFacts:
    """The facts on one field."""
    values = content["values"]
    found = None if values is None else [FieldValue.read(each) for each in values]
    return FieldFacts.read(content, values=found)
