"""Operations on documents: prepare, write, patch, upload, list and count them.

`prepare.py` checks and encodes everything before a transaction begins. An answer to an `Idempotency-Key` is stored in
the same transaction. It is looked up twice: before encoding, and again under the writer's lock.
"""

from __future__ import annotations

from softkv_service.retrieval.documents.documents import (
    UploadResult,
    WriteResult,
    decode_cursor,
    delete_document,
    encode_cursor,
    get,
    page,
    patch_document,
    update_documents,
    upload,
    upsert,
    warn_of_selection,
)
from softkv_service.retrieval.documents.expiry import ExpirySweep
from softkv_service.retrieval.documents.fields import decode_field_cursor, explain_filter, read_field_facts
from softkv_service.retrieval.documents.prepare import MAX_KEYS, MISSING, SentDocument, Split, prepare_documents
from softkv_service.retrieval.documents.re_encoding import JobStatus, ReEncodings, read_last_job
from softkv_service.retrieval.documents.seeding import Seeding
from softkv_service.retrieval.documents.worker import Worker
