"""The collections: each a record, a memory of keys, and what is known of both."""

from __future__ import annotations

from service.retrieval.collections.catalogue import Catalogue, Changed
from service.retrieval.collections.collection import Collection
from service.retrieval.collections.columns import FieldReader, Source
from service.retrieval.collections.compaction import ever_later, in_background
from service.retrieval.collections.defaults import settings_of
from service.retrieval.collections.fitting import ChecksumReader, Span
from service.retrieval.collections.following import FollowingCollection
from service.retrieval.collections.lookup_queue import LONG_ANSWERS, LOOKUPS
from service.retrieval.collections.machine_code import MachineCode
from service.retrieval.collections.masks import Masks, parse_filter
from service.retrieval.collections.models import encoding_queue, loaded_encoder, model_of, model_queue
from service.retrieval.collections.null import (
    CALIBRATED,
    LOOKED_AT,
    SAMPLE,
    Null,
    NullChoice,
    Own,
    Standing,
    calibration_of,
    encoder_backgrounds,
    null_of,
    null_shown,
)
from service.retrieval.collections.rows import fill, rows_of, rows_together
from service.retrieval.collections.sealed import ChecksumStore, SealedBlocks
from service.retrieval.collections.shared_catalogue import SharedCatalogue
from service.retrieval.collections.snapshot import Snapshot
