"""Calls that are refused: for what is there already, and for what a service in trouble lacks."""

from __future__ import annotations

from tests.service.api.calls import Call
from tests.service.api.troubles import MISSING_MODEL

CONFLICTS = {
    "put_collection": Call("put_collection", {"similarity": "dot"}, {"name": "taken"}),
    "post_documents": Call(
        "post_documents", {"mode": "create", "documents": [{"id": "a", "key_vector": [1]}]}, {"name": "taken"}
    ),
    "delete_collection": Call("delete_collection", None, {"name": "alias"}),
    "store_projection": Call("store_projection", {"down": [[1]], "up": [[1]], "encoder": "another"}, {"name": "taken"}),
    "put_alias": Call("put_alias", {"collection": "taken"}, {"alias": "taken"}),
    "open_room": Call("open_room", {"code": "MATH"}),
    "put_guess": Call("put_guess", {"question": 2, "row": None}),
    "patch_room": Call("patch_room", {"question": {"number": 2, "revealed": True}}),
    "leave_words_out": Call("leave_words_out", {"question": 1}),
}

# Labels that a collection of one document gains by, for it cannot know which of them it answers.
LABELS = [{"query": [1, 2 + i / 60], "id": "qa76" if i % 2 else None} for i in range(60)]


def by_operation(*calls: Call) -> dict[str, Call]:
    return {call.operation: call for call in calls}


NEEDS_THE_ENCODER = by_operation(
    Call("readyz"),
    Call("put_collection", {}, {"name": "new"}),
    Call("patch_collection", {"late": True}),
    Call("put_document", {"key": "cats"}),
    Call("post_documents", {"documents": [{"id": "a", "key": "cats"}]}),
    Call("patch_document", {"key": "cats"}),
    Call("update_documents", {"ids": ["qa76"], "patch": {"value": "cats"}}),
    Call("attend", {"query": "cats"}),
    Call("sweep", {"query": "cats", "temperatures": [1]}),
    Call("calibrate", {"questions": [each | {"query": f"cats {i}"} for i, each in enumerate(LABELS)]}),
    Call("give_feedback", {"feedback": [{"query": "cats", "id": "qa76", "right": True}]}),
    Call("compare", {"query": "cats"}),
    Call("compare_rows", {"query": "cats", "rows": []}),
    Call("start_re_encoding", {"encoder": MISSING_MODEL}),
    Call("store_projection", {"down": [[1, 2]], "up": [[1, 2]]}),
    Call("encode", {"texts": ["cats"]}),
    Call("trace", {"text": "cats"}),
    Call("train_model", {"task": "pairs", "pairs": [{"query": "purrs", "key": "cats"}] * 2}),
    Call("patch_room", {"question": {"number": 1, "revealed": True}}),
    Call("leave_words_out", {"question": 1}),
    Call("embeddings", {"input": "cats", "model": MISSING_MODEL}),
)
# A probe does not need it: what failed is what it is asked for.
NEEDS_THE_LIBRARY = {name: call for name, call in NEEDS_THE_ENCODER.items() if name != "readyz"}
DOCUMENT_WRITES = by_operation(
    Call("put_document", {"key_vector": [1, 2]}),
    Call("post_documents", {"documents": [{"id": "a", "key_vector": [1, 2]}]}),
    Call("patch_document", {"metadata": {"x": 1}}),
    Call("delete_document"),
    Call("delete_documents", {"ids": ["qa76"]}),
    Call("update_documents", {"ids": ["qa76"], "patch": {"metadata": {"x": 1}}}),
)
NEEDS_THE_KEYS = DOCUMENT_WRITES | by_operation(
    Call("give_feedback", {"feedback": [{"query": [1, 2], "id": None, "right": True}]}),
    Call("attend", {"query": [1, 2]}),
    Call("sweep", {"query": [1, 2], "temperatures": [1]}),
)
READS = "list_collections list_aliases get_alias get_projection get_collection get_document list_feedback"
NEEDS_THE_FILE = by_operation(
    *map(Call, ("readyz", *READS.split(), "get_backup")), Call("query_documents", {}), Call("describe_fields", {})
)
WRITES = DOCUMENT_WRITES | by_operation(
    Call("put_collection", {"encoder": None}, {"name": "new"}),
    Call("patch_collection", {"temperature": 1}),
    Call("give_feedback", {"feedback": [{"query": [1, 2], "id": "qa76", "right": True}]}),
    Call("delete_feedback", {"all": True}),
    Call("store_projection", {"down": [[1, 2]], "up": [[1, 2]]}),
    Call("put_alias", {"collection": "library"}),
    Call("delete_alias"),
    Call("delete_collection"),
)
# Tried in routes/test_re_encoding.py: they need two encoders, and a job.
RE_ENCODING = by_operation(Call("start_re_encoding", {"encoder": "minilm"}), Call("cancel_re_encoding"))
# Without keeping its result, this call needs no key that may write.
KEEPS = {"calibrate": Call("calibrate", {"questions": LABELS, "apply": True})}
# For writers only, though they write nothing: a backup and feedback have more than a reader may see, an encoder
# that was unloaded makes other callers wait, and to read a table costs a process.
GUARDED = (
    WRITES
    | RE_ENCODING
    | by_operation(
        Call("get_backup"),
        Call("list_feedback"),
        Call("unload_encoder", None, {"encoder": "minilm"}),
        Call("read_table", b"id,key\na,cats\n", query={"file": "a.csv"}),
    )
)
# On the disk; to unload an encoder or to list feedback takes none, and a table goes to the disk of
# temporary files.
NEEDS_ROOM = {
    name: call
    for name, call in (GUARDED | KEEPS).items()
    if name not in ("unload_encoder", "list_feedback", "read_table")
}
NOTHING_TO_DELETE = {"delete_feedback"}
"""Calls that need room only if there is feedback, which the other calls cannot leave without room."""
