"""Information about the service itself: its limits, servers, requests, encoders and models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict

from softkv.answers.info import Spread, parse_spread
from softkv.record import ALWAYS_SENT, Record


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
            each query, or 1,000 with `top_p`. With `diversity`, ten times `top_k`, but 100 to 1,000 of them.
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
        trace_without_head_tokens: tokens of a text whose vectors without each head are returned.
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
    trace_without_head_tokens: int
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
        kernels: what computes: the kernels in C, or NumPy, more slowly.
    """

    status: Literal["ready", "loading", "failed", "draining"]
    loading: list[str]
    failed: list[str]
    kernels: Literal["native", "numpy"]

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
        late: whether `rerank` with the model `late` is for it; false before it has loaded once.
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
    late: bool
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


def parse_encoder_info(content: Mapping[str, Any]) -> EncoderInfo:
    """Parse the response with an encoder's information."""
    return EncoderInfo.read(content, background=parse_spread(content["background"]))


def parse_service_info(content: Mapping[str, Any]) -> ServiceInfo:
    """Parse the response with a service's information."""
    if (shards := content.get("shards")) is None:
        return ServiceInfo.read(content)
    servers = [ServerInfo.read(server) for server in shards["servers"]]
    return ServiceInfo.read(content, shards=ShardsInfo.read(shards, servers=servers))
