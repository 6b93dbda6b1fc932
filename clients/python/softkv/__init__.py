"""The Python client of softkv: attention as a soft lookup over a document collection.

from softkv import Client, F

with Client("http://127.0.0.1:8000") as client:
    answer = client.collection("library").attend("pets that purr", where=F.year >= 1930)
    if answer.best:
        print(answer.best.value)
"""

from __future__ import annotations

from softkv.answers.answer import (
    Answer,
    Certificate,
    Comparison,
    Coverage,
    Evidence,
    FullText,
    Group,
    GroupBy,
    Read,
    Swept,
    Verdict,
)
from softkv.answers.arrays import Attended, Embeddings, RankedDocument, Trace
from softkv.answers.documents import Backup, Document, Explanation, Match, Part, Refusal, Report, StandsFor
from softkv.answers.info import (
    Alias,
    Calibration,
    CollectionCosts,
    CollectionInfo,
    EncoderInfo,
    FeedbackRecord,
    FieldFacts,
    FieldValue,
    KeptCalibration,
    Model,
    Readiness,
    ReEncoding,
    RerankerInfo,
    ServerInfo,
    ServiceInfo,
    ShardsInfo,
    SlowRequest,
    Written,
)
from softkv.client import AsyncClient, AsyncCollection, Client, Collection
from softkv.errors import (
    Busy,
    Conflict,
    Error,
    Flaw,
    Forbidden,
    Invalid,
    KeyRefused,
    NotFound,
    Refused,
    ServiceFailed,
    StorageFull,
    TimedOut,
    TooLarge,
    Unavailable,
    Unreachable,
    Unsupported,
)
from softkv.filters import F, Filter, ago
from softkv.methods import AsyncPages, Pages
from softkv.wire import OMITTED

__all__ = [
    "OMITTED",
    "Alias",
    "Answer",
    "AsyncClient",
    "AsyncCollection",
    "AsyncPages",
    "Attended",
    "Backup",
    "Busy",
    "Calibration",
    "Certificate",
    "Client",
    "Collection",
    "CollectionCosts",
    "CollectionInfo",
    "Comparison",
    "Conflict",
    "Coverage",
    "Document",
    "Embeddings",
    "EncoderInfo",
    "Error",
    "Evidence",
    "Explanation",
    "F",
    "FeedbackRecord",
    "FieldFacts",
    "FieldValue",
    "Filter",
    "Flaw",
    "Forbidden",
    "FullText",
    "Group",
    "GroupBy",
    "Invalid",
    "KeptCalibration",
    "KeyRefused",
    "Match",
    "Model",
    "NotFound",
    "Pages",
    "Part",
    "RankedDocument",
    "ReEncoding",
    "Read",
    "Readiness",
    "Refusal",
    "Refused",
    "Report",
    "RerankerInfo",
    "ServerInfo",
    "ServiceFailed",
    "ServiceInfo",
    "ShardsInfo",
    "SlowRequest",
    "StandsFor",
    "StorageFull",
    "Swept",
    "TimedOut",
    "TooLarge",
    "Trace",
    "Unavailable",
    "Unreachable",
    "Unsupported",
    "Verdict",
    "Written",
    "ago",
]
