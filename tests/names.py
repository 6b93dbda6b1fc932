"""docs/reference/names.md: every field and header of the wire, from the API's description; `make openapi` writes it.

A new name needs one word here: in `EXPLAINED`, under the section of the documentation that explains it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from os.path import relpath
from pathlib import Path
from typing import Any

from tests.examples import Page

FILE = Path(__file__).parents[1] / "docs" / "reference" / "names.md"

EXPLAINED = {
    "guide/asking.md": {
        "fields-of-a-question": "query queries temperature effective_documents normaliser null top_k top_p include"
        " results",
        "many-temperatures": "temperatures weights",
        "what-comes-back": "matches similarity logit weight explanation log_weight rest_weight complete output evidence"
        " null_weight null_similarity log_partition entropy took_ms",
        "the-verdict": "verdict verdict_certain",
        "the-reason": "reason",
        "questions-with-nothing-to-read": "unknown_tokens",
        "missing-documents": "allow_missing coverage total max_missing_weight",
        "four-ways-to-search": "rows sql attention statement parameters",
    },
    "operate/certificate.md": {
        "what-the-certificate-says": "certificate method total_variation output_error",
        "ask-for-a-smaller-error": "max_error",
    },
    "guide/words-and-recency.md": {
        "words": "full_text ranking",
        "recency-priors-and-soft-filters": "bias half_life origin decay factor scale missing",
        "addends-in-the-explanation": "addend addends rank passes",
    },
    "guide/reading.md": {
        "read-a-field": "read",
        "kinds-of-reading": "as",
        "vote": "votes",
        "quantiles": "quantiles quantile at_least at_most",
    },
    "guide/streaming.md": {"stream-an-answer": "stream"},
    "guide/collections.md": {
        "create-a-collection": "name collections access encoder dimension value_dimension value_from precision ready",
        "defaults": "defaults applied",
        "what-a-collection-costs": "costs memory_bytes disk_bytes asked p99_ms",
        "how-similar-unrelated-documents-are": "background mean of deviation pairs",
        "short-keys": "short",
        "write-documents": "documents id key value metadata key_vector value_vector upserted",
        "vectors": "vector_format base64 shape",
        "list-count-and-delete-documents": "ids count deleted",
        "aliases": "alias aliases collection",
    },
    "guide/documents.md": {
        "long-texts-with-several-keys": "part log_weight_of_other_parts split overlap keys",
        "several-vectors-of-your-own": "key_vectors parts",
        "documents-without-a-key": "keyless",
        "expiry": "expires expire_after expired",
    },
    "guide/filters.md": {
        "filters": "filter",
        "comparisons": "field operator ignore_case",
        "dates": "datetime",
        "warnings": "warnings",
        "combine-conditions": "conditions",
        "fields-and-their-values": "fields values types distinct min max",
    },
    "guide/writing.md": {
        "upload-a-stream": "refused line done problem",
        "documents-whose-id-exists": "mode skipped",
        "documents-that-others-supersede": "delete",
        "change-many-documents": "patch updated",
        "retry-a-write": "Idempotency-Key Idempotency-Replayed",
    },
    "reference/limits.md": {
        "limits-of-a-request": "body_bytes json_depth",
        "documents-and-collections": "page document_keys vector_width id_characters name_characters field_values"
        " idempotency_key_characters idempotency_hours",
        "questions": "filter_depth filter_values",
        "texts-and-arrays": "encode_texts encode_texts_with_tokens embeddings_inputs trace_characters trace_layers"
        " trace_numbers",
        "pages": "prefix limit cursor next_cursor",
        "truncated-texts": "truncated",
        "limits-by-name": "version keys_required limits",
        "requests-at-once": "requests_at_once",
        "headers": "Authorization X-API-Key X-Request-ID Retry-After WWW-Authenticate",
    },
    "operate/lifecycle.md": {"liveness-and-readiness": "loading failed"},
    "guide/encoding.md": {
        "encode-texts": "texts model purpose embeddings token_counts tokens text start end",
        "many-texts": "embedding index token_count encoded",
        "attention-heads": "pair layers heads causal sequence changes feed_forward layer",
        "attention-over-arrays": "mask logits W W_q W_k v projections W_Q W_K W_V W_O n_heads hopfield_steps"
        " intermediates",
        "models": "state runs_on max_tokens temperature_source batched notes created owned_by",
        "openai-compatible-calls": "input encoding_format dimensions object data usage prompt_tokens total_tokens error"
        " message param",
    },
    "guide/encoders.md": {
        "state-and-memory": "encoders kind default",
        "move-a-collection-to-another-encoder": "from to started ended drops vectors",
        "what-a-provider-does-not-tell": "estimated",
    },
    "guide/calibration.md": {
        "labelled-questions": "questions apply labels present absent calibrate_questions calibration",
        "fitted-parameters": "level confidence slope slope_above lead_slope lead_slope_above offset conformal words",
        "measured-gain": "before after after_words gained ece brier label_loss log_loss recall mrr one_right one_wrong",
        "ask-a-calibrated-collection": "min_confidence none_from answered",
        "when-to-calibrate-again": "outgrown",
    },
    "guide/feedback.md": {
        "say-whether-an-answer-was-right": "feedback right kept observed first covered numbers all",
        "promised-and-seen": "promised seen expected drift",
        "refit": "refit tried proposed",
    },
    "guide/rooms.md": {
        "a-room-over-http": "secret seconds_left joining address path size listeners waiting question number row"
        " guesses answer null_guesses shown_temperature X-Room-Secret",
        "access-and-limits": "rooms room_rows room_bytes room_characters room_listeners room_seconds",
    },
    "guide/lab.md": {
        "train-a-model": "task seconds steps seed accuracy",
        "use-a-trained-model": "picture source source_attention probability open training models",
    },
    "operate/operating.md": {
        "shard-servers-and-what-they-hold": "shards copies ranges whole unheld servers machine leaving coming lag"
        " trouble",
        "the-log": "threshold_ms requests at route stages_ms request_id",
    },
    "reference/errors.md": {"errors": "type title status detail code errors pointer"},
}

BEGIN = """# Names

