"""The service itself on the wire: what it is, how much it takes, and whether it is up."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.schemas.wire import Wire


class Limits(Wire):
    """The most that one request may ask or send; one more is refused, with 422 or 413 unless it says otherwise."""

    body_bytes: int = Field(description="Bytes of a body; of NDJSON, of a line.")
    requests_at_once: int = Field(description="Calls of one kind under way; one more of it is a 429.")
    calibrate_questions: int = Field(description="`questions` of one calibrate.")
    documents: int = Field(description="Documents in a JSON body; a stream of NDJSON takes any number.")
    queries: int = Field(description="`queries` of one attend.")
    temperatures: int = Field(description="`temperatures` of one sweep.")
    top_k: int = Field(description="`top_k`, wherever it is asked.")
    page: int = Field(description="`limit` of a page.")
    document_keys: int = Field(description="Keys of one document: its `key_vectors`, or the parts of its text.")
    rows: int = Field(description="`rows` of one compare.")
    filter_depth: int = Field(description="How deep AND, OR and NOT may nest in a filter.")
    filter_values: int = Field(
        description="Values that one filter compares with, those in lists of `in` and `not in` included."
    )
    fields: int = Field(description="`fields` that one question for facts names, and fields in one answer.")
    field_values: int = Field(description="`limit` of facts, which is of the values of each field.")
    encode_texts: int = Field(description="Texts of one encode.")
    encode_texts_with_tokens: int = Field(description="Texts of one encode that asks for their tokens.")
    embeddings_inputs: int = Field(description="`input` of one embeddings; one more is a 400, as OpenAI says it.")
    trace_characters: int = Field(description="Characters of a trace's text and pair together.")
    trace_layers: int = Field(description="`layers`, or `heads`, that one trace names.")
    trace_numbers: int = Field(description="Numbers in the answer of one trace.")
    logits: int = Field(description="Logits of attention on arrays of your own.")
    hopfield_steps: int = Field(description="`hopfield_steps` of attention on arrays of your own.")
    vector_width: int = Field(description="Numbers of a vector.")
    id_characters: int = Field(description="Unicode code points of a document's id.")
    name_characters: int = Field(description="Characters of a collection's name.")
    idempotency_key_characters: int = Field(description="Characters of an `Idempotency-Key`.")
    idempotency_hours: int = Field(description="For how long a write with such a key is answered as it was.")
    json_depth: int = Field(description="Levels of the JSON that is stored as a value.")
    rooms: int = Field(description="Rooms open at once; one more is a 429, as is one more than a caller's share.")
    room_rows: int = Field(description="Rows of a room.")
    room_bytes: int = Field(description="Bytes of a room's rows and questions.")
    room_characters: int = Field(description="Characters of a room's key, value or question.")
    room_listeners: int = Field(description="Callers that listen to a room at once; one more is a 429.")
    room_seconds: int = Field(description="How long a room lives after its last use.")


class SlotAnswer(Wire):
    """A slot; what only it knows is null where it did not answer within a second."""

    name: str
    node: str = Field(description="The machine that it runs on.")
    leaving: bool = Field(description="Whether it goes as soon as others hold what it has.")
    ranges: int = Field(description="Ranges that it has ready.")
    keys: int | None = Field(description="Keys that live in them.")
    coming: int | None = Field(description="Ranges that it reads, or is to read.")
    lag: int | None = Field(
        description="How many versions it is behind the store, of the collection of which it is the most."
    )
    trouble: str | None = Field(description="Why its last look at the store did not succeed; null also where it did.")


class ShardsAnswer(Wire):
    """How slots hold all keys, in ranges of 131,072 row numbers; the three counts are null while the store is away."""

    copies: int = Field(description="How many slots are to hold each range.")
    ranges: int | None = Field(description="Ranges of all collections together.")
    whole: int | None = Field(description="Ranges that as many slots have ready as are to hold them.")
    unheld: int | None = Field(description="Ranges that no slot has ready.")
    slots: list[SlotAnswer] = Field(description="Those that were seen in the last 30 seconds, by name.")


class ServiceAnswer(Wire):
    """What a client may want to know of a service before anything else."""

    version: str
    encoder: str | None = Field(description="What texts are encoded with unless a collection says otherwise; or null.")
    keys_required: bool = Field(
        description="Whether a call without a key is refused; where not, it may still be allowed to read only."
    )
    limits: Limits
    shards: ShardsAnswer | None = Field(
        description="What holds the keys where slots do; null where the service holds them itself."
    )


class Liveness(Wire):
    """The process answers."""

    status: Literal["alive"]


class Readiness(Wire):
    """What is loaded, and what is not."""

    status: Literal["ready", "loading", "failed", "draining"]
    loading: list[str] = Field(description="What still loads: the encoder, collections, demo collections.")
    failed: list[str] = Field(description="What could not be loaded, or is damaged on disk, and why.")
