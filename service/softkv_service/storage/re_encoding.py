"""Jobs that move a collection to another encoder, as every store keeps them.

A job fills a shadow: a collection under a name that no caller can send, with the same documents and new vectors. For
each document of the shadow the store keeps the row number of the document that it was made from. Row numbers are never
reused, and each write gives a document a new one. So the documents that the shadow lacks, and those that it has too
many, follow from two lists of row numbers, after a crash as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import NoneType
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from softkv_service.storage.checksums import job_checksum
from softkv_service.storage.records import CollectionSettings, JSONText, Null

HIDDEN = " "
"""The first character of the names of hidden collections; no caller can send such a name."""

JobState: TypeAlias = Literal["running", "paused", "done", "failed", "cancelled"]
ACTIVE: tuple[JobState, ...] = ("running", "paused")
DAMAGED = "the record of the move is damaged on disk: start the move again, or cancel it"


class OwnVectors(NamedTuple):
    """The numbers of documents with vectors that no encoder made: with such keys, such values, or either."""

    keys: int
    values: int
    documents: int


@dataclass(frozen=True)
class ReEncoding:
    """The last job of a collection that moves it to another encoder.

    Attributes:
        collection: the number of the collection; of the new one when the job is done.
        shadow: the number of the collection that the job fills; None when it has ended.
        state: "paused" while the job waits, for example for its encoder, and goes on by itself.
        reason: why it is paused, or failed; else None.
        encoder: the encoder of the vectors until now; None if callers sent them.
        to: the encoder of the new vectors.
        settings: the settings of the shadow when it was created.
        temperature, null: as the caller sent them; None if they were left out.
        drops: what the collection loses, such as "calibration".
        started, ended: seconds of Unix time; `ended` is None before.
        documents, done: how many documents it had when the job ended, and how many of them the shadow; 0 before.
    """

    collection: int
    shadow: int | None
    state: JobState
    reason: str | None
    encoder: str | None
    to: str
    temperature: float | None
    null: Null | None
    drops: tuple[str, ...]
    started: float
    ended: float | None = None
    documents: int = 0
    done: int = 0

    @property
    def active(self) -> bool:
        """Whether the job has not ended."""
        return self.state in ACTIVE

    @property
    def damaged(self) -> bool:
        """Whether the row of the job is damaged, so that nothing else is known of it."""
        return self.reason == DAMAGED

    def text(self) -> JSONText:
        """Return the columns without the numbers of collections, and a checksum of all of them, as JSON."""
        columns = asdict(self)
        del columns["collection"], columns["shadow"]
        checksum = job_checksum(self.collection, self.shadow, json.dumps(columns))
        return JSONText(json.dumps(columns | {"checksum": checksum}))

    @classmethod
    def read(cls, collection: int, shadow: int | None, text: str) -> ReEncoding:
        """Read a job from its columns; return a failed one without a shadow if they are not what was written.

        Rows of the first builds have no checksum: they are kept if each column has a value of its type.
        """
        try:
            columns: dict[str, Any] = json.loads(text)
            checksum = columns.pop("checksum", None)
            if checksum is None:
                refuse_other_types(columns)
            if checksum is None or checksum == job_checksum(collection, shadow, json.dumps(columns)):
                columns["drops"] = tuple(columns["drops"])
                return cls(collection, shadow, **columns)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        return cls(collection, None, "failed", DAMAGED, None, "", None, None, (), 0.0, 0.0)

    def ending(self, state: JobState, ended: float, documents: int, done: int, reason: str | None = None) -> ReEncoding:
        """Return the job after its end."""
        return replace(self, shadow=None, state=state, reason=reason, ended=ended, documents=documents, done=done)


TEXT_OR_NULL, NUMBER_OR_NULL = (str, NoneType), (int, float, NoneType)
TYPES: Mapping[str, tuple[type, ...]] = {
    "state": (str,),
    "reason": TEXT_OR_NULL,
    "encoder": TEXT_OR_NULL,
    "to": (str,),
    "temperature": NUMBER_OR_NULL,
    "null": (str, bool, *NUMBER_OR_NULL),
    "drops": (list,),
    "started": (int, float),
    "ended": NUMBER_OR_NULL,
    "documents": (int,),
    "done": (int,),
}
"""The types of the columns in the JSON of a job."""


def refuse_other_types(columns: Mapping[str, Any]) -> None:
    """Raise TypeError if a column of a job has a value of another type, or a state that no job has."""
    wrong = [name for name, value in columns.items() if type(value) not in TYPES.get(name, ())]
    if (
        wrong
        or columns["state"] not in get_args(JobState)
        or not all(isinstance(name, str) for name in columns["drops"])
    ):
        raise TypeError(
            f"a job has other columns than {', '.join(TYPES)}, or a value of another type: {', '.join(wrong)}"
        )


def format_hidden_name(kind: str, number: int) -> str:
    """Return the name of a hidden collection.

    Args:
        kind: "shadow", "replaced" for a collection whose shadow has taken its place, or "discarded" for a shadow.
        number: the number of the collection that it belongs to.
    """
    return f"{HIDDEN}{kind} {number}"


def was_read(name: str) -> bool:
    """Return whether a hidden collection was visible once, so that calls may still read it."""
    return name.startswith(f"{HIDDEN}replaced ")


def choose_null(settings: CollectionSettings, sent: Null | None) -> Null:
    """Return the null key of a collection that has moved to another encoder.

    Levels by name are kept, because they follow from the encoder. A similarity and a calibration are of the old one.
    """
    if sent is not None:
        return sent
    named: Sequence[Null] = ("auto", "lenient", "strict")
    return settings.null if settings.null is False or settings.null in named else "auto"
