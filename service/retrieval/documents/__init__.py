"""Documents on their way in and out: prepared, written, patched, uploaded, listed, counted."""

from __future__ import annotations

from service.retrieval.documents.documents import (
    Uploaded,
    Written,
    delete_one,
    get,
    page,
    read_cursor,
    upload,
    upsert,
    write_cursor,
)
from service.retrieval.documents.field_facts import field_facts, read_place
from service.retrieval.documents.merge_patch import patch, update
from service.retrieval.documents.prepare import MISSING, SentDocument, prepare_documents
from service.retrieval.documents.seeding import Seeding
from service.retrieval.documents.splitting import MOST_KEYS, Split
from service.retrieval.documents.unmatched import warnings_of
