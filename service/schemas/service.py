"""Models of facts about the service itself: its version, its limits, its shards, and whether it is ready."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from service.schemas.wire import Wire


class Limits(Wire):
    """The limits of one request. A request above a limit gets a 422 or a 413, unless the field says otherwise."""

    body_bytes: int = Field(description="Bytes of a JSON body, or of a line of NDJSON.")
    requests_at_once: int = Field(description="Calls of one kind in progress at once; one more is a 429.")
    calibrate_questions: int = Field(description="`questions` of one calibration.")
    documents: int = Field(description="Documents in a JSON body; a stream of NDJSON takes any number.")
    queries: int = Field(description="`queries` of one attend.")
    temperatures: int = Field(description="`temperatures` of one sweep.")
    top_k: int = Field(description="`top_k`, in every call that has it.")
    answer_matches: int = Field(
        description="`top_k` times the number of `queries` of one attend. Without `top_k`, 10 matches count for each "
        "query, or 1,000 with `top_p` or `conformal`. With `diversity`, ten times `top_k`, but 100 to 1,000 of them."
    )
    query_parts: int = Field(description="Parts of one `query` that is a list.")
    request_parts: int = Field(description="Parts of all `queries` of one attend together.")
    read_fields: int = Field(description="Fields of one `read`.")
    groups: int = Field(description="`groups`, and `ranges`, of one `group_by`.")
    group_documents: int = Field(description="`documents` of one `group_by`.")
    answer_groups: int = Field(description="`groups` of a `group_by` times the number of `queries` of one attend.")
    sweep_weights: int = Field(description="`top_k` times the number of `temperatures` of one sweep.")
    page: int = Field(description="`limit` of a page.")
    document_keys: int = Field(description="Keys of one document: its `key_vectors`, or the parts of its text.")
    feedback_characters: int = Field(description="Characters of a question of feedback.")
    rows: int = Field(description="`rows` of one compare.")
    highlight_sentences: int = Field(description="Different sentences of the key texts of one answer with `highlight`.")
    filter_depth: int = Field(description="Levels of AND, OR and NOT in a filter.")
    filter_values: int = Field(
        description="Values that one filter compares with, including those in the lists of `in` and `not in`. A text "
        "of `contains` counts as 100."
    )
    filter_fields: int = Field(description="Different fields that one filter compares.")
    fields: int = Field(description="`fields` that one request for field facts names, and fields in one answer.")
    field_values: int = Field(description="`limit` of field facts: the values of each field.")
    encode_texts: int = Field(description="Texts of one encode.")
    encode_texts_with_tokens: int = Field(description="Texts of one encode with `tokens`.")
    embeddings_inputs: int = Field(description="`input` of one embeddings request; one more is a 400, as with OpenAI.")
    rerank_documents: int = Field(description="`documents` of one rerank, or pairs of one score.")
    rerank_query_characters: int = Field(description="Characters of the query of one rerank.")
    score_characters: int = Field(description="Characters of the texts of one score together.")
    trace_characters: int = Field(description="Characters of the text and the pair of a trace together.")
    trace_layers: int = Field(description="`layers`, or `heads`, named in one trace.")
    trace_numbers: int = Field(description="Numbers in the answer of one trace.")
    logits: int = Field(description="Logits of attention on arrays in the request.")
    hopfield_steps: int = Field(description="`hopfield_steps` of attention on arrays in the request.")
    vector_width: int = Field(description="Numbers of a vector.")
    id_characters: int = Field(description="Unicode code points of a document's id.")
    name_characters: int = Field(description="Characters of a collection's name.")
    idempotency_key_characters: int = Field(description="Characters of an `Idempotency-Key`.")
    idempotency_hours: int = Field(
        description="Hours for which a repeated write with the same key gets the first answer again."
    )
    json_depth: int = Field(description="Levels of JSON in a stored value.")
    rooms: int = Field(description="Rooms open at once. One more is a 429, and so is one above the share of a caller.")
    room_rows: int = Field(description="Rows of a room.")
    room_bytes: int = Field(description="Bytes of a room's rows and questions.")
    room_characters: int = Field(description="Characters of a room's key, value or question.")
    room_listeners: int = Field(description="Callers that listen to one room at once; one more is a 429.")
    room_seconds: int = Field(description="Seconds that a room lives after its last use.")


class ServerAnswer(Wire):
    """A shard server: a process in a Ray cluster that holds a part of all keys.

    A fact that only the server knows is null if the server did not answer within a second.
    """

    name: str
    machine: str | None = Field(description="The machine that the server runs on.")
    leaving: bool = Field(description="Whether the server stops as soon as others hold its shards.")
    ranges: int = Field(description="Shards that the server holds.")
    keys: int | None = Field(description="Keys that can be attended to, in these shards.")
    coming: int | None = Field(description="Shards that the server is reading, or will read.")
    lag: int | None = Field(
        description="Versions that the server is behind the store, in the collection with the largest delay."
    )
    trouble: str | None = Field(
        description="The reason that the last reading of the store failed; null if it succeeded."
    )


class ShardsAnswer(Wire):
    """The status of the servers that hold the keys of all collections, in shards: ranges of row numbers.

    The three counts are null while the store is unavailable.
    """

    copies: int = Field(description="The number of servers that shall hold each shard; 0 if none are deployed.")
    ranges: int | None = Field(description="Shards of all collections together.")
    whole: int | None = Field(description="Shards that as many servers hold as `copies` says, or all servers.")
    unheld: int | None = Field(description="Shards that no server holds.")
    servers: list[ServerAnswer] = Field(description="All servers, by name.")


class ServiceAnswer(Wire):
    """General facts about the service, which a client reads before other calls."""

    version: str
    encoder: str | None = Field(description="The encoder of texts, unless a collection has its own; or null.")
    keys_required: bool = Field(
        description="Whether a call without a key is refused. If false, such a call may still be limited to reading."
    )
    limits: Limits
    shards: ShardsAnswer | None = Field(
        description="The servers that hold the keys; null if the service holds them itself."
    )


class SlowRequestAnswer(Wire):
    """A request that took long, without its path and its content."""

    at: str = Field(description="The time at which it ended (RFC 3339).")
    method: str
    route: str = Field(description="The route, such as `/v1/collections/{name}/attend`.")
    status: int
    took_ms: float
    stages_ms: dict[str, float] = Field(
        description="The time in each stage: `encode`, `scan`, `finish` and `storage`. Empty if no stage took part."
    )
    collection: str | None = Field(description="The collection that its path names; null if none.")
    request_id: str | None = Field(description="Its id in the log.")


class SlowRequestList(Wire):
    """The slowest requests since the start of the service, the slowest first; at most 100."""

    threshold_ms: float = Field(
        description="Only requests that took longer are listed (SOFTKV_SLOW_REQUEST_MS); 0 for no list."
    )
    requests: list[SlowRequestAnswer]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "threshold_ms": 1000.0,
                    "requests": [
                        {
                            "at": "2026-11-01T09:30:00.000+00:00",
                            "method": "POST",
                            "route": "/v1/collections/{name}/attend",
                            "status": 200,
                            "took_ms": 1204.5,
                            "stages_ms": {"encode": 1190.2, "scan": 3.1, "finish": 0.9},
                            "collection": "library",
                            "request_id": "4f1c0b7e",
                        }
                    ],
                }
            ]
        }
    )


class Liveness(Wire):
    """The answer that shows that the service's process is alive."""

    status: Literal["alive"]


