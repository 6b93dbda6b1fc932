"""The table of refusals: each code with its status, its errors and its description, also in OpenAI's form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from softkv_attention.errors import AttentionError
from softkv_service import encoding, retrieval
from softkv_service.api.parts import Refusal
from softkv_service.api.problems import errors as api
from softkv_service.schemas.openai import ErrorAnswer
from softkv_service.storage import errors as storage

# code → refusal; an error is answered by its most specific class in this table. `add_refusals` adds those of parts.
TABLE: dict[str, Refusal] = {
    # Errors while a request is read, before there is a call.
    "malformed_request": Refusal(
        400, None, api.MalformedRequest, advice="send HTTP/1.1 as in RFC 9112; the connection is closed"
    ),
    "head_too_large": Refusal(
        431, None, api.HeadTooLarge, advice="send a shorter path or fewer headers; the connection is closed"
    ),
    "too_slow": Refusal(
        408, None, api.TooSlow, repeat=True, advice="send headers and body at once; the connection is closed"
    ),
    "connections_full": Refusal(
        503, None, api.ConnectionsFull, repeat=True, advice="wait, and send many requests over one connection"
    ),
    "malformed_path": Refusal(400, "the path holds a control character, or is not UTF-8", api.MalformedPath),
    "ambiguous_length": Refusal(
        400,
        "the body has both a Content-Length and a Transfer-Encoding, or an invalid length; the connection is closed",
        api.AmbiguousLength,
        advice="send a `Content-Length` of digits or `Transfer-Encoding: chunked`, not both",
    ),
    "malformed_host": Refusal(
        400,
        "a Host header that is missing, repeated or invalid, without a key",
        api.MalformedHost,
        advice="send one `Host` header with a name or an address, or send a key",
    ),
    "malformed_json": Refusal(
        400, "the body is not JSON", api.MalformedBody, advice="send JSON in UTF-8; JSON has no NaN and no Infinity"
    ),
    "key_refused": Refusal(
        401,
        "no key, or an unknown or expired one",
        api.KeyRefused,
        openai_code="invalid_api_key",
        advice="send a key that this service knows, as `Authorization: Bearer` or `X-API-Key`",
    ),
    "forbidden": Refusal(
        403,
        "this key may only read, or is for other collections or a part of their documents",
        api.Forbidden,
        advice="use a key that may write there, or [without a filter](../operate/access.md#a-part-of-the-documents)",
    ),
    "outside_filter": Refusal(
        403,
        "a document would lie outside the filter of this key; nothing was written",
        storage.OutsideFilter,
        advice="send documents that pass [the filter](../operate/access.md#a-part-of-the-documents), by other ids",
    ),
    "host_refused": Refusal(
        403,
        "the Host header has a name that is not this service's, and there is no key",
        api.HostRefused,
        advice="use its address, add the name to `SOFTKV_ALLOWED_HOSTS`, or send a key",
    ),
    # Only /mcp, which the OpenAPI file leaves to the description of the Model Context Protocol.
    "origin_refused": Refusal(
        403,
        None,
        api.OriginRefused,
        advice=("for [`/mcp`](../../docs/guide/mcp.md#security): add the page's origin to `SOFTKV_CORS_ORIGINS`"),
    ),
    "collection_not_found": Refusal(
        404,
        "there is no such collection",
        (retrieval.CollectionNotFound, storage.CollectionMissing),
        advice="create it, or use one of the up to twenty names in `detail`",
    ),
    "alias_not_found": Refusal(
        404,
        "there is no such alias",
        (retrieval.AliasNotFound, storage.AliasMissing),
        advice="create the [alias](../guide/collections.md#aliases), or correct its name",
    ),
    "document_not_found": Refusal(
        404, "there is no such document", retrieval.DocumentNotFound, advice="write the document, or correct its id"
    ),
    "model_not_found": Refusal(
        404,
        "the service runs no such model",
        retrieval.ModelNotFound,
        openai_reason="no such model",
        openai_param="model",
        advice="use a name from `GET /v1/models`, or leave `model` out",
    ),
    "collection_conflict": Refusal(
        409,
        "the collection exists with other settings",
        (retrieval.CollectionConflict, retrieval.CollectionMoved),
        advice="leave the settings out to use it as it is, or delete it first",
    ),
    "alias_conflict": Refusal(
        409,
        "the name is that of an alias, where a collection's own is needed, or the reverse",
        (retrieval.AliasConflict, storage.AliasExists, storage.CollectionExists),
        advice="choose another name; to delete a collection, use its own name",
    ),
    "re_encoding_not_found": Refusal(
        404,
        "the collection was never re-encoded",
        retrieval.ReEncodingNotFound,
        advice="start [the move to another encoder](../guide/encoders.md#move-a-collection-to-another-encoder) first",
    ),
    "re_encoding_active": Refusal(
        409, "the collection is being re-encoded already, one job at a time", storage.ReEncodingActive
    ),
    "re_encoding_over": Refusal(409, "the job has ended, so it cannot be cancelled", retrieval.ReEncodingOver),
    "documents_exist": Refusal(
        409,
        'with `mode: "create"`, one of the documents exists',
        storage.DocumentsExist,
        advice='send [`mode`](../guide/writing.md#documents-whose-id-exists) `"upsert"` or `"skip"`, or other ids',
    ),
    "document_changed": Refusal(
        409, "other writes changed the document at the same time: try again", retrieval.DocumentChanged, repeat=True
    ),
    # The HTTP server itself refuses an invalid length first.
    "length_required": Refusal(
        411, None, api.LengthRequired, advice="declare the length of the body, or send it chunked"
    ),
    "body_too_large": Refusal(
        413,
        "more bytes than the service takes in one request",
        api.BodyTooLarge,
        openai_reason="the body has more bytes than the service takes",
        advice="send parts, or [NDJSON](../guide/writing.md#upload-a-stream), which limits only the length of a line",
    ),
    "too_much": Refusal(413, "more items than the service takes in one request", retrieval.TooLarge),
    "unsupported_media_type": Refusal(
        415,
        "the body is not declared as a media type that this call takes",
        api.UnsupportedMediaType,
        openai_reason="the body is not declared as application/json",
        advice="declare the body as `application/json`, and send it uncompressed",
    ),
    "invalid_content": Refusal(
        422,
        "well-formed JSON with invalid content, or an invalid name; nothing was written",
        (
            retrieval.InvalidContent,
            storage.WidthMismatch,
            storage.DocumentsRepeated,
            storage.Unstorable,
            storage.InvalidCondition,
            storage.InvalidSearch,
            encoding.InvalidText,
            encoding.TokensUnknown,
            AttentionError,
        ),
        # OpenAI's clients get it for every 400, see `openai_status`.
        openai_reason="the path, the Host, the body or its content is invalid; `param` names the field",
    ),
    "nothing_to_read": Refusal(
        422,
        "a question is a text that the encoder cannot read: empty, blank, or only of unknown tokens",
        retrieval.NothingToRead,
        advice="see [what to ask instead](../guide/asking.md#questions-with-nothing-to-read)",
    ),
    "idempotency_key_reused": Refusal(
        422, "the Idempotency-Key was used for another request: a new write needs a new key", storage.KeyReused
    ),
    "untraceable": Refusal(422, "the model cannot show its attention: all-MiniLM-L6-v2 can", encoding.Untraceable),
    "queue_full": Refusal(
        429,
        "too many calls of this kind are in progress, or too many texts wait for the encoder: try again",
        (api.QueueFull, encoding.QueueOverfull),
        repeat=True,
        openai_code="rate_limit_exceeded",
    ),
    "quota_exceeded": Refusal(
        429,
        "this key has sent its requests of the minute, or may have no more documents or bytes",
        (api.RateExceeded, storage.QuotaExceeded),
        openai_code="rate_limit_exceeded",
        advice="wait until the time in `detail`, or delete documents: [quotas](../operate/access.md#quotas-and-expiry)",
    ),
    "library_missing": Refusal(
        501,
        "this installation lacks a library: of the encoder, see /readyz; of the lab, torch; of a table's format",
        (encoding.LibraryMissing, api.ReaderMissing),
        openai_reason="this installation lacks the library of the model",
        advice="ask the operator for it, or for [another model](../guide/encoding.md#models-and-libraries)",
    ),
    "mcp_missing": Refusal(501, None, api.MCPMissing, advice="ask the operator to install the extra `mcp`"),
    "backup_elsewhere": Refusal(
        501,
        "the data is in PostgreSQL, which makes its own backups",
        storage.BackupUnsupported,
        advice="use [PostgreSQL's own tools](../../extensions/postgres/docs/operate/stores.md#backups)",
    ),
    "encoder_missing": Refusal(
        503,
        "the service has no encoder with the vectors of this collection: see GET /v1/encoders",
        retrieval.EncoderMissing,
        advice=(
            "send vectors, have it [configured](../guide/encoders.md#choose-an-encoder) again, or re-encode the "
            "collection"
        ),
    ),
    "encoder_unavailable": Refusal(
        503,
        "the encoder is still loading or could not be loaded, or its provider fails: `detail` has the reason",
        (retrieval.EncoderUnavailable, encoding.EncodingError),
        repeat=True,
        openai_reason="the model is still loading, its provider does not answer, or the service is shutting down: try "
        "again",
        advice="see `/readyz`, or ask the operator: [providers](../guide/encoders.md#when-a-provider-fails)",
    ),
    "collection_loading": Refusal(
        503,
        "the collection is still being read from disk, or is a demo that is being loaded: try again",
        retrieval.CollectionLoading,
        repeat=True,
        advice="wait until `/readyz` is green; a demo answers [sooner](../operate/operating.md#demo-collections)",
    ),
    "shards_missing": Refusal(
        503,
        "some documents of the collection are unavailable now: try again, or allow them to be missing",
        (retrieval.ShardsMissing, retrieval.SnapshotGone),
        repeat=True,
        advice="the option is [`allow_missing`](../guide/asking.md#missing-documents)",
    ),
    "values_pending": Refusal(
        503,
        "values that the answer needs are still being encoded: try again, or leave `output` and `value_vector` out",
        retrieval.ValuesPending,
        repeat=True,
        advice="see [values behind](../guide/values.md); `GET /v1/collections/{name}` says how many wait",
    ),
    "collection_damaged": Refusal(
        503,
        "the stored collection differs from what was written: see /readyz",
        (retrieval.CollectionUnsound, storage.CollectionDamaged, storage.AliasDamaged),
        advice="write the documents that it names again",
    ),
    "document_damaged": Refusal(
        503, "the stored document differs from what was written: write it again or delete it", storage.DocumentDamaged
    ),
    "database_damaged": Refusal(
        503,
        "the database file is damaged: see /readyz",
        storage.DatabaseDamaged,
        advice="the operator has to restore the data directory",
    ),
    "storage_failed": Refusal(503, "the database could not be read or written: see /readyz", storage.StorageFailed),
    "store_unavailable": Refusal(
        503,
        "the database server cannot be reached now: try again",
        storage.StoreUnavailable,
        repeat=True,
        advice=(
            "acknowledged writes are stored; it is starting, or [a statement took too "
            "long](../../extensions/postgres/docs/operate/stores.md#time-limits)"
        ),
    ),
    "database_busy": Refusal(503, "another program holds the database: try again", storage.DatabaseBusy, repeat=True),
    "out_of_descriptors": Refusal(
        503, None, api.NoDescriptors, repeat=True, advice="wait; the operator can raise the limit of open files"
    ),
    "out_of_memory": Refusal(
        503, "the service lacks the memory for this request now: try again, or send less", MemoryError, repeat=True
    ),
    # Any call may get this, so no call's description lists it.
    "stopping": Refusal(
        503,
        None,
        (api.ServiceStopping, storage.StoreClosed, encoding.QueueClosed),
        repeat=True,
        advice="wait until the service runs again; a [stop](../operate/operating.md#stop) refuses waiting calls",
    ),
    "disk_full": Refusal(
        507,
        "the disk is full: nothing was written, nothing is lost",
        storage.DiskFull,
        advice="make room on the [disk](../operate/operating.md#disk-space), or delete documents",
    ),
    "access_log_unwritable": Refusal(
        507,
        "changes are refused, because the access log cannot be written",
        api.AccessLogUnwritable,
        advice=(
            "make [it](../operate/access.md#the-access-log) writable; nothing was changed, unless `detail` reports a "
            "change"
        ),
    ),
}
# status → code, for refusals without a route and unexpected errors; other statuses use that of their hundred
OF_STATUS: Mapping[int, str] = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    500: "internal_error",
}
# code → advice, for the codes of OF_STATUS
OF_STATUS_ADVICE: Mapping[str, str] = {
    "bad_request": "read `detail`",
    "not_found": "look up the call at `/docs`; this path has none",
    "method_not_allowed": "use a method that the header `Allow` names",
    "internal_error": "report it; the log has the cause under the `X-Request-ID`",
}
# error → code
CODES: dict[type[Exception], str] = {}


@dataclass(frozen=True)
class Header:
    """A header of refusals with one status, such as Retry-After: its value and its description.

    Every such refusal has it if it is `required`.
    """

    name: str
    sent: str
    description: str
    schema: Mapping[str, Any]
    required: bool = True


def _retry_after(seconds: int, description: str, *, required: bool = True) -> Header:
    return Header("Retry-After", str(seconds), description, {"type": "integer", "minimum": 0}, required)


HEADERS: Mapping[int, Header] = {
    401: Header("WWW-Authenticate", "Bearer", "The way to send a key.", {"type": "string", "const": "Bearer"}),
    429: _retry_after(
        1,
        "The number of seconds after which to try again. Left out for a quota of documents or bytes, which only "
        "deleting frees.",
        required=False,
    ),
    503: _retry_after(2, "The number of seconds after which to try again."),
}


Responses = dict[int | str, dict[str, Any]]

MALFORMED = ("malformed_path", "ambiguous_length", "malformed_host")
WITH_BODY = (
    *MALFORMED,
    "malformed_json",
    "body_too_large",
    "unsupported_media_type",
    "invalid_content",
    "out_of_memory",
)
STORED = ("database_damaged", "storage_failed", "store_unavailable")
OF_A_COLLECTION = (
    "forbidden",
    "host_refused",
    "collection_not_found",
    "invalid_content",
    "collection_loading",
    *STORED,
)
OF_DOCUMENTS = (*OF_A_COLLECTION, "document_damaged")
FULL = ("disk_full", "access_log_unwritable")
WRITING = ("forbidden", "idempotency_key_reused", "host_refused", "database_busy", *FULL, *STORED)
STORING = (*WRITING, "outside_filter")
ENCODING = ("library_missing", "encoder_unavailable")
ENCODING_FOR_COLLECTION = ("encoder_missing", *ENCODING)
ASKING = (*OF_DOCUMENTS, "collection_damaged", "shards_missing", *ENCODING_FOR_COLLECTION)
ANSWERING = (*ASKING, "nothing_to_read")

# RFC 9110's phrases, where Python before 3.13 has those of RFC 2616
PHRASES = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}

# code → reason, and its example for the OpenAPI components
REASONS: dict[str, str] = {}
EXAMPLES: dict[str, dict[str, Any]] = {}


def title(status: int) -> str:
    """Return the title of a problem with this status: its phrase in RFC 9110, under every Python."""
    return PHRASES.get(status) or HTTPStatus(status).phrase


def _example(code: str, reason: str) -> dict[str, Any]:
    status = TABLE[code].status
    problem = {"type": "about:blank", "title": title(status), "status": status, "detail": reason}
    flaws = {"errors": [{"pointer": "/query", "detail": reason}]} if status == 422 else {}
    return {"value": problem | {"code": code} | flaws}


def _index(refusals: Mapping[str, Refusal]) -> None:
    """Enter refusals into the tables that are derived from `TABLE`."""
    for code, refusal in refusals.items():
        CODES.update(dict.fromkeys(refusal.errors if isinstance(refusal.errors, tuple) else (refusal.errors,), code))
        if refusal.reason is not None:
            REASONS[code] = refusal.reason
            EXAMPLES[code] = _example(code, refusal.reason)


_index(TABLE)


def add_refusals(refusals: Mapping[str, Refusal], errors: Mapping[type[Exception], str]) -> None:
    """Add the refusals and errors of a part to the tables, before its routers are imported, which describe them."""
    TABLE.update(refusals)
    _index(refusals)
    CODES.update(errors)


def refusals(*codes: str) -> Responses:
    """Return the `responses` (OpenAPI descriptions by status) of a call that may be refused with these codes."""
    statuses = sorted({TABLE[code].status for code in codes})
    return {status: _refusal(status, [code for code in REASONS if code in codes]) for status in statuses}


def _refusal(status: int, codes: list[str]) -> dict[str, Any]:
    reasons = {code: REASONS[code] for code in codes if TABLE[code].status == status}
    problem = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in reasons},
    }
    answer = {
        "description": "; ".join(f"`{code}`: {reason}" for code, reason in reasons.items()) + ".",
        "content": {"application/problem+json": problem},
    }
    return answer | headers(status)


def headers(status: int) -> dict[str, Any]:
    """Return the OpenAPI descriptions of the headers that refusals with a status have; empty without such headers."""
    if status not in HEADERS:
        return {}
    header = HEADERS[status]
    optional = {} if header.required else {"required": False}
    return {"headers": {header.name: {"description": header.description, **optional, "schema": header.schema}}}


OPEN_TO_ALL = refusals(*MALFORMED, "host_refused")
ANY_CALL = refusals(*MALFORMED, "key_refused", "host_refused", "queue_full", "quota_exceeded")


def speaks_openai(path: str) -> bool:
    """Return whether a path is called by OpenAI's clients."""
    return path in ("/v1/embeddings", "/v1/models") or path.startswith("/v1/models/")


