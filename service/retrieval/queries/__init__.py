"""Queries: attended to, streamed, swept, compared, calibrated by, followed through the model."""

from __future__ import annotations

from service.retrieval.queries.arrays import MAX_LOGITS, Arrays, attend_arrays
from service.retrieval.queries.attend import FullText, Match, Result, attend_collection
from service.retrieval.queries.calibrate import MAX_LABELS, CalibrationResult, LabelledQuestion, calibrate_collection
from service.retrieval.queries.compare import ComparisonResult, TimedSearch, compare_collection, compare_rows
from service.retrieval.queries.encoded import check_readable
from service.retrieval.queries.question import DocumentDetail, Options
from service.retrieval.queries.read import Aggregation
from service.retrieval.queries.reading import BestKey, Document
from service.retrieval.queries.streaming import StreamedResult, stream_collection
from service.retrieval.queries.sweep import sweep_collection
from service.retrieval.queries.trace import MAX_CHARACTERS, MAX_NUMBERS, trace_text
