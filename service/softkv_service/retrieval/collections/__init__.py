"""Collections: each has a record in storage and a memory of keys.

A write has four steps. The store begins a transaction, the new view of the keys is prepared, and the transaction
commits. Then the view becomes visible, before any reader opens the new state. So everything that can fail fails before
the commit. Compaction and sealed files follow in the background.

`Collection.snapshot` opens a reader of the store and a view of the keys at one version. Within one process a lock keeps
them together. If several processes share a store (`replicated.py`), each snapshot asks the store for its version, and
the view replays the store's log up to it.
"""

from __future__ import annotations

from softkv_service.retrieval.collections.aliases import AliasChange
from softkv_service.retrieval.collections.catalogue import Catalogue, CatalogueChange, ClusterStatus, ServerStatus
from softkv_service.retrieval.collections.collection import Collection
from softkv_service.retrieval.collections.costs import MAX_COMPONENTS, count_components, estimate_disk_bytes
from softkv_service.retrieval.collections.expiry import (
    NEVER,
    NONE_EXPIRE,
    Clock,
    Expirations,
    UnexpiredViews,
    read_clock,
)
from softkv_service.retrieval.collections.lookup_queue import (
    LONG_ANSWERS,
    LOOKUPS,
    Planned,
    PlannedReading,
    QuestionTimes,
)
from softkv_service.retrieval.collections.maintenance import retry_forever, start_background
from softkv_service.retrieval.collections.replicated import ReplicatedCollection, SharedCatalogue
from softkv_service.retrieval.collections.rows import KeyStorage, build_rows, concatenate_rows, fill_memory
from softkv_service.retrieval.collections.sealed import ChecksumStore, SealedBlocks, Span
from softkv_service.retrieval.collections.settings import (
    COMPARED_BY,
    check_temperature,
    choose_encoder,
    default_temperature,
    find_model,
    find_words_queue,
    get_encoder_facts,
    get_encoding_queue,
    get_known_facts,
    get_model_queue,
    get_null_encoder,
    get_reranker_queue,
    get_words_queue,
    require_late,
    resolve_settings,
)
from softkv_service.retrieval.collections.snapshot import (
    MAX_COLUMN_BYTES,
    Masks,
    Snapshot,
    Source,
    describe_large_field,
    parse_filter,
)
from softkv_service.retrieval.collections.values import read_value_texts, require_values, with_values
