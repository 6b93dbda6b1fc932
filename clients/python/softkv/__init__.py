"""The Python client of softkv: attention as a soft lookup over a document collection.

from softkv import Client, F

with Client("http://127.0.0.1:8000") as client:
    answer = client.collection("library").attend("pets that purr", where=F.year >= 1930)
    if answer.best:
        print(answer.best.value)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from softkv.answers.arrays import Attended, Embeddings, Projection, RankedDocument, Trace
from softkv.answers.calibration import Calibration, KeptCalibration
from softkv.answers.documents import (
    Backup,
    Document,
    Explanation,
    Highlight,
    Match,
    Part,
    Refusal,
    Report,
    StandsFor,
)
from softkv.answers.feedback import FeedbackRecord
from softkv.answers.info import (
    Alias,
    CollectionCosts,
    CollectionInfo,
    FieldFacts,
    FieldValue,
    ProjectionInfo,
    ReEncoding,
    TrainingReport,
    Written,
)
from softkv.answers.service import (
    EncoderInfo,
    Model,
    Readiness,
    RerankerInfo,
    ServerInfo,
    ServiceInfo,
    ShardsInfo,
    SlowRequest,
)
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
from softkv.wire import OMITTED

if TYPE_CHECKING:
    from softkv.client import AsyncClient, AsyncCollection, Client, Collection
    from softkv.methods import AsyncPages, Pages

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
    "Highlight",
    "Invalid",
    "KeptCalibration",
    "KeyRefused",
    "Match",
    "Model",
    "NotFound",
    "Pages",
    "Part",
    "Projection",
    "ProjectionInfo",
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
    "TrainingReport",
    "Unavailable",
    "Unreachable",
    "Unsupported",
    "Verdict",
    "Written",
    "ago",
]


def __getattr__(name: str) -> Any:
    """Import what sends requests on its first use, so that `softkv.answers` comes without an HTTP library."""
    if name in __all__:
        for module in map(import_module, ("softkv.client", "softkv.methods")):
            if hasattr(module, name):
                return globals().setdefault(name, getattr(module, name))
    raise AttributeError(f"module 'softkv' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, those that are not imported yet among them."""
    return sorted({*globals(), *__all__})
