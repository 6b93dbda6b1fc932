"""softkv's client: attention as a soft lookup over a document collection.

from softkv import Client, F

with Client("http://127.0.0.1:8000") as client:
    answer = client.collection("library").attend("pets that purr", where=F.year >= 1930)
    if answer.best:
        print(answer.best.value)
"""

from __future__ import annotations

from softkv.answers.answer import Answer, Certificate, Coverage, Evidence, FullText, Read, Verdict
from softkv.answers.arrays import Attended, Embeddings, Trace
from softkv.answers.backup import Backup
from softkv.answers.calibration import Calibration, KeptCalibration
from softkv.answers.comparison import Comparison
from softkv.answers.document import Document
from softkv.answers.info import (
    CollectionInfo,
    FieldFacts,
    FieldValue,
    Model,
    Readiness,
    ServiceInfo,
    ShardsInfo,
    SlotInfo,
    Written,
)
from softkv.answers.match import Explanation, Match, Part
from softkv.answers.report import Refusal, Report
from softkv.answers.swept import Swept
from softkv.client import AsyncClient, Client
from softkv.collection import AsyncCollection, Collection
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
from softkv.filters import F, Filter
from softkv.pages import AsyncPages, Pages
from softkv.wire.body import OMITTED

__all__ = [
    "OMITTED",
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
    "CollectionInfo",
    "Comparison",
    "Conflict",
    "Coverage",
    "Document",
    "Embeddings",
    "Error",
    "Evidence",
    "Explanation",
    "F",
    "FieldFacts",
    "FieldValue",
    "Filter",
    "Flaw",
    "Forbidden",
    "FullText",
    "Invalid",
    "KeptCalibration",
    "KeyRefused",
    "Match",
    "Model",
    "NotFound",
    "Pages",
    "Part",
    "Read",
    "Readiness",
    "Refusal",
    "Refused",
    "Report",
    "ServiceFailed",
    "ServiceInfo",
    "ShardsInfo",
    "SlotInfo",
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
]
