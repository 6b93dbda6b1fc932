"""Documents on their way in and out: prepared, written, patched, uploaded, listed, counted."""

from __future__ import annotations

from service.retrieval.documents.documents import (
    UploadResult,
    WriteResult,
    decode_cursor,
    delete_document,
    encode_cursor,
    get,
    page,
    upload,
    upsert,
)
from service.retrieval.documents.field_facts import decode_field_cursor, read_field_facts
from service.retrieval.documents.merge_patch import patch_document, update_documents
from service.retrieval.documents.prepare import MISSING, SentDocument, prepare_documents
from service.retrieval.documents.seeding import Seeding
from service.retrieval.documents.splitting import MAX_KEYS, Split
from service.retrieval.documents.unmatched import explain_no_match