class Readiness(Wire):
    """The parts of the service that are loading or have failed."""

    status: Literal["ready", "loading", "failed", "draining"]
    loading: list[str] = Field(description="Parts that are still loading: the encoder, collections, demo collections.")
    failed: list[str] = Field(
        description="Parts that could not be loaded or are damaged on disk, each with the reason."
    )


class NetworkRequest(Wire):
    """A request to open the service to the network of its machine, or to close it."""

    open: bool = Field(description="Whether other machines may read, and join rooms.")
    address: str | None = Field(
        None,
        max_length=64,
        description="The address of the machine at which to open the service, one of `addresses`. Left out: the first.",
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"open": False}]})


class NetworkAnswer(Wire):
    """Whether the service is open to the network, and under which URL."""

    open: bool = Field(description="Whether other machines may read, and join rooms, since a caller has opened it.")
    url: str | None = Field(description="The URL of the service for other machines; null if it is closed.")
    public: bool = Field(
        description="Whether its address, or the first of `addresses` before it is opened, is one of the internet."
    )
    moved: bool = Field(
        description="Whether it is open at an address that the machine no longer has, because its network changed: "
        "open it again."
    )
    addresses: list[str] = Field(
        description="The addresses of the machine in its networks, that of the default route first. Empty for callers "
        "on other machines."
    )
    obstacle: Literal["caller", "container", "proxy", "listening", "server", "offline"] | None = Field(
        description="Why this caller cannot open the service: `caller` (only one on the same machine that may write "
        "can), `container`, `proxy` (or a Unix socket), `listening` (it listens on the network by its settings), "
        "`server` (`softkv serve` does not run it), or `offline`. Null if it can."
    )
