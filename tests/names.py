"""docs/reference/names.md: the section that explains each field and header of the API; `make openapi` writes it.

A new name needs one word here: in `EXPLAINED`, under the section of the documentation that explains it.
"""

from __future__ import annotations

from collections.abc import Iterator
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
        "the-sentence-that-fits-best": "highlight",
        "the-verdict": "verdict verdict_certain",
        "several-that-say-nearly-the-same": "alike",
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
    "guide/grouping.md": {"group-documents": "group_by groups"},
    "guide/likes.md": {"diversity": "diversity stands_for"},
    "guide/streaming.md": {"stream-an-answer": "stream"},
    "guide/collections.md": {
        "create-a-collection": "name collections access encoder dimension value_dimension value_from precision ready",
        "defaults": "defaults applied",
        "what-a-collection-costs": "costs memory_bytes disk_bytes asked p99_ms",
        "how-similar-unrelated-documents-are": "background mean of deviation fades_from pairs",
        "short-keys": "short",
        "write-documents": "documents id key value metadata key_vector value_vector upserted",
        "vectors": "vector_format base64 shape",
        "list-count-and-delete-documents": "ids count deleted",
        "in-the-order-of-a-field": "order_by direction",
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
        "upload-a-stream": "refused more_refused line done problem",
        "read-a-table": "file unit settings notices columns cells vector skip delimiter charset",
        "documents-whose-id-exists": "mode skipped",
        "documents-that-others-supersede": "delete",
        "change-many-documents": "patch updated",
        "retry-a-write": "Idempotency-Key Idempotency-Replayed",
    },
    "reference/limits.md": {
        "limits-of-a-request": "body_bytes json_depth",
        "documents-and-collections": "page document_keys vector_width id_characters name_characters field_values"
        " idempotency_key_characters idempotency_hours",
        "questions": "filter_depth filter_values filter_fields answer_matches query_parts request_parts read_fields"
        " group_documents answer_groups highlight_sentences sweep_weights feedback_characters",
        "texts-and-arrays": "encode_texts encode_texts_with_tokens embeddings_inputs rerank_documents"
        " rerank_query_characters score_characters trace_characters trace_layers trace_numbers",
        "pages": "prefix limit cursor next_cursor",
        "truncated-texts": "truncated",
        "limits-by-name": "version keys_required limits",
        "requests-at-once": "requests_at_once",
        "headers": "Authorization X-API-Key X-Request-ID Retry-After WWW-Authenticate",
    },
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
    "guide/reranking.md": {
        "the-models": "rerankers",
        "rerank-inside-the-softmax": "rerank depth reranked",
        "rerank-documents": "top_n return_documents document relevance_score meta api_version billed_units search_units"
        " text_1 text_2 score",
    },
    "guide/calibration.md": {
        "labelled-questions": "questions apply labels present absent calibrate_questions calibration",
        "fitted-parameters": "level confidence slope slope_above lead_slope lead_slope_above offset conformal words",
        "measured-gain": "before after after_words after_reranked gained ece brier label_loss log_loss recall mrr "
        "one_right one_wrong none_right none_wrong off_topic_none",
        "ask-a-calibrated-collection": "min_confidence none_from answered",
        "when-to-calibrate-again": "outgrown",
    },
    "guide/feedback.md": {
        "say-whether-an-answer-was-right": "feedback right kept observed first covered numbers all",
        "promised-and-seen": "promised seen expected drift",
        "refit": "refit tried proposed",
    },
    "guide/training.md": {
        "store-a-projection": "projection down up trained held_out mrr_before mrr_after",
    },
    "guide/rooms.md": {
        "open-the-service-to-the-network": "url public moved addresses obstacle",
        "a-room-over-http": "secret seconds_left joining address path size listeners waiting question number row"
        " guesses answer null_guesses shown_temperature X-Room-Secret",
        "access-and-limits": "hold held by rooms room_rows room_bytes room_characters room_listeners room_seconds",
    },
    "guide/lab.md": {
        "train-a-model": "task seconds steps seed accuracy",
        "use-a-trained-model": "picture source source_attention probability open training models",
    },
    "operate/operating.md": {
        "liveness-and-readiness": "loading failed",
        "shard-servers-and-what-they-hold": "shards copies ranges whole unheld servers machine leaving coming lag"
        " trouble",
        "the-log": "threshold_ms requests at route stages_ms request_id",
    },
    "reference/errors.md": {"errors": "type title status detail code errors pointer"},
}

BEGIN = """# Names

This page lists every field and header of the HTTP API beside the section that explains it. The fields of each call,
with types and meanings, are in [openapi.json](../../service/api/openapi.json), and in the HTTP reference of the site
that `make docs` builds.

If a field of a request asks for a field of the response, both have one name. A limit has the name of what it limits.
Other pages list [settings](settings.md) and [the codes of errors](errors.md#errors).
"""


def fields_and_headers(description: dict[str, Any]) -> set[str]:
    """Return every field and header of an OpenAPI description, without those in its examples."""
    return {"Authorization", *_names(description)}  # a scheme of bearers has no name of its header


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for inner in node:
            yield from _names(inner)
    if not isinstance(node, dict):
        return
    if "in" in node and isinstance(node.get("name"), str):  # a parameter, or the header of a key
        yield node["name"]
    for key, inner in node.items():
        if key in ("properties", "headers"):
            yield from inner
            for schema in inner.values():
                yield from _names(schema)
        elif key not in ("example", "examples", "default"):
            yield from _names(inner)


def page() -> str:
    """Return the text of docs/reference/names.md."""
    text = [BEGIN]
    for path, sections in EXPLAINED.items():
        explaining = Page(f"docs/{path}")
        title = explaining.text.partition("\n")[0].lstrip("# ")
        text += [f"## {title}\n", "| section | names |", "|---|---|"]
        for anchor, names in sections.items():
            heading = explaining.sections.get(anchor, anchor).partition("\n")[0].lstrip("# ")
            cells = " ".join(f"`{name}`" for name in names.split())
            text.append(f"| [{heading}]({relpath(path, FILE.parent.name)}#{anchor}) | {cells} |")
        text.append("")
    return "\n".join(text)