This page lists every field and header of the HTTP API. Each row has the calls that use the name, its meaning, and the
section that explains it.

| column | meaning |
|---|---|
| sent to | the groups of calls whose requests have the name |
| answered by | the groups of calls whose responses have the name |
| means | the meaning; if it differs between groups, one for each |

If a field of a request asks for a field of the response, both have one name. A limit has the name of what it limits.
Other pages list [settings](settings.md) and [the codes of errors](errors.md#errors).

`make openapi` writes this page from [openapi.json](../../service/api/openapi.json). The groups are the tags of its
calls.
"""


EVERY = 8
"""A name with at least this number of tags is in every call."""


@dataclass
class Name:
    """One name: the tags of the calls that it is sent to and answered by, and its meaning for each tag.

    Attributes:
        holders: for each tag, the meaning of the object that has the field, if the field has no description.
    """

    sent: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    meanings: dict[str, str] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)

    def means(self) -> str:
        """Return its meanings, each once, those of requests first; with tags if they differ."""
        meanings = self.meanings or {tag: f"Part of: {holder}" for tag, holder in self.holders.items()}
        tags: dict[str, list[str]] = {}
        for tag in sorted(meanings, key=lambda tag: tag not in self.sent):
            tags.setdefault(meanings[tag], []).append(tag)
        if len(tags) == 1:
            return next(iter(tags))
        return "<br>".join(f"*{join_tags(of_tags)}*: {meaning}" for meaning, of_tags in tags.items())


def join_tags(tags: list[str]) -> str:
    """Return the text of a cell with these tags."""
    return "every call" if len(tags) >= EVERY else ", ".join(tags)


class Description:
    """The names in an OpenAPI description."""

    def __init__(self, description: dict[str, Any]) -> None:
        self._components = description["components"]
        self.fields: dict[str, Name] = {}
        self.headers: dict[str, Name] = {}
        for scheme in self._components["securitySchemes"].values():
            name = self.headers.setdefault(scheme["name"] if scheme["type"] == "apiKey" else "Authorization", Name())
            name.sent.append("every call")
            name.meanings["every call"] = first_sentence(scheme)
        for path in description["paths"].values():
            for operation in path.values():
                self._read(operation, operation["tags"][0])

    def every_property(self) -> set[str]:
        """Return the properties of every schema, whether a call uses it or not."""
        return {
            name
            for schema in self._components["schemas"].values()
            for name, *_ in self._properties(schema, "", followed=set())
        }

    def _read(self, operation: dict[str, Any], tag: str) -> None:
        for parameter in map(self._resolve, operation.get("parameters", ())):
            names = self.headers if parameter["in"] == "header" else self.fields
            self._add(names, parameter["name"], "sent", tag, first_sentence(parameter), "")
        self._read_content(self._resolve(operation.get("requestBody", {})), "sent", tag)
        for response in map(self._resolve, operation["responses"].values()):
            for name, header in response.get("headers", {}).items():
                self._add(self.headers, name, "answered", tag, first_sentence(self._resolve(header)), "")
            self._read_content(response, "answered", tag)

    def _read_content(self, message: dict[str, Any], direction: str, tag: str) -> None:
        for content in message.get("content", {}).values():
            for schema in (content.get("schema", {}), content.get("x-itemSchema", {})):  # of JSON, of a line of NDJSON
                for name, meaning, holder in self._properties(schema, "", followed=set()):
                    self._add(self.fields, name, direction, tag, meaning, holder)

    def _add(self, names: dict[str, Name], name: str, direction: str, tag: str, meaning: str, holder: str) -> None:
        entry = names.setdefault(name, Name())
        tags = entry.sent if direction == "sent" else entry.answered
        if tag not in tags:
            tags.append(tag)
        if meaning:
            entry.meanings.setdefault(tag, meaning)
        elif holder:
            entry.holders.setdefault(tag, holder)

    def _properties(self, node: Any, holder: str, *, followed: set[str]) -> Iterator[tuple[str, str, str]]:
        """Yield each property in a schema with its meaning, and what the object is that holds it."""
        if isinstance(node, list):
            for inner in node:
                yield from self._properties(inner, holder, followed=followed)
        if not isinstance(node, dict):
            return
        holder = first_sentence(node) or holder
        if (reference := node.get("$ref")) is not None and reference not in followed:
            followed.add(reference)
            yield from self._properties(self._resolve(node), holder, followed=followed)
        for key, inner in node.items():
            if key == "properties":
                for name, schema in inner.items():
                    yield name, self._meaning(schema), holder
                    yield from self._properties(schema, holder, followed=followed)
            elif key not in ("example", "examples", "default"):
                yield from self._properties(inner, holder, followed=followed)

    def _meaning(self, schema: Any) -> str:
        if not isinstance(schema, dict):
            return ""
        values = [f"`{value}`" for value in schema.get("enum", ())]
        one_of = f"One of {', '.join(values)}." if values else ""
        return first_sentence(schema) or first_sentence(self._resolve(schema)) or one_of

    def _resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            _, kind, name = node["$ref"].removeprefix("#/").split("/")
            node = self._components[kind][name]
        return node


def first_sentence(described: dict[str, Any]) -> str:
    """Return the first sentence that describes the field itself, not its absence; empty without a description."""
    text = " ".join(str(described.get("description", "")).split())
    sentences = re.split(r"(?<=[.!?]) (?=[A-Z0-9`\"])", text)
    return next((sentence for sentence in sentences if not sentence.startswith("Left out")), "")


def page(description: dict[str, Any]) -> str:
    """Return the text of docs/reference/names.md."""
    described = Description(description)
    names = described.fields | described.headers
    text = [BEGIN]
    for path, sections in EXPLAINED.items():
        explaining = Page(f"docs/{path}")
        title = explaining.text.partition("\n")[0].lstrip("# ")
        text += [f"## {title}\n", "| name | sent to | answered by | means | explained in |", "|---|---|---|---|---|"]
        for anchor, words in sections.items():
            heading = explaining.sections.get(anchor, anchor).partition("\n")[0].lstrip("# ")
            for word in words.split():
                name = names.get(word, Name())
                meaning = name.means().replace("|", "\\|")
                cells = (
                    f"`{word}`",
                    join_tags(name.sent),
                    join_tags(name.answered),
                    meaning,
                    f"[{heading}]({relpath(path, FILE.parent.name)}#{anchor})",
                )
                text.append("".join(f"| {cell} " if cell else "| " for cell in cells) + "|")
        text.append("")
    return "\n".join(text)