def openai_status(status: int) -> int:
    """Return the status for OpenAI's clients: 400 in place of 422."""
    return 400 if status == 422 else status


def openai_refusals(*codes: str) -> Responses:
    """Return the `responses` (OpenAPI descriptions by status) of the calls that OpenAI's clients make.

    Each status has the reason of one of the codes.

    Args:
        codes: the codes with which these calls may be refused.
    """
    described: Responses = {}
    for code in codes:
        refusal = TABLE[code]
        reason = refusal.openai_reason or REASONS[code]
        described[openai_status(refusal.status)] = {
            "model": ErrorAnswer,
            "description": f"{reason[0].upper()}{reason[1:]}.",
            **headers(refusal.status),
        }
    return described


ANY_OPENAI_CALL = openai_refusals("invalid_content", "key_refused", "host_refused", "queue_full")


def openai_error(problem: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a problem (an error response) to OpenAI's error object."""
    status, code = problem["status"], problem["code"]
    refusal = TABLE.get(code)
    flaws = problem.get("errors") or [{"pointer": ""}]
    param = flaws[0]["pointer"].removeprefix("/").replace("/", ".")
    kind = "requests" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": problem["detail"],
            "type": kind,
            "param": param or (refusal and refusal.openai_param),
            "code": (refusal and refusal.openai_code) or code,
        }
    }
